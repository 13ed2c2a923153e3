"""When each key is polled: less often the longer it stays unchanged, at once when something has changed.

A poll that is due for one key takes along those that would soon be due, so waiting for many costs little more than
waiting for one.
"""

from __future__ import annotations

from collections.abc import Iterable

from privatelink_lab.clock import Clock

FLOOR, CEILING, SHARE = 0.2, 10.0, 0.05  # seconds, seconds, share of the time already waited
RETRY_SHARE = 0.3  # the same for a call that changes something
SOON = 0.5  # of a key's own interval


def interval(waited: float) -> float:
    """Seconds until the next poll after `waited` seconds: 5 % of them, so little is wasted and few calls are made."""
    return min(CEILING, max(FLOOR, SHARE * waited))


def retry_interval(refused_for: float) -> float:
    """Seconds until a call that AWS has refused for so long may go again.

    Longer than between polls: CreateVpcEndpoint has four tokens and gets one back every 3.3 seconds (AWS facts 9).
    """
    return min(CEILING, max(FLOOR, RETRY_SHARE * refused_for))


class Pace:
    """The moments of the last change and the last poll of each key, in seconds of the clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed: dict[str, float] = {}
        self._polled: dict[str, float] = {}

    def changed(self, key: str) -> None:
        """Note a change of the key: the next polls come quickly again."""
        self._changed[key] = self._clock.now()

    def poll_now(self, keys: Iterable[str]) -> None:
        """Make these keys due at once, because a call was made for them or for a neighbour."""
        for key in keys:
            self.changed(key)
            self._polled.pop(key, None)

    def polled(self, keys: Iterable[str]) -> None:
        """Note that a snapshot has read these keys."""
        now = self._clock.now()
        for key in keys:
            self._polled[key] = now
            self._changed.setdefault(key, now)

    def is_due(self, key: str) -> bool:
        """Whether a snapshot that is taken now should read it."""
        return self._remaining(key, SOON) <= 0

    def pause(self, keys: Iterable[str]) -> float:
        """Seconds until the first of these keys is due for a poll of its own; FLOOR for no keys."""
        return max(0.0, min((self._remaining(key, 1.0) for key in keys), default=FLOOR))

    def _remaining(self, key: str, share: float) -> float:
        if key not in self._polled:
            return 0.0
        now = self._clock.now()
        return self._polled[key] + share * interval(now - self._changed[key]) - now
