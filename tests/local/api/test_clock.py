"""The clock of the local AWS, and its scheduler."""

from __future__ import annotations

import pytest

from privatelink_lab.local.api.clock import AwsClock, Scheduler
from privatelink_lab.local.api.delays import DELAYS


def test_speed_divides_the_wait() -> None:
    """At speed 20 a real second is 20 seconds of AWS time."""
    wall = [100.0]
    clock = AwsClock(20, wall=lambda: wall[0])
    wall[0] += 1
    assert clock.now() == 20
    assert clock.delay("balancer_active") == DELAYS["balancer_active"].usual


def test_what_is_due_runs_in_order_of_its_time() -> None:
    """Two transitions end in the order of their due times, not in the order of their creation."""
    wall, seen = [0.0], list[str]()
    scheduler = Scheduler(AwsClock(1, wall=lambda: wall[0]))
    scheduler.after("endpoint_available", lambda: seen.append("late"))
    scheduler.after("accept_pending", lambda: seen.append("early"))
    scheduler.run_due()
    assert seen == []
    wall[0] = 60
    scheduler.run_due()
    assert seen == ["early", "late"]


def test_a_chain_takes_no_longer_without_requests() -> None:
    """An action that starts another counts from its own due time, not from the next request."""
    wall, seen = [0.0], list[float]()
    scheduler = Scheduler(AwsClock(1, wall=lambda: wall[0]))
    second = lambda: seen.append(scheduler.now())  # noqa: E731  # two steps, one line each
    scheduler.after("accept_pending", lambda: scheduler.after("endpoint_available", second))
    wall[0] = 1000
    scheduler.run_due()
    assert seen == [61]
    assert scheduler.now() == 1000


def test_speed_zero_is_at_once() -> None:
    """At speed 0 everything is due before the next request, chains included."""
    seen = list[str]()
    scheduler = Scheduler(AwsClock(0, wall=lambda: 0.0))
    scheduler.after("accept_pending", lambda: scheduler.after("endpoint_gone", lambda: seen.append("x")))
    assert seen == []
    scheduler.run_due()
    assert seen == ["x"]


def test_one_failing_transition_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the transitions after it still happen."""
    seen = list[str]()
    scheduler = Scheduler(AwsClock(0, wall=lambda: 0.0))
    scheduler.after("reject", lambda: seen.append(str(1 // 0)))
    scheduler.after("reject", lambda: seen.append("next"))
    scheduler.run_due()
    assert seen == ["next"]
    assert "ZeroDivisionError" in caplog.text
