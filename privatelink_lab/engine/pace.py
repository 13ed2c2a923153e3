"""When each key is worth another look: the seldomer the longer nothing of it has changed, at once when something has.

A look that comes for one key takes along those whose own would come soon, so waiting for many costs little more than
waiting for one.
"""

from __future__ import annotations

from collections.abc import Iterable

from privatelink_lab.waits import FLOOR, Clock, interval

SOON = 0.5  # of a key's own interval


class Pace:
    """The moments of the last change and the last look of each key, in seconds of the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[str, float] = {}
        self._looked: dict[str, float] = {}

    def changed(self, key: str) -> None:
        """Something of it is new: the next looks come quickly again."""
        self._changed[key] = self._clock.now()

    def look_again(self, keys: Iterable[str]) -> None:
        """Something was done to these, or near them: the next look is due at once."""
        for key in keys:
            self.changed(key)
            self._looked.pop(key, None)

    def looked(self, keys: Iterable[str]) -> None:
        """A look has read these."""
        now = self._clock.now()
        for key in keys:
            self._looked[key] = now
            self._changed.setdefault(key, now)

    def is_due(self, key: str) -> bool:
        """Whether it is to be read by a look that comes now."""
        return self._remaining(key, SOON) <= 0

    def pause(self, keys: Iterable[str]) -> float:
        """Seconds until the first of these needs a look of its own; FLOOR for no keys."""
        return max(0.0, min((self._remaining(key, 1.0) for key in keys), default=FLOOR))

    def _remaining(self, key: str, share: float) -> float:
        if key not in self._looked:
            return 0.0
        now = self._clock.now()
        return self._looked[key] + share * interval(now - self._changed[key]) - now
