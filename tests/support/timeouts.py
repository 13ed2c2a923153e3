"""How long a test waits on the clock of the machine.

What must happen gets PATIENCE: it costs nothing where that happens at once, and a busy machine is no failure. What must
not happen (a packet is dropped) is awaited for a short time of its own, and that the time is over is the proof.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0  # seconds


def until(read: Callable[[], Any], what: str = "it") -> Any:
    """What `read` returns as soon as that is true; a real process is at work, so this reads every 20 ms."""
    end = time.monotonic() + PATIENCE
    while not (seen := read()):
        assert time.monotonic() < end, f"no {what} within {PATIENCE} s"
        time.sleep(0.02)
    return seen
