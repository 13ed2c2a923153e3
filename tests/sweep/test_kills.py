"""`plab` is killed right before or right after each of its changes; whatever is run next, nothing leaks or doubles.

A sample runs always; `make sweep` runs all of it and prints the figure.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

import pytest
from support.proxied_lab import StruckLab

from .conftest import Count

Case = tuple[str, str, Callable[[StruckLab], None], Iterable[int]]


def again(lab: StruckLab) -> None:
    """Up again, whole and nothing twice; then down."""
    lab.must("up", "-q")
    assert lab.duplicated() == {}
    lab.must("down", "-y", "-q")


def down(lab: StruckLab) -> None:
    """Down at once."""
    lab.must("down", "-y", "-q")


def lost(lab: StruckLab) -> None:
    """The state file is lost; up again, whole and nothing twice; then down."""
    lab.state.unlink(missing_ok=True)
    again(lab)


def twice(lab: StruckLab) -> None:
    """Down, and down again."""
    lab.must("down", "-y", "-q")
    lab.must("down", "-y", "-q")


SAMPLE = (  # what a fast run does: changes by number, and what comes next
    ("up", "before", again, (9,)),
    ("up", "after", lost, (1, 12)),
    ("down", "before", twice, (6,)),
    ("down", "after", down, (3,)),
)
WHOLE = [
    (command, moment, then, range(1, 100))
    for command in ("up", "down")
    for moment in ("before", "after")
    for then in (again, down, lost, twice)
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of it with --sweep."""
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    ids = [f"{command}-{moment}-{then.__name__}" for command, moment, then, _ in cases]
    metafunc.parametrize("case", cases, ids=ids)


def test_killed_at_each_change(lab: StruckLab, record_property: Count, case: Case) -> None:
    """SIGKILL at the change of that number: no duplicate after the next `up`, nothing left after the next `down`."""
    command, moment, then, numbers = case
    done = 0
    for number in numbers:
        if not _is_killed(lab, command, number, after=moment == "after"):
            assert numbers == range(1, 100), f"{command} makes fewer than {number} changes"
            break
        then(lab)
        assert lab.leaked() == [], f"{command} killed {moment} change {number}, {lab.proxy.struck}"
        done += 1
    record_property("scenarios", done)


def _is_killed(lab: StruckLab, command: str, number: int, *, after: bool) -> bool:
    """Run the command until it is killed at its change of that number; False when it ends before."""
    if command == "down":
        lab.must("up", "-q")
    words = ("up", "-q") if command == "up" else ("down", "-y", "-q")

    def kill() -> bool:
        lab.send(signal.SIGKILL)
        return True

    lab.proxy.trap(number, kill, after=after)
    code, said = lab.process_of(*words)
    if lab.proxy.struck:
        assert code == -9, said
        return True
    assert code == 0, said
    if command == "up":
        lab.must("down", "-y", "-q")
    return False
