"""The clock, the one loop that sleeps, and how long a run goes on without a connection.

The only module that knows tenacity. The clock is injected: tests never sleep for real.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_result

from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.retry_classes import is_unsent
from privatelink_lab.signal_flag import SignalFlag

if TYPE_CHECKING:
    from privatelink_lab.aws.account import Silence

Answer = TypeVar("Answer")

OUTAGE = 60.0  # seconds without any connection after which waiting on is no use
TOLD_AFTER = 45.0  # seconds without a usable answer of one service after which its URL is told
SILENCE = 300.0  # the same, after which what it should have said is given up


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
        self._woken = SignalFlag()
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
    """How long AWS has given no usable answer: a run outlives a short outage and gives up after a long one.

    `silent` says by service and URL since when (`time.monotonic`) none has come from there, and the last error.
    """

    def __init__(self, clock: Clock, silent: Callable[[], Mapping[str, Silence]]) -> None:
        self._clock, self._silent = clock, silent
        self._since: float | None = None  # no connection at all
        self._silent_since: dict[str, float] = {}
        self._first: dict[str, float] = {}  # as the account has it: another one is another silence
        self._told: set[str] = set()

    def note(self, answers: Iterable[object]) -> None:
        """Take in the answers of one snapshot: an outage goes on while no call of it was sent."""
        now, seen, silent = self._clock.now(), list(answers), self._silent()
        began = {source: now - (time.monotonic() - silence.since) for source, silence in silent.items()}
        same = {source for source, silence in silent.items() if self._first.get(source) == silence.since}
        known = {source: since for source, since in self._silent_since.items() if source in same}
        self._silent_since = began | known
        self._first = {source: silence.since for source, silence in silent.items()}
        self._told &= silent.keys()
        if not seen:  # a snapshot that asked nothing says nothing
            return
        if not all(is_unsent(answer) for answer in seen):
            self._since = None
        elif self._since is None:
            self._since = now

    def news(self) -> dict[str, AwsError]:
        """By service and URL: what has been silent for almost a minute, and the last error there; each is told once."""
        now, silent = self._clock.now(), self._silent()
        long = {source for source, since in self._silent_since.items() if now - since >= TOLD_AFTER}
        new = (long & silent.keys()) - self._told
        self._told |= new
        return {source: silent[source].error for source in new}

    def is_too_long(self, answer: object) -> bool:
        """Whether it is time to give up what has this answer."""
        now, source = self._clock.now(), answer.source if isinstance(answer, AwsError) else ""
        if self._since is not None and now - self._since > OUTAGE:
            return True
        return now - self._silent_since.get(source, now) > SILENCE

    def explained(self, error: PlabError) -> PlabError:
        """The error, which says from where no usable answer has come, if that is why it is given up."""
        if not isinstance(error, AwsError) or error.source not in self._silent_since:
            return error
        minutes = (self._clock.now() - self._silent_since[error.source]) / 60
        text = f"{error.source} has given no usable answer for {minutes:.0f} minutes: {error.message}"
        return AwsError(text, code=error.code, operation=error.operation, hint=error.hint, source=error.source)
