"""Time in the local AWS: its clock, and which transitions are due.

This module has no thread. Due transitions run before the next request, in order of due time, so a
test that controls the wall clock controls every state.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable

from privatelink_lab.local.api.delays import DELAYS, LASTING

LOG = logging.getLogger(__name__)


Action = Callable[[], None]


class AwsClock:
    """Seconds of AWS time, `speed` times faster than `wall`.

    At speed 0 every delay is 0, and `now` runs as fast as the wall clock. With `slow`, the delays
    are those of a slow day on AWS.
    """

    def __init__(self, speed: float = 1.0, wall: Callable[[], float] = time.monotonic, *, slow: bool = False) -> None:
        self.speed = speed
        self.slow = slow
        self._wall = wall
        self._start = wall()

    def now(self) -> float:
        """Seconds of AWS time since this clock was made."""
        return (self._wall() - self._start) * (self.speed or 1.0)

    def delay(self, name: str) -> float:
        """Seconds of AWS time that the transition `name` takes."""
        if not self.speed and name not in LASTING:
            return 0.0
        return DELAYS[name].slow if self.slow else DELAYS[name].usual


class Scheduler:
    """Actions that will run, and when. Call it under the server's lock only."""

    def __init__(self, clock: AwsClock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._moment: float | None = None

    def now(self) -> float:
        """Seconds of AWS time; inside an action, the moment at which it was due.

        Otherwise a chain of transitions would take longer when no request comes for a while.
        """
        return self.clock.now() if self._moment is None else self._moment

    def after(self, delay: str, action: Action) -> None:
        """Run `action` when the time of the transition `delay` has passed."""
        self.later(self.clock.delay(delay), action)

    def later(self, seconds: float, action: Action) -> None:
        """Run `action` after that many seconds of AWS time."""
        due = self.now() + seconds
        heapq.heappush(self._due, (due, next(self._order), action))

    def run_due(self) -> bool:
        """Run all due actions, earliest first, and those that they make due; True if there was any.

        An action that fails is logged; the next request must not fail with it.
        """
        now, ran = self.clock.now(), False
        while self._due and self._due[0][0] <= now:
            self._moment, _, action = heapq.heappop(self._due)
            try:
                action()
            except Exception:
                LOG.exception("a transition failed")
            finally:
                self._moment, ran = None, True
        return ran
