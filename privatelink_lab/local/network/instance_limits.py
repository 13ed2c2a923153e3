"""What one instance may use of the machine: its own first process watches it, and ends it when it uses more.

It imports the standard library only. Control groups would be stricter, but only systemd can give them to a user.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import threading
import time
from collections.abc import Callable
from pathlib import Path

from privatelink_lab.local.network import system_calls

MOST_PROCESSES = 128  # of one instance, threads included
MOST_MEMORY = 512 << 20  # bytes of one instance in memory, without its disk
ALL_PROCESSES = 4000  # of all instances of one local AWS, for one that multiplies faster than it is watched
CHECK_INTERVAL = 0.05  # seconds
NICE = 5  # what runs in an instance gives way to what watches it, and to the user's other work
_FIRST_KERNEL = (5, 14)  # since which the number of processes is counted for each user namespace


def restrict() -> None:
    """Bound this process and every program that it starts; none of them gets rights by a setuid program."""
    system_calls.no_new_privileges()
    if tuple(int(number) for number in re.findall(r"\d+", platform.release())[:2]) >= _FIRST_KERNEL:
        resource.setrlimit(resource.RLIMIT_NPROC, (ALL_PROCESSES, ALL_PROCESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def watch(end: Callable[[str], None]) -> None:
    """Check in a thread until the instance uses too much, and then call `end` with the reason."""

    def check() -> None:
        while True:
            # First only how many there are: a fork bomb is faster than a look at each of its processes.
            if count() > MOST_PROCESSES or (used := usage())[0] > MOST_PROCESSES:
                end(f"more than {MOST_PROCESSES} processes")
            elif used[1] > MOST_MEMORY:
                end(f"more than {MOST_MEMORY >> 20} MiB of memory")
            time.sleep(CHECK_INTERVAL)

    threading.Thread(target=check, daemon=True).start()


def count() -> int:
    """The processes of this PID namespace, without their threads."""
    return sum(name.isdigit() for name in os.listdir("/proc"))  # noqa: PTH208 (the fastest way)


def usage() -> tuple[int, int]:
    """The processes of this PID namespace with their threads, and the bytes that they have in memory."""
    processes = memory = 0
    page = resource.getpagesize()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_bytes().rpartition(b")")[2].split()
        except OSError:  # it has ended
            continue
        processes += int(fields[17])
        memory += int(fields[21]) * page
    return processes, memory
