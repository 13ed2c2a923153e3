"""What one instance may use of the machine; the agent watches it from outside, and ends it when it uses more.

Control groups would be stricter, but only systemd can give them to a user. What the kernel holds for an instance, such
as bytes in its sockets, is not counted.
"""

from __future__ import annotations

import os
import platform
import re
import resource
from dataclasses import dataclass
from pathlib import Path

from privatelink_lab.local.network import system_calls

MOST_PROCESSES = 128  # of one instance
MOST_THREADS = 1200  # of one instance: a web server takes one per connection, and a port passes on 1,000
MOST_MEMORY = 512 << 20  # bytes of one instance in memory, without its disk
ALL_PROCESSES = 4000  # of all instances of one local AWS, for one that multiplies faster than it is watched
MOST_FILES = 1024  # open files of one process
CHECK_INTERVAL = 0.1  # seconds
NICE = 5  # what runs in an instance gives way to what watches it, unless it begins a session of its own
_FIRST_KERNEL = (5, 14)  # since which the number of processes is counted for each user namespace


def restrict() -> None:
    """Bound this process and every program that it starts; none of them gets rights by a setuid program."""
    system_calls.no_new_privileges()
    if tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2]) >= _FIRST_KERNEL:
        _lower(resource.RLIMIT_NPROC, ALL_PROCESSES)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, MOST_FILES)
    system_calls.close_system_calls()


def _lower(limit: int, most: int) -> None:
    """Lower a limit; one that the user has lower already stays, since nobody may raise it."""
    hard = resource.getrlimit(limit)[1]
    wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(limit, (wanted, wanted))


@dataclass
class Usage:
    """What one PID namespace uses: processes, threads, and bytes in memory."""

    processes: int = 0
    threads: int = 0
    memory: int = 0

    @property
    def excess(self) -> str:
        """What it uses too much of, in words; '' while it does not."""
        if self.processes > MOST_PROCESSES:
            return f"more than {MOST_PROCESSES} processes"
        if self.threads > MOST_THREADS:
            return f"more than {MOST_THREADS} threads"
        return f"more than {MOST_MEMORY >> 20} MiB of memory" if self.memory > MOST_MEMORY else ""


class Usages:
    """What each PID namespace below this process uses; which namespace a process is in is asked once."""

    def __init__(self) -> None:
        self._namespaces: dict[str, int] = {}

    def now(self) -> dict[int, Usage]:
        """By the inode of the namespace; one that cannot be read is not there."""
        found: dict[int, Usage] = {}
        page = resource.getpagesize()
        numbers = [name for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (the fastest way)
        self._namespaces = {number: self._namespaces[number] for number in numbers if number in self._namespaces}
        for number in numbers:
            try:
                if number not in self._namespaces:
                    self._namespaces[number] = Path(f"/proc/{number}/ns/pid").stat().st_ino
                fields = Path(f"/proc/{number}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:  # it has ended
                continue
            usage = found.setdefault(self._namespaces[number], Usage())
            usage.processes += 1
            usage.threads += int(fields[17])
            usage.memory += int(fields[21]) * page
        return found
