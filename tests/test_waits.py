"""Patience: how often plab looks, and which answers of AWS mean "not yet"."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import Cloud, VirtualClock
from support.patience import PATIENCE

from privatelink_lab import waits
from privatelink_lab.engine import planned
from privatelink_lab.errors import AccountError, AwsError, LostAnswer
from privatelink_lab.steps import STEPS
from privatelink_lab.waits import ErrorClass, classify


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


NEW = waits.NOT_FOUND_YET | {"InvalidServiceName"}  # what the create of an endpoint passes
CLASSES = [  # operation, code, HTTP status, the codes that the caller may see again later -> what it means
    ("DescribeVpcs", "RequestLimitExceeded", 503, NEW, ErrorClass.NO_EFFECT),
    ("DescribeVpcs", "EC2ThrottledException", 400, (), ErrorClass.NO_EFFECT),
    ("DescribeLoadBalancers", "Throttling", 400, (), ErrorClass.NO_EFFECT),
    ("GetParameter", "ThrottlingException", 400, (), ErrorClass.NO_EFFECT),
    ("GetParameter", "TooManyRequestsException", 429, (), ErrorClass.NO_EFFECT),
    ("CreateVpc", "Unavailable", 503, (), ErrorClass.NO_EFFECT),
    ("CreateVpcEndpoint", "Unavailable", 503, NEW, ErrorClass.NO_EFFECT),
    ("CreateVpc", "EndpointConnectionError", 0, (), ErrorClass.NO_EFFECT),
    ("CreateVpc", "ConnectTimeoutError", 0, (), ErrorClass.NO_EFFECT),
    ("CreateVpcEndpoint", "InvalidServiceName", 400, NEW, ErrorClass.NOT_YET),
    ("CreateVpcEndpoint", "InvalidSubnetID.NotFound", 400, NEW, ErrorClass.NOT_YET),
    ("RunInstances", "InvalidGroup.NotFound", 400, NEW, ErrorClass.NOT_YET),
    ("CreateVpcEndpoint", "InvalidParameter", 400, NEW, ErrorClass.FINAL),
    ("RunInstances", "InvalidServiceName", 400, waits.NOT_FOUND_YET, ErrorClass.FINAL),
    ("RunInstances", "InvalidAMIID.NotFound", 400, NEW, ErrorClass.GONE),
    ("DeleteSubnet", "DependencyViolation", 400, (), ErrorClass.IN_USE),
    ("DeleteTargetGroup", "ResourceInUse", 400, (), ErrorClass.IN_USE),
    ("DeleteSecurityGroup", "InvalidGroup.InUse", 400, (), ErrorClass.IN_USE),
    ("DeleteVpcEndpointServiceConfigurations", "ExistingVpcEndpointConnections", 200, (), ErrorClass.IN_USE),
    ("TerminateInstances", "IncorrectState", 400, (), ErrorClass.IN_USE),
    ("DeleteVpc", "InvalidVpcID.NotFound", 400, (), ErrorClass.GONE),
    ("DeleteLoadBalancer", "LoadBalancerNotFound", 400, (), ErrorClass.GONE),
    ("DeleteVpcEndpoints", "InvalidVpcEndpointId.NotFound", 200, (), ErrorClass.GONE),
    ("DeleteVpc", "NotFoundYet", 400, (), ErrorClass.FINAL),
    ("CreateVpc", "VpcLimitExceeded", 400, NEW, ErrorClass.FINAL),
    ("CreateVpc", "UnauthorizedOperation", 403, NEW, ErrorClass.FINAL),
    ("CreateVpc", "InternalError", 500, NEW, ErrorClass.FINAL),
]


@pytest.mark.parametrize(("operation", "code", "status", "retryable", "meaning"), CLASSES)
def test_each_refusal_has_one_class(
    operation: str, code: str, status: int, retryable: frozenset[str], meaning: ErrorClass
) -> None:
    """What AWS answered decides whether plab sends it again, waits, takes it for gone, or says that it failed."""
    assert classify(refusal(operation, code, status), frozenset(retryable)) is meaning


def test_a_lost_answer_proves_nothing() -> None:
    """The call may have had its effect, whatever its code is: only a snapshot can tell."""
    error = LostAnswer("Read timeout", code="ReadTimeoutError", operation="CreateVpc")
    assert classify(error) is ErrorClass.UNKNOWN_EFFECT
    assert classify(error, NEW) is ErrorClass.UNKNOWN_EFFECT


def test_what_is_no_answer_of_aws_is_final() -> None:
    """No usable credentials, or a mistake in the config: waiting does not help."""
    assert classify(AccountError("No such profile.")) is ErrorClass.FINAL


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("acme/endpoint", "InvalidServiceName"),
        ("acme/endpoint", "Unavailable"),
        ("provider/endpoint-service", "LoadBalancerNotFound"),
        ("provider/endpoint-service", "InvalidParameter"),
        ("provider/nlb", "SubnetNotFound"),
        ("provider/nlb", "LoadBalancerNotFound"),
        ("provider/target-group/registration", "InvalidTarget"),
        ("provider/target-group/registration", "TargetGroupNotFound"),
        ("provider/nlb/listener", "LoadBalancerNotFound"),
        ("provider/nlb/listener", "TargetGroupNotFound"),
    ],
)
def test_a_resource_names_what_its_create_may_meet(cloud: Cloud, key: str, code: str) -> None:
    """AWS is eventually consistent: what we just made may be unknown to the next call (facts sheet 3 to 5)."""
    resources = planned(cloud.lab(), STEPS)
    assert code in resources[key].retryable
    assert code not in resources["provider/vpc"].retryable
