"""Time for the fake: how long AWS takes, and what is due.

There is no background thread. What is due runs before the next request, in order of due time, so
a test that owns the wall clock owns every state.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

LOG = logging.getLogger(__name__)

DELAYS: Mapping[str, float] = MappingProxyType(
    {
        "instance_running": 15,
        "instance_stopped": 30,
        "instance_terminated": 30,
        "balancer_active": 130,
        "target_healthy": 60,  # after listener, active balancer, running target
        "accept_pending": 1,  # pendingAcceptance -> pending
        "endpoint_available": 60,  # pending -> available
        "reject": 1,
        "endpoint_deleted": 60,  # deleting -> deleted: the network interfaces go here
        "endpoint_gone": 60,  # deleted -> not found
        "service_deleted": 10,  # Deleting -> Deleted
        "service_gone": 5,  # Deleted -> not found: the balancer is free from here on
    }
)
"""Seconds of AWS time for each transition that the fake makes."""

Action = Callable[[], None]


class Clock:
    """Seconds of AWS time, `speed` times faster than `wall`.

    Speed 0 means at once: every delay is 0, and `now` runs as the wall does.
    """

    def __init__(self, speed: float = 1.0, wall: Callable[[], float] = time.monotonic) -> None:
        self.speed = speed
        self._wall = wall
        self._start = wall()

    def now(self) -> float:
        """Seconds of AWS time since this clock was made."""
        return (self._wall() - self._start) * (self.speed or 1.0)

    def delay(self, name: str) -> float:
        """Seconds of AWS time that the transition `name` takes."""
        return DELAYS[name] if self.speed else 0.0


class Agenda:
    """What will happen, and when. Call it under the server's lock only."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._moment: float | None = None

    def now(self) -> float:
        """Seconds of AWS time; inside an action, the moment at which it was due.

        Without that, a chain of transitions would stretch when nobody asks for a while.
        """
        return self.clock.now() if self._moment is None else self._moment

    def after(self, delay: str, action: Action) -> None:
        """Run `action` once the transition `delay` has had its time."""
        due = self.now() + self.clock.delay(delay)
        heapq.heappush(self._due, (due, next(self._order), action))

    def settle(self) -> None:
        """Run all that is due, earliest first, and what that makes due.

        One that fails is logged: it must not take the request along that happens to come next.
        """
        now = self.clock.now()
        while self._due and self._due[0][0] <= now:
            self._moment, _, action = heapq.heappop(self._due)
            try:
                action()
            except Exception:
                LOG.exception("a transition failed")
            finally:
                self._moment = None
