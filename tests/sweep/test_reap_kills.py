"""`plab list` and `plab reap` are killed at any call, reads too: the next `reap` ends what has expired, nothing else.

Three labs of two makers in one account, and other people's VPCs between them, one with copied tags. A sample always
runs; `make sweep` runs all cases and prints their number, and for each call what was deleted before the kill.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run
from support.hook_proxy import HookProxy
from support.labs import Labs
from support.proxied_lab import Count, ProxiedLab

PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
EXPIRED = ("mine", "theirs")
LEFT = 3  # the exit code: what bears copied tags is named
FEW = 10  # calls
Case = tuple[str, str, Iterable[int]]

SAMPLE: list[Case] = [("reap", "before", (3, 60)), ("reap", "after", (45, 90)), ("list", "before", (5,))]
WHOLE: list[Case] = [
    (command, moment, range(1, 1000)) for command in ("reap", "list") for moment in ("before", "after")
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All cases with --sweep, a sample without."""
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    metafunc.parametrize("case", cases, ids=[f"{command}-{moment}" for command, moment, _ in cases])


@pytest.fixture
def process(at_cloud: Cloud, run: Run, tmp_path: Path) -> ProxiedLab:
    """What runs a command as a process behind the proxy; it has no lab of its own."""
    return ProxiedLab(at_cloud, run, tmp_path, HookProxy(at_cloud.aws.url))


def test_list_and_reap_are_killed_at_any_call(process: ProxiedLab, record_property: Count, case: Case) -> None:
    """What was deleted is of the expired labs; a lab that lives and other people's things are as they were."""
    command, moment, numbers = case
    world, done = World(process.cloud), 0
    with process.proxy:
        for number in numbers:
            before = world.expired()
            code, output = _killed_at(process, command, number, after=moment == "after")
            action, now = process.proxy.hooked_action, world.left()
            gone = {name: len(before[name] - now[name]) for name in EXPIRED}
            record_property(f"deleted by {command}, killed {moment} {action or 'nothing'}", sum(gone.values()))
            assert all(now[name] <= before[name] for name in EXPIRED), output
            assert command == "reap" or not any(gone.values())
            assert world.others_are_whole()
            if not action:
                assert code == (LEFT if command == "reap" else 0), output
                assert number > FEW, "the command made almost no calls"
                break
            assert code == -signal.SIGKILL, output
            done += 1
            if any(gone.values()):
                assert process.run("reap", "-y", "-q").code in {0, LEFT}  # 0: of mine nothing was left to reap
                assert not any(world.left().values()), f"{command} killed {moment} call {number}, {action}"
                assert world.others_are_whole()
    record_property("kills of list and reap", done)


class World:
    """Two labs that have expired and one that has not, and other people's VPCs, also with tags of an expired lab."""

    def __init__(self, cloud: Cloud) -> None:
        self.labs = Labs(cloud)
        self.labs.build("kept", "bob", FUTURE)
        self.labs.build("mine", "ann", PAST)
        self.bystanders = self.labs.put_bystanders("mine")
        self.kept = self.labs.inventory("kept")

    def expired(self) -> dict[str, set[str]]:
        """By lab: the ids of what has expired; what an earlier trial has deleted is built again."""
        for name, maker in (("mine", "ann"), ("theirs", "bob")):
            if not self.left()[name]:
                self.labs.build(name, maker, PAST)
        return self.left()

    def left(self) -> dict[str, set[str]]:
        """The ids that are there."""
        return {name: {*self.labs.inventory(name)} - {*self.bystanders.ids} for name in EXPIRED}

    def others_are_whole(self) -> bool:
        """Whether the lab that lives and other people's things are as they were."""
        return self.labs.inventory("kept") == self.kept and self.bystanders.exist()


def _killed_at(process: ProxiedLab, command: str, number: int, *, after: bool) -> tuple[int, str]:
    """Run the command and kill it at the call with that number, before or after its effect; exit code and output."""

    def kill() -> bool:
        process.send(signal.SIGKILL)
        return True

    process.proxy.set_hook(number, kill, after=after, mutating=False)
    return process.run_proxied(command, *(("-y", "-q") if command == "reap" else ()))
