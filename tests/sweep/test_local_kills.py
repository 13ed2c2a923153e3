"""plab and its local AWS are killed at any moment: the next `up` and `down` work, tell the truth, and leave nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from support.processes import start_plab
from support.proxied_lab import Count
from support.timeouts import PATIENCE, until

from privatelink_lab.local import control_client
from privatelink_lab.local.running_servers import running_servers

TRIALS, TRIALS_OF_SAMPLE = 25, 1  # for each of the four, with and without --sweep
STAYS = {"local.log", "local.log.1", "privatelink-lab.last.json"}  # of an ended lab


class Folder:
    """A folder with the default lab on a local AWS of its own."""

    def __init__(self, path: Path) -> None:
        self.path, self.plab = path, path / ".plab"

    def run(self, *words: str) -> str:
        """What a command prints; it must end well."""
        with start_plab(self.path, *words) as process:
            out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, f"{words}: {out}{err}"
        return out

    def kill(self, words: tuple[str, ...], seconds: float) -> None:
        """Start a command, and kill it after this time if it still runs."""
        with start_plab(self.path, *words) as process:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=seconds)
            process.kill()

    def kill_down(self, seconds: float) -> None:
        """Kill a `down` of a whole lab."""
        self.run("local", "start", "--speed", "0")
        self.run("up", "--local")
        self.kill(("down", "-y"), seconds)

    def kill_server(self, seconds: float) -> None:
        """Kill the server under an `up`."""
        self.run("local", "start", "--speed", "0")
        with start_plab(self.path, "up", "--local") as process:
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=seconds)
            with suppress(OSError):
                if server := control_client.read(self.plab):
                    os.kill(server.pid, signal.SIGKILL)
            process.communicate(timeout=PATIENCE)

    def processes(self) -> list[int]:
        """What runs for this folder."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if str(self.path).encode() in (process / "cmdline").read_bytes() and int(process.name) != os.getpid():
                    found.append(int(process.name))
        return found


def harms(folder: Folder, chance: random.Random) -> dict[str, Callable[[], None]]:
    """What is killed, and when: at a random moment of its usual time."""
    return {
        "start": lambda: folder.kill(("local", "start", "--speed", "0"), chance.uniform(0, 3)),
        "up": lambda: folder.kill(("up", "--local"), chance.uniform(0, 15)),
        "down": lambda: folder.kill_down(chance.uniform(0, 2.5)),
        "server": lambda: folder.kill_server(chance.uniform(0, 2.5)),
    }


@pytest.mark.parametrize("harm", ["start", "up", "down", "server"])
def test_a_kill_at_any_moment(tmp_path: Path, record_property: Count, harm: str, *, whole: bool) -> None:
    """After the kill `up` builds a whole lab and `down` removes it; no process and no file of it is left."""
    trials = TRIALS if whole else TRIALS_OF_SAMPLE
    for number in range(trials):
        place = tmp_path / str(number)
        place.mkdir()
        folder, chance = Folder(place), random.Random(number)  # noqa: S311 (the same moments every time)
        harms(folder, chance)[harm]()
        assert "The lab privatelink-lab is up" in folder.run("up", "--local"), number
        assert '"phase": "ready"' in folder.run("status", "--json")
        receipt = folder.run("down", "-y")
        assert "Left: 0." in receipt, number
        assert "2 VPCs" in receipt, f"{number}: {receipt}"
        if any(server.folder == folder.plab for server in running_servers()):
            assert harm in {"start", "down"}, number  # `plab local start` started it
            folder.run("local", "stop")
        until(lambda: not folder.processes(), "the end of every process")  # noqa: B023
        assert {path.name for path in folder.plab.iterdir()} <= STAYS, number
    record_property("kills of the local AWS", trials)
