"""`plab` is killed right before or right after each of its changes: whatever runs next, nothing leaks or is duplicated.

A sample always runs; `make sweep` runs all cases and prints their number.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

import pytest
from support.proxied_lab import Count, ProxiedLab

Case = tuple[str, str, Callable[[ProxiedLab], None], Iterable[int]]


def up_again(lab: ProxiedLab) -> None:
    """`up` again: the lab is whole, with no duplicate; then `down`."""
    lab.run_well("up", "-q")
    assert lab.duplicated() == {}
    lab.run_well("down", "-y", "-q")


def down_once(lab: ProxiedLab) -> None:
    """`down` at once."""
    lab.run_well("down", "-y", "-q")


def state_lost(lab: ProxiedLab) -> None:
    """The state file is lost; `up` again: the lab is whole, with no duplicate; then `down`."""
    lab.state.unlink(missing_ok=True)
    up_again(lab)


def down_twice(lab: ProxiedLab) -> None:
    """`down` two times."""
    lab.run_well("down", "-y", "-q")
    lab.run_well("down", "-y", "-q")


SAMPLE = (  # what runs without --sweep: command, moment, what runs next, numbers of the changes
    ("up", "before", up_again, (9,)),
    ("up", "after", state_lost, (1, 12)),
    ("down", "before", down_twice, (6,)),
    ("down", "after", down_once, (3,)),
)
WHOLE = [
    (command, moment, then, range(1, 100))
    for command in ("up", "down")
    for moment in ("before", "after")
    for then in (up_again, down_once, state_lost, down_twice)
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All cases with --sweep, a sample without."""
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    ids = [f"{command}-{moment}-{then.__name__}" for command, moment, then, _ in cases]
    metafunc.parametrize("case", cases, ids=ids)


def test_plab_is_killed_at_any_change(lab: ProxiedLab, record_property: Count, case: Case) -> None:
    """SIGKILL at any change: no duplicate after the next `up`, and nothing is left after the next `down`."""
    command, moment, then, numbers = case
    done = 0
    for number in numbers:
        if not _is_killed(lab, command, number, after=moment == "after"):
            assert numbers == range(1, 100), f"{command} makes fewer than {number} changes"
            break
        then(lab)
        assert lab.leaked() == [], f"{command} killed {moment} change {number}, {lab.proxy.hooked_action}"
        done += 1
    record_property("scenarios", done)


def _is_killed(lab: ProxiedLab, command: str, number: int, *, after: bool) -> bool:
    """Run the command and kill it at the change with that number; False if it ended before."""
    if command == "down":
        lab.run_well("up", "-q")
    words = ("up", "-q") if command == "up" else ("down", "-y", "-q")

    def kill() -> bool:
        lab.send(signal.SIGKILL)
        return True

    lab.proxy.set_hook(number, kill, after=after)
    code, output = lab.run_proxied(*words)
    if lab.proxy.hooked_action:
        assert code == -9, output
        return True
    assert code == 0, output
    if command == "up":
        lab.run_well("down", "-y", "-q")
    return False
