"""What the handler of a signal may call while any line of plab runs."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support.cloud import Cloud
from support.timeouts import PATIENCE

from privatelink_lab.clock import RealClock
from privatelink_lab.signal_flag import SignalFlag

MOMENT = 0.001  # seconds: long enough to reach every instruction of a wait
Call = Callable[[], object]


def sleeping(_: Cloud) -> tuple[Call, Call]:
    """A pause of the loop, and what Ctrl-C does to it."""
    clock = RealClock()
    return lambda: clock.sleep(MOMENT), clock.wake


def twice(cloud: Cloud) -> tuple[Call, Call]:
    """The first Ctrl-C, and the second while that is still dealt with."""
    lab = cloud.lab()
    lab.clock = RealClock()
    return lab.interrupt, lab.interrupt


def serving(_: Cloud) -> tuple[Call, Call]:
    """The local AWS between two looks, and SIGTERM."""
    flag = SignalFlag()
    return lambda: flag.wait(MOMENT), flag.set


@pytest.mark.parametrize("case", [sleeping, twice, serving])
def test_a_signal_is_safe_at_every_instruction(cloud: Cloud, case: Callable[[Cloud], tuple[Call, Call]]) -> None:
    """Ctrl-C and SIGTERM never wait for a lock that the thread which they interrupt holds."""
    for number in itertools.count():  # ends with the last instruction
        work, handler = case(cloud)
        interrupted = Interrupted(work, handler, number)
        interrupted.start()
        interrupted.join(PATIENCE)
        assert not interrupted.is_alive(), f"the handler hangs at instruction {number}"
        if not interrupted.was_interrupted:
            break
    assert number > 10


class Interrupted(threading.Thread):
    """Runs `work`, and before its instruction with that number `handler`, as Python runs a signal's."""

    def __init__(self, work: Call, handler: Call, number: int) -> None:
        super().__init__(daemon=True)
        self._work, self._handler, self._left = work, handler, number
        self.was_interrupted = False

    def run(self) -> None:
        """Count the instructions."""
        sys.settrace(self._trace)
        self._work()
        sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        self._left -= event == "opcode"
        if self._left < 0 and not self.was_interrupted:
            self.was_interrupted = True
            self._handler()
        return self._trace


def test_a_flag_that_is_set_stays_set() -> None:
    """Everybody who waits for the flag sees it, also later; until then a wait ends with its time."""
    flag = SignalFlag()
    assert not flag.wait(MOMENT)
    assert not flag.wait(-MOMENT)
    flag.set()
    assert [flag.wait(PATIENCE) for _ in range(3)] == [True, True, True]
