"""Patience: how often plab looks, and which answers of AWS mean "not yet"."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import VirtualClock
from support.patience import PATIENCE

from privatelink_lab import waits
from privatelink_lab.errors import AwsError


def refusal(operation: str, code: str, status: int = 400) -> AwsError:
    """What AWS answered to an operation."""
    return AwsError("No", code=code, operation=operation, status=status)


@pytest.mark.parametrize(
    ("waited", "seconds"),
    [(0, 0.2), (-5, 0.2), (4, 0.2), (4.001, 0.20005), (20, 1), (100, 5), (199, 9.95), (200, 10), (9000, 10)],
)
def test_the_interval_is_a_share_of_the_wait(waited: float, seconds: float) -> None:
    """A twentieth of the time already waited, at least 0.2 s and at most 10 s between two looks."""
    assert waits.interval(waited) == pytest.approx(seconds)


def test_waiting_wastes_little_and_asks_little() -> None:
    """A balancer that takes three minutes is seen ready within 5 %, after a hundred looks at most."""
    waited, looks = 0.0, 0
    while waited < 180:
        waited, looks = waited + waits.interval(waited), looks + 1
    assert waited < 180 * 1.05
    assert looks <= 100


def test_until_returns_the_first_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop ends as soon as there is an answer, and sleeps on the clock that it was given, between looks only."""
    clock = VirtualClock()
    began, answers = clock.now(), iter([None, None, "ready", "never asked"])
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("a sleep on the machine's clock"))
    assert waits.until(lambda: next(answers), clock=clock, pause=lambda: waits.interval(clock.now() - began)) == "ready"
    assert clock.sleeps == 2
    assert clock.now() - began == pytest.approx(0.4)
    assert next(answers) == "never asked"


def test_an_answer_at_once_costs_no_sleep() -> None:
    """What is there already is not waited for."""
    clock = VirtualClock()
    assert waits.until(lambda: 0, clock=clock, pause=lambda: waits.FLOOR) == 0
    assert clock.sleeps == 0


def test_until_sleeps_longer_the_longer_it_takes() -> None:
    """The pauses follow the time already waited: 1,000 seconds of waiting are far fewer than 5,000 looks."""
    clock = VirtualClock()
    began = clock.now()

    def step() -> bool | None:
        return True if clock.now() - began > 1000 else None

    assert waits.until(step, clock=clock, pause=lambda: waits.interval(clock.now() - began))
    assert clock.sleeps < 200


def test_an_error_ends_the_wait_as_it_is() -> None:
    """What the step raises reaches the user, not tenacity's wrapping."""
    clock, error = VirtualClock(), refusal("CreateVpc", "VpcLimitExceeded")

    def step() -> None:
        raise error

    with pytest.raises(AwsError) as caught:
        waits.until(step, clock=clock, pause=lambda: waits.FLOOR)
    assert caught.value is error
    assert clock.sleeps == 0


def test_a_wake_ends_every_sleep() -> None:
    """Ctrl-C during a pause is answered at once, and no later pause holds it up."""
    clock = waits.RealClock()
    began = time.monotonic()
    waker = threading.Timer(0.01, clock.wake)
    waker.start()
    clock.sleep(PATIENCE)
    clock.sleep(PATIENCE)
    waker.join()
    assert time.monotonic() - began < PATIENCE


def test_the_real_clock_tells_the_time_of_day() -> None:
    """The state compares births between runs, so the clock counts from the epoch."""
    before, now, after = time.time(), waits.RealClock().now(), time.time()
    assert before - 1 <= now <= after + 1


@pytest.mark.parametrize(
    ("error", "throttle"),
    [
        (refusal("DescribeVpcs", "RequestLimitExceeded", 503), True),
        (refusal("DescribeVpcs", "EC2ThrottledException"), True),
        (refusal("DescribeLoadBalancers", "Throttling"), True),
        (refusal("GetParameter", "ThrottlingException"), True),
        (refusal("GetParameter", "TooManyRequestsException", 429), True),
        (refusal("CreateVpc", "Unavailable", 503), True),
        (refusal("CreateVpc", "InternalError", 500), False),
        (refusal("CreateVpc", "VpcLimitExceeded"), False),
        (refusal("CreateVpc", "UnauthorizedOperation", 403), False),
    ],
    ids=str,
)
def test_throttles_prove_that_nothing_happened(error: AwsError, *, throttle: bool) -> None:
    """Only refusals for load may be sent again blindly; they are also "not yet" and "in use"."""
    assert waits.is_throttle(error) == throttle
    if throttle:
        assert waits.is_not_yet(error)
        assert waits.is_in_use(error)


@pytest.mark.parametrize(
    ("operation", "code", "not_yet"),
    [
        ("CreateVpcEndpoint", "InvalidServiceName", True),
        ("CreateVpcEndpoint", "Unavailable", True),
        ("CreateVpcEndpoint", "InvalidSubnetID.NotFound", True),
        ("CreateVpcEndpoint", "InvalidParameter", False),
        ("CreateVpcEndpointServiceConfiguration", "LoadBalancerNotFound", True),
        ("RegisterTargets", "InvalidTarget", True),
        ("RegisterTargets", "TargetGroupNotFound", True),
        ("CreateListener", "LoadBalancerNotFound", True),
        ("CreateListener", "TargetGroupNotFound", True),
        ("CreateListener", "DuplicateListener", False),
        ("ModifyLoadBalancerAttributes", "LoadBalancerNotFound", True),
        ("CreateTargetGroup", "LoadBalancerNotFound", False),
        ("CreateSubnet", "InvalidVpcID.NotFound", True),
        ("RunInstances", "InvalidGroup.NotFound", True),
        ("RunInstances", "InvalidServiceName", False),
        ("CreateVpc", "VpcLimitExceeded", False),
    ],
)
def test_what_is_still_spreading_is_not_yet(operation: str, code: str, *, not_yet: bool) -> None:
    """AWS is eventually consistent: what we just made may be unknown to the next call, and only there."""
    assert waits.is_not_yet(refusal(operation, code)) == not_yet


@pytest.mark.parametrize(
    ("operation", "code", "in_use"),
    [
        ("DeleteSubnet", "DependencyViolation", True),
        ("DeleteTargetGroup", "ResourceInUse", True),
        ("DeleteSecurityGroup", "InvalidGroup.InUse", True),
        ("DeleteVpcEndpointServiceConfigurations", "ExistingVpcEndpointConnections", True),
        ("TerminateInstances", "IncorrectState", True),
        ("DeleteVpc", "InvalidVpcID.NotFound", False),
        ("DeleteVpc", "UnauthorizedOperation", False),
    ],
)
def test_what_something_holds_is_deleted_later(operation: str, code: str, *, in_use: bool) -> None:
    """`down` tries again while something still holds on, and reports anything else."""
    assert waits.is_in_use(refusal(operation, code)) == in_use


@pytest.mark.parametrize(
    ("code", "gone"),
    [
        ("InvalidVpcID.NotFound", True),
        ("InvalidVpcEndpointId.NotFound", True),
        ("LoadBalancerNotFound", True),
        ("TargetGroupNotFound", True),
        ("DependencyViolation", False),
        ("NotFoundYet", False),
    ],
)
def test_what_is_not_found_is_gone(code: str, *, gone: bool) -> None:
    """Deleting what is no more is no failure."""
    assert waits.is_gone(refusal("Delete", code)) == gone
