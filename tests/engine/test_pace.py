"""How often each key is looked at: what a user pays in calls, and in seconds that pass unseen."""

from __future__ import annotations

import pytest
from support.cloud import VirtualClock

from privatelink_lab.engine.pace import CEILING, FLOOR, Pace, interval


@pytest.fixture
def clock() -> VirtualClock:
    """Time that the test lets pass."""
    return VirtualClock()


def looks(pace: Pace, clock: VirtualClock, seconds: float, *keys: str) -> list[tuple[float, list[str]]]:
    """Poll whenever it is due for so many seconds: when, and at what."""
    began, seen = clock.now(), []
    while clock.now() - began < seconds:
        due = [key for key in keys if pace.is_due(key)]
        pace.polled(due)
        seen.append((clock.now() - began, due))
        clock.sleep(pace.pause(keys))
    return seen


def test_what_does_not_change_is_polled_less_often(clock: VirtualClock) -> None:
    """Three minutes of waiting for a balancer cost some hundred looks, the last ones nine seconds apart."""
    seen = looks(Pace(clock), clock, 180, "balancer")
    assert len(seen) < 120
    assert seen[1][0] - seen[0][0] == pytest.approx(FLOOR)
    assert FLOOR < seen[-1][0] - seen[-2][0] <= CEILING


def test_a_change_of_one_brings_nobody_else_back(clock: VirtualClock) -> None:
    """The instance changes its state: the balancer, which does not, keeps its own long interval."""
    pace = Pace(clock)
    looks(pace, clock, 100, "balancer", "instance")
    pace.changed("instance")
    seen = looks(pace, clock, 4, "balancer", "instance")
    assert sum("instance" in keys for _, keys in seen) > 10
    assert sum("balancer" in keys for _, keys in seen) <= 3


def test_a_look_takes_along_whose_own_would_come_soon(clock: VirtualClock) -> None:
    """Five hundred endpoints that began at different moments cost hardly more looks than one."""
    pace, keys = Pace(clock), [f"consumer-{number}" for number in range(500)]
    for key in keys:
        pace.poll_now([key])
        pace.polled([key])
        clock.sleep(0.01)
    alone = len(looks(Pace(clock), clock, 60, "one"))
    assert len(looks(pace, clock, 60, *keys)) <= 2 * alone


def test_what_something_was_done_to_is_looked_at_at_once(clock: VirtualClock) -> None:
    """After a call took effect nobody waits for the next interval."""
    pace = Pace(clock)
    looks(pace, clock, 100, "endpoint")
    pace.polled(["endpoint"])
    assert not pace.is_due("endpoint")
    pace.poll_now(["endpoint"])
    assert pace.is_due("endpoint")
    assert pace.pause(["endpoint"]) == 0


def test_with_nothing_to_look_at_it_does_not_spin(clock: VirtualClock) -> None:
    """No key is waited for: the loop still sleeps."""
    assert Pace(clock).pause([]) == FLOOR


@pytest.mark.parametrize(
    ("waited", "seconds"),
    [(0, 0.2), (-5, 0.2), (4, 0.2), (4.001, 0.20005), (20, 1), (100, 5), (199, 9.95), (200, 10), (9000, 10)],
)
def test_the_interval_is_a_share_of_the_wait(waited: float, seconds: float) -> None:
    """A twentieth of the time already waited, at least 0.2 s and at most 10 s between two looks."""
    assert interval(waited) == pytest.approx(seconds)


def test_waiting_wastes_little_and_asks_little() -> None:
    """A balancer that takes three minutes is seen ready within 5 %, after a hundred looks at most."""
    waited, looks = 0.0, 0
    while waited < 180:
        waited, looks = waited + interval(waited), looks + 1
    assert waited < 180 * 1.05
    assert looks <= 100
