"""A flag that the handler of a signal may set."""

from __future__ import annotations

import contextlib
import queue


class SignalFlag:
    """Like threading.Event, and safe in the handler of a signal, at any moment.

    threading.Event is not: the handler runs in the main thread, between two lines of whatever that was doing. If it
    was in `Event.wait`, it may hold the lock that `Event.set` needs, and waits for itself for ever.
    SimpleQueue.put is reentrant by its documentation.
    """

    def __init__(self) -> None:
        self._is_set = False
        self._woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        """End every `wait`, now and later."""
        self._is_set = True
        self._woken.put(None)

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, at most `seconds`; returns whether it is."""
        if not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._woken.put(self._woken.get(timeout=max(0.0, seconds)))  # the next one who waits wants it too
        return self._is_set
