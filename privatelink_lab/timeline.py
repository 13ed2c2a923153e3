"""How long one run took and why: when each key began and ended, what it waited for, and the deciding chain."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

LATEST = 253_402_300_799.0  # epoch seconds; the last moment of the year 9999


def _number(value: Any) -> float:
    """A time or duration in seconds; raises TypeError or ValueError for anything else."""
    number = float(value)
    if not 0 <= number <= LATEST:
        raise ValueError(value)
    return number


@dataclass
class Span:
    """One key's part of a run, in seconds since its start.

    `began` is the time of its first call or first wait; `ended` the time when other keys could go on (None: not in this
    run); `after` the key whose end it waited for last (None: it waited for none).
    """

    began: float
    ended: float | None = None
    after: str | None = None

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The span that `dataclasses.asdict` wrote; raises TypeError, KeyError or ValueError for other data."""
        ended, after = data["ended"], data["after"]
        return cls(_number(data["began"]), None if ended is None else _number(ended), after and str(after))


@dataclass
class Timeline:
    """One run of a command; `at` is its start in epoch seconds.

    `seconds` is its length so far; `over` is True once it has ended by itself, whatever its exit code.
    """

    command: str
    at: float
    seconds: float = 0.0
    over: bool = False
    spans: dict[str, Span] = field(default_factory=dict)

    @classmethod
    def of(cls, data: dict[str, Any]) -> Self:
        """The run that `asdict` wrote; raises TypeError, KeyError, AttributeError or ValueError for other data."""
        spans = {key: Span.of(span) for key, span in data["spans"].items()}
        return cls(str(data["command"]), _number(data["at"]), _number(data["seconds"]), bool(data["over"]), spans)

    def begin(self, key: str, now: float, before: Iterable[str]) -> None:
        """Begin a key's span at `now` (epoch seconds), unless it has begun; it had to wait for the keys `before`."""
        if key not in self.spans:
            self.spans[key] = Span(self._since_start(now), None, self._last_of(before))

    def end(self, key: str, now: float, before: Iterable[str]) -> None:
        """End a key's span at `now`, unless it has ended; it had to wait for the keys `before`."""
        span = self.spans.get(key)
        if span and span.ended is None:
            span.ended = self._since_start(now)
            span.after = self._last_of(before) or span.after

    def note(self, now: float, *, over: bool) -> None:
        """Record that the run has lasted until `now`, and whether it is `over`."""
        self.seconds, self.over = self._since_start(now), over

    def chain(self) -> list[str]:
        """The keys that decided how long the run took, first to last: each of them waited for the one before it.

        While the run is not over, the chain leads to the key that it waits for.
        """
        waiting = [] if self.over else [key for key, span in self.spans.items() if span.ended is None]
        last = min(waiting, key=lambda key: self.spans[key].began) if waiting else self._last_of(self.spans)
        chain: list[str] = []
        while last is not None and last not in chain:
            chain.insert(0, last)
            last = self.spans[last].after if last in self.spans else None
        return [key for key in chain if key in self.spans]

    def _last_of(self, keys: Iterable[str]) -> str | None:
        """The key that ended last; of several, the one named last, because it may depend on the others."""
        ended = [
            (span.ended, number, key)
            for number, key in enumerate(keys)
            if (span := self.spans.get(key)) and span.ended is not None
        ]
        return max(ended)[2] if ended else None

    def _since_start(self, now: float) -> float:
        return round(now - self.at, 2)
