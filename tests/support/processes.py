"""The command `plab` as a process, and the processes that descend from another."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PLAB = Path(sys.executable).with_name("plab")


def start_plab(folder: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """A `plab` command that runs in a folder, with these environment variables added."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [PLAB, *words],
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def descendants(pid: int) -> set[int]:
    """A process and its descendants that run, in all namespaces."""
    parents = {}
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and (fields := _stat(int(path.name))) and fields[0] != "Z":
            parents[int(path.name)] = int(fields[1])
    found = {pid}
    while added := {child for child, parent in parents.items() if parent in found} - found:
        found |= added
    return found


def parent(pid: int) -> int:
    """The id of a process's parent; 0 for a process that has ended."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that still run; a zombie does not."""
    return {pid for pid in pids if (fields := _stat(pid)) and fields[0] != "Z"}


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent and so on; empty for a process that has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
