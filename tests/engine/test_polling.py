"""How often plab polls a key: what a user pays in calls and in seconds."""

from __future__ import annotations

import pytest
from support.cloud import VirtualClock

from privatelink_lab.engine.polling import CEILING, FLOOR, Pace, interval


@pytest.fixture
def clock() -> VirtualClock:
    """Time that the test lets pass."""
    return VirtualClock()


def polls(pace: Pace, clock: VirtualClock, seconds: float, *keys: str) -> list[tuple[float, list[str]]]:
    """Poll whenever a key is due, for so many seconds; returns the second and the keys of every poll."""
    began, seen = clock.now(), []
    while clock.now() - began < seconds:
        due = [key for key in keys if pace.is_due(key)]
        pace.polled(due)
        seen.append((clock.now() - began, due))
        clock.sleep(pace.pause(keys))
    return seen


def test_what_does_not_change_is_polled_less_often(clock: VirtualClock) -> None:
    """Three minutes of waiting for a balancer cost some hundred polls, the last ones every nine seconds."""
    seen = polls(Pace(clock), clock, 180, "balancer")
    assert len(seen) < 120
    assert seen[1][0] - seen[0][0] == pytest.approx(FLOOR)
    assert FLOOR < seen[-1][0] - seen[-2][0] <= CEILING


def test_a_change_of_one_key_makes_no_other_key_due(clock: VirtualClock) -> None:
    """The instance changes its state; the balancer does not, and keeps its own long interval."""
    pace = Pace(clock)
    polls(pace, clock, 100, "balancer", "instance")
    pace.changed("instance")
    seen = polls(pace, clock, 4, "balancer", "instance")
    assert sum("instance" in keys for _, keys in seen) > 10
    assert sum("balancer" in keys for _, keys in seen) <= 3


def test_a_poll_includes_the_keys_that_are_due_soon(clock: VirtualClock) -> None:
    """Five hundred endpoints that began at different moments cost hardly more polls than one."""
    pace, keys = Pace(clock), [f"consumer-{number}" for number in range(500)]
    for key in keys:
        pace.poll_now([key])
        pace.polled([key])
        clock.sleep(0.01)
    alone = len(polls(Pace(clock), clock, 60, "one"))
    assert len(polls(pace, clock, 60, *keys)) <= 2 * alone


def test_a_key_is_polled_at_once_after_a_call(clock: VirtualClock) -> None:
    """After a call for a key plab polls that key at once."""
    pace = Pace(clock)
    polls(pace, clock, 100, "endpoint")
    pace.polled(["endpoint"])
    assert not pace.is_due("endpoint")
    pace.poll_now(["endpoint"])
    assert pace.is_due("endpoint")
    assert pace.pause(["endpoint"]) == 0


def test_with_no_key_to_poll_the_loop_does_not_spin(clock: VirtualClock) -> None:
    """Without a key to wait for the loop still sleeps."""
    assert Pace(clock).pause([]) == FLOOR


@pytest.mark.parametrize(
    ("waited", "seconds"),
    [(0, 0.2), (-5, 0.2), (4, 0.2), (4.001, 0.20005), (20, 1), (100, 5), (199, 9.95), (200, 10), (9000, 10)],
)
def test_the_interval_is_a_share_of_the_wait(waited: float, seconds: float) -> None:
    """The interval is a twentieth of the time already waited, at least 0.2 s and at most 10 s."""
    assert interval(waited) == pytest.approx(seconds)


def test_a_long_wait_costs_few_polls_and_little_time() -> None:
    """The loop sees a balancer that is ready after three minutes within 5 %, with a hundred polls at most."""
    waited, polls = 0.0, 0
    while waited < 180:
        waited, polls = waited + interval(waited), polls + 1
    assert waited < 180 * 1.05
    assert polls <= 100
