"""Patience as a value: the one loop that sleeps, and the AWS answers that mean "not yet".

The only module that knows tenacity. The clock is injected: tests never sleep for real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from privatelink_lab.errors import AwsError, LostAnswer

Answer = TypeVar("Answer")

FLOOR, CEILING, SHARE = 0.2, 10.0, 0.05  # seconds, seconds, share of the time already waited
RETRY_SHARE = 0.3  # the same for a call that changes something

OUTAGE = 60.0  # seconds without any connection after which waiting on is no use
UNSENT = frozenset({"EndpointConnectionError", "ConnectTimeoutError"})  # botocore's: no connection was made
THROTTLES = frozenset(
    {"RequestLimitExceeded", "EC2ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException"}
)
# Per API operation, what AWS answers while something that we just made is still spreading (facts sheet 3 to 5).
# DescribeVpcEndpointServices and CreateVpcEndpoint say InvalidServiceName for a fresh permission or service too.
SPREADING: dict[str, frozenset[str]] = {
    "CreateVpcEndpoint": frozenset({"Unavailable", "InvalidServiceName"}),
    # InvalidParameter names a balancer that is not active everywhere yet, or still tied to the service before.
    "CreateVpcEndpointServiceConfiguration": frozenset({"LoadBalancerNotFound", "InvalidParameter"}),
    "CreateLoadBalancer": frozenset({"SubnetNotFound"}),
    "RegisterTargets": frozenset({"InvalidTarget", "TargetGroupNotFound"}),
    "CreateListener": frozenset({"LoadBalancerNotFound", "TargetGroupNotFound"}),
    "ModifyLoadBalancerAttributes": frozenset({"LoadBalancerNotFound"}),
}
# What EC2 says of an id that one of our own calls has just returned (facts sheet section 2).
NOT_SPREAD = frozenset(
    {
        "InvalidVpcID.NotFound",
        "InvalidSubnetID.NotFound",
        "InvalidSubnetId.NotFound",
        "InvalidGroup.NotFound",
        "InvalidSecurityGroupID.NotFound",
        "InvalidSecurityGroupId.NotFound",
        "InvalidInstanceID.NotFound",
        "InvalidNetworkLoadBalancerArn.NotFound",
        "InvalidVpcEndpointServiceId.NotFound",
        "InvalidVpcEndpointId.NotFound",
        "InvalidVpcEndpoint.NotFound",
    }
)
SPREAD = 300.0  # seconds after which what we made should be known everywhere (facts sheet sections 2 and 4)
# What a delete meets while something that lives inside, or holds on, is not gone yet.
IN_USE = frozenset(
    {"DependencyViolation", "ResourceInUse", "InvalidGroup.InUse", "ExistingVpcEndpointConnections", "IncorrectState"}
)


class Clock(Protocol):
    """Time as the engine sees it, in seconds."""

    def now(self) -> float:
        """Seconds since the epoch, on a clock that never goes back within a run."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or at once when `wake` is called."""

    def wake(self) -> None:
        """End every sleep, now and later (an interrupt)."""


class RealClock:
    """The machine's clock; `wake` may be called from a signal handler."""

    def __init__(self) -> None:
        self._woken = threading.Event()
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch; the state compares them between runs."""
        return self._epoch + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait `seconds`, or less when woken."""
        self._woken.wait(seconds)

    def wake(self) -> None:
        """End every sleep."""
        self._woken.set()


def interval(waited: float) -> float:
    """Seconds until the next look after `waited` seconds: 5 % of them, so little is wasted and few calls are made."""
    return min(CEILING, max(FLOOR, SHARE * waited))


def retry_interval(refused_for: float) -> float:
    """Seconds until a call that AWS has refused for so long may go again.

    Longer than between looks: CreateVpcEndpoint has four tokens and gets one back every 3.3 seconds (facts sheet 7).
    """
    return min(CEILING, max(FLOOR, RETRY_SHARE * refused_for))


def until(step: Callable[[], Answer | None], *, clock: Clock, pause: Callable[[], float]) -> Answer:
    """Call `step` until it returns something, and return that.

    Between calls it sleeps `pause()` seconds. `step` bounds itself: it raises or returns when time is up.
    """

    def wait(_: RetryCallState) -> float:
        return pause()

    answer = Retrying(retry=retry_if_result(lambda got: got is None), wait=wait, sleep=clock.sleep)(step)
    assert answer is not None  # noqa: S101 (what `retry_if_result` promises)
    return answer


class Outage:
    """How long there has been no connection at all: a run outlives a short one, and does not wait for ever."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    def note(self, answers: Iterable[object]) -> None:
        """What came of one look: an outage goes on while every call of it was unsent."""
        seen = list(answers)
        if not seen:  # a look that asked nothing says nothing
            return
        if not all(is_unsent(each) for each in seen):
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()

    def is_too_long(self) -> bool:
        """Whether it is time to give up."""
        return self._since is not None and self._clock.now() - self._since > OUTAGE


def is_throttle(error: AwsError) -> bool:
    """Whether AWS refused for load alone: the call had no effect and may go again."""
    return error.code in THROTTLES or error.status == HTTPStatus.SERVICE_UNAVAILABLE


def is_unsent(error: object) -> bool:
    """Whether the call never left: there was no connection."""
    return isinstance(error, AwsError) and error.code in UNSENT


def had_no_effect(error: AwsError) -> bool:
    """Whether nothing was done, for no reason of the call's own: it may go again as it is."""
    return is_throttle(error) or is_unsent(error)


def is_unanswered(error: AwsError) -> bool:
    """Whether AWS has not said anything of the matter itself: no effect, or nobody knows which."""
    return had_no_effect(error) or isinstance(error, LostAnswer)


def is_not_yet(error: AwsError) -> bool:
    """Whether the same call may succeed a little later: no effect yet, or something is still spreading."""
    return had_no_effect(error) or error.code in NOT_SPREAD or error.code in SPREADING.get(error.operation, ())


def may_be_seen_later(error: AwsError) -> bool:
    """Whether a describe may succeed a little later: no answer, or a parent that AWS has not spread yet."""
    return is_unanswered(error) or is_gone(error)


def is_in_use(error: AwsError) -> bool:
    """Whether a delete has to wait for something that still holds on."""
    return is_unanswered(error) or error.code in IN_USE


def is_gone(error: AwsError) -> bool:
    """Whether a delete found nothing to delete: EC2 says `Invalid...NotFound`, ELBv2 `...NotFound`."""
    return error.code.endswith("NotFound")
