"""Ctrl-C once and twice, SIGTERM, and SIGHUP of a closed terminal, at any call of `up` and `down`."""

from __future__ import annotations

import signal
from collections.abc import Iterable

import pytest
from support.proxied_lab import Count, ProxiedLab

ONCE, TWICE = (signal.SIGINT,), (signal.SIGINT, signal.SIGINT)
Case = tuple[str, tuple[signal.Signals, ...], Iterable[int]]
SAMPLE = (
    ("up", ONCE, (4, 30)),
    ("up", TWICE, (25,)),
    ("up", (signal.SIGHUP,), (20,)),
    ("down", (signal.SIGTERM,), (24,)),
)
WHOLE = [
    (command, signals, range(1, 200, 3))
    for command in ("up", "down")
    for signals in (ONCE, TWICE, (signal.SIGTERM,), (signal.SIGHUP,))
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All cases with --sweep, a sample without."""
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    ids = ["-".join([command, *(number.name for number in signals)]) for command, signals, _ in cases]
    metafunc.parametrize("case", cases, ids=ids)


def test_a_command_is_stopped_at_any_call(lab: ProxiedLab, record_property: Count, case: Case) -> None:
    """Exit code 130 with a sentence (a second Ctrl-C ends at once); the next `down` finds and deletes everything."""
    command, signals, numbers = case
    words = ("up", "-q") if command == "up" else ("down", "-y", "-q")
    done = 0
    for number in numbers:
        if command == "down":
            lab.run_well("up", "-q")

        def send_signals(signals: tuple[signal.Signals, ...] = signals) -> bool:
            lab.send(*signals)
            return False

        lab.proxy.set_hook(number, send_signals, after=False, mutating=False)
        code, output = lab.run_proxied(*words)
        action = lab.proxy.hooked_action
        at = f"{signals} at call {number}, {action}: {code}\n{output}"
        assert "Traceback" not in output, at
        if action and signals != TWICE:
            assert code in {130, 0, -signals[0]}, at
            assert code != 130 or "Stopped" in output or "Interrupted" in output, at
        lab.run_well("down", "-y", "-q")
        assert lab.leaked() == [], at
        if not action:
            break
        done += 1
    record_property("interruptions", done)
