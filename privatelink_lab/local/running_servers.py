"""All local AWS of this user on this machine, also those in folders that nobody remembers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from privatelink_lab.local.control_client import read
from privatelink_lab.local.process_identity import HAS_PROC, ProcessIdentity

MODULE = b"privatelink_lab.local.server"
MOST_WORDS = 1 << 16  # bytes of a command line: another user can make one of gigabytes
NO_LABS = ("local.json", "config.schema.json")


@dataclass(frozen=True)
class RunningServer:
    """One server: its `.plab` folder, its process, and what is known of it; `memory` in bytes, `since` in UTC."""

    folder: Path
    identity: ProcessIdentity
    url: str
    labs: tuple[str, ...]
    since: str
    memory: int


def running_servers() -> list[RunningServer]:
    """Every server process of this user, oldest first; one that is starting has no URL yet."""
    return sorted(_servers(), key=lambda server: server.identity.started)


def _servers() -> Iterator[RunningServer]:
    if not HAS_PROC:
        return
    own = Path("/proc/self/ns/pid").stat().st_ino
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError, IndexError):  # it has ended, or is another user's
            if process.stat().st_uid != os.getuid() or (process / "ns" / "pid").stat().st_ino != own:
                continue  # what runs in an instance may call itself what it likes
            with (process / "cmdline").open("rb") as file:
                words = file.read(MOST_WORDS).split(b"\0")
            if words[1:3] == [b"-m", MODULE]:
                yield _about(int(process.name), Path(os.fsdecode(words[3])))


def _about(pid: int, folder: Path) -> RunningServer:
    identity, server = ProcessIdentity.of(pid), None
    with suppress(Exception):  # its file is damaged, or gone with its folder
        server = read(folder)
    url = server.url if server and server.pid == pid else ""
    states = (path for path in folder.glob("*.json") if path.name not in NO_LABS)
    labs = sorted(path.stem for path in states if not path.stem.endswith(".last"))
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(identity.began()))
    return RunningServer(folder, identity, url, tuple(labs), since, sum(map(_resident, _family(pid))))


def _family(pid: int) -> Iterator[int]:
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from _family(int(child))


def _resident(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
