"""The loop that sleeps, and the real clock."""

from __future__ import annotations

import threading
import time

import pytest
from support.cloud import VirtualClock
from support.timeouts import PATIENCE

from privatelink_lab.aws.account import Silence
from privatelink_lab.clock import Outage, RealClock, until
from privatelink_lab.engine.polling import FLOOR, interval
from privatelink_lab.errors import AwsError


def refusal(operation: str, code: str, status: int = 400) -> AwsError:
    """What AWS answered to an operation."""
    return AwsError("No", code=code, operation=operation, status=status)


def test_until_returns_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop ends as soon as there is an answer, and sleeps only between two calls, on the given clock."""
    clock = VirtualClock()
    began, answers = clock.now(), iter([None, None, "ready", "never asked"])
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a sleep on the machine's clock"))
    assert until(lambda: next(answers), clock=clock, pause=lambda: interval(clock.now() - began)) == "ready"
    assert clock.sleeps == 2
    assert clock.now() - began == pytest.approx(0.4)
    assert next(answers) == "never asked"


def test_an_answer_at_once_costs_no_sleep() -> None:
    """What is there already is not waited for."""
    clock = VirtualClock()
    assert until(lambda: 0, clock=clock, pause=lambda: FLOOR) == 0
    assert clock.sleeps == 0


def test_until_sleeps_longer_the_longer_it_takes() -> None:
    """The pauses follow the time already waited: 1,000 seconds of waiting are far fewer than 5,000 calls."""
    clock = VirtualClock()
    began = clock.now()

    def step() -> bool | None:
        return True if clock.now() - began > 1000 else None

    assert until(step, clock=clock, pause=lambda: interval(clock.now() - began))
    assert clock.sleeps < 200


def test_an_error_ends_the_wait_as_it_is() -> None:
    """What the step raises reaches the user, not tenacity's wrapping."""
    clock, error = VirtualClock(), refusal("CreateVpc", "VpcLimitExceeded")

    def step() -> None:
        raise error

    with pytest.raises(AwsError) as caught:
        until(step, clock=clock, pause=lambda: FLOOR)
    assert caught.value is error
    assert clock.sleeps == 0


def test_a_wake_ends_every_sleep() -> None:
    """Ctrl-C during a pause is answered at once, and no later pause holds it up."""
    clock = RealClock()
    began = time.monotonic()
    waker = threading.Timer(0.01, clock.wake)
    waker.start()
    clock.sleep(PATIENCE)
    clock.sleep(PATIENCE)
    waker.join()
    assert time.monotonic() - began < PATIENCE


def test_the_real_clock_tells_the_time_of_day() -> None:
    """The state compares times of creation between runs, so the clock counts from the epoch."""
    before, now, after = time.time(), RealClock().now(), time.time()
    assert before - 1 <= now <= after + 1


def test_a_silence_that_was_broken_is_another_one() -> None:
    """One call hangs again and again while others are answered: that is no service without an answer."""
    clock, error = VirtualClock(), refusal("DescribeVpcs", "ReadTimeoutError")
    error.source = "ec2 at https://x"
    silent: dict[str, Silence] = {}
    outage = Outage(clock, lambda: silent)
    for _ in range(10):
        silent[error.source] = Silence(time.monotonic(), error)
        outage.note([error, ()])
        clock.time += 60
    assert not outage.is_too_long(error)
    outage.note([error])
    clock.time += 301
    assert outage.is_too_long(error)
