"""Who descends from whom."""

from __future__ import annotations

from pathlib import Path


def descendants(pid: int) -> set[int]:
    """A process and all that came from it and run, through every namespace."""
    parents = {}
    for each in Path("/proc").iterdir():
        if each.name.isdigit() and (words := _stat(int(each.name))) and words[0] != "Z":
            parents[int(each.name)] = int(words[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def parent(pid: int) -> int:
    """Who started a process; 0 for one that is gone."""
    words = _stat(pid)
    return int(words[1]) if words else 0


def alive(pids: set[int]) -> set[int]:
    """Those that still run; one that only waits to be counted does not."""
    return {pid for pid in pids if (words := _stat(pid)) and words[0] != "Z"}


def _stat(pid: int) -> list[str]:
    """The words of a process's stat behind its name: state, parent and so on; none for one that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
