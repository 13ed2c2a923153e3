"""The clock, the one loop that sleeps, and how long a run goes on without a connection.

The only module that knows tenacity. The clock is injected: tests never sleep for real.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from privatelink_lab.retry_classes import is_unsent

Answer = TypeVar("Answer")

OUTAGE = 60.0  # seconds without any connection after which waiting on is no use


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
        if not all(is_unsent(answer) for answer in seen):
            self._since = None
        elif self._since is None:
            self._since = self._clock.now()

    def is_too_long(self) -> bool:
        """Whether it is time to give up."""
        return self._since is not None and self._clock.now() - self._since > OUTAGE
