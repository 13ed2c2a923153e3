"""Ctrl-C once and twice, SIGTERM and a closed terminal, at any call of `up` and `down`."""

from __future__ import annotations

import signal
from collections.abc import Iterable

import pytest
from support.proxied_lab import StruckLab

from .conftest import Count

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
    """All of it with --sweep."""
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    ids = ["-".join([command, *(each.name for each in signals)]) for command, signals, _ in cases]
    metafunc.parametrize("case", cases, ids=ids)


def test_stopped_at_any_call(lab: StruckLab, record_property: Count, case: Case) -> None:
    """Exit 130 with a sentence (a second Ctrl-C ends at once); what was made is known, and the next `down` finishes."""
    command, signals, numbers = case
    words = ("up", "-q") if command == "up" else ("down", "-y", "-q")
    done = 0
    for number in numbers:
        if command == "down":
            lab.must("up", "-q")

        def strike(signals: tuple[signal.Signals, ...] = signals) -> bool:
            lab.send(*signals)
            return False

        lab.proxy.trap(number, strike, after=False, mutating=False)
        code, said = lab.process_of(*words)
        struck = lab.proxy.struck
        at = f"{signals} at call {number}, {struck}: {code}\n{said}"
        assert "Traceback" not in said, at
        if struck and signals != TWICE:
            assert code in {130, 0, -signals[0]}, at
            assert code != 130 or "Stopped" in said or "Interrupted" in said, at
        lab.must("down", "-y", "-q")
        assert lab.leaked() == [], at
        if not struck:
            break
        done += 1
    record_property("interruptions", done)
