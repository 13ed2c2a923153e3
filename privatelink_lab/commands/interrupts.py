"""Ctrl-C, SIGTERM and a closed terminal while a command runs."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from privatelink_lab.lab import Lab


@contextlib.contextmanager
def interruptible(lab: Lab) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal stop the loop after calls in flight; a second Ctrl-C stops at once."""

    def stop(_: int, __: FrameType | None) -> None:
        if lab.interrupted:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)
        lab.interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
