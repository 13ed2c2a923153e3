"""Patience as a value: the one loop that sleeps, and the AWS answers that mean "not yet".

The only module that knows tenacity. The clock is injected: tests never sleep for real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum
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
# What EC2 says of an id that one of our own calls has just returned (facts sheet section 2).
NOT_FOUND_YET = frozenset(
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
PROPAGATION_TIMEOUT = 300.0  # seconds after which a new id is known everywhere (facts sheet sections 2 and 4)
# What a delete meets while something in the resource, or something that uses it, is not gone yet.
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
    """Seconds until the next poll after `waited` seconds: 5 % of them, so little is wasted and few calls are made."""
    return min(CEILING, max(FLOOR, SHARE * waited))


def retry_interval(refused_for: float) -> float:
    """Seconds until a call that AWS has refused for so long may go again.

    Longer than between polls: CreateVpcEndpoint has four tokens and gets one back every 3.3 seconds (facts sheet 7).
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
    """How long there has been no connection at all: a run outlives a short outage and gives up after a long one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None

    def note(self, answers: Iterable[object]) -> None:
        """Take in the answers of one snapshot: an outage goes on while no call of it was sent."""
        seen = list(answers)
        if not seen:  # a snapshot that asked nothing says nothing
            return
        if not all(_is_unsent(answer) for answer in seen):
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()

    def is_too_long(self) -> bool:
        """Whether it is time to give up."""
        return self._since is not None and self._clock.now() - self._since > OUTAGE


class ErrorClass(Enum):
    """What a failed call means for the next one."""

    NO_EFFECT = "no effect"  # a throttle, a 503, no connection: it may go again as it is
    UNKNOWN_EFFECT = "unknown effect"  # the answer was lost: only a snapshot can tell
    NOT_YET = "not yet"  # something that we just made is not known everywhere
    IN_USE = "in use"  # a delete has to wait for what still uses the resource
    GONE = "gone"  # there is nothing under that id (any more, or yet)
    FINAL = "final"


TRANSIENT = frozenset({ErrorClass.NO_EFFECT, ErrorClass.UNKNOWN_EFFECT})


def classify(error: object, retryable: frozenset[str] = frozenset()) -> ErrorClass:
    """The class of what a call raised; `retryable` are the codes that mean NOT_YET to this caller.

    EC2 says `Invalid...NotFound` and ELBv2 `...NotFound` of an id that is gone, and of one that is new: only the
    caller knows which, so a create passes NOT_FOUND_YET and the codes of its resource.
    """
    if not isinstance(error, AwsError):
        return ErrorClass.FINAL
    if error.code in THROTTLES or error.status == HTTPStatus.SERVICE_UNAVAILABLE or _is_unsent(error):
        return ErrorClass.NO_EFFECT
    if isinstance(error, LostAnswer):
        return ErrorClass.UNKNOWN_EFFECT
    if error.code in retryable:
        return ErrorClass.NOT_YET
    if error.code in IN_USE:
        return ErrorClass.IN_USE
    return ErrorClass.GONE if error.code.endswith("NotFound") else ErrorClass.FINAL


def _is_unsent(error: object) -> bool:
    return isinstance(error, AwsError) and error.code in UNSENT
