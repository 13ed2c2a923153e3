"""Which process a number means: numbers are used again, and mean another process in another PID namespace.

Where there is no /proc, as on macOS, only the number counts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_STATE, _START = 0, 19  # fields of /proc/PID/stat after the command, which may have spaces and brackets
_ENDED = {"Z", "X", "x"}
HAS_PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True)
class ProcessIdentity:
    """A process: its number, its start in clock ticks since the machine's, and the PID namespace of its number."""

    pid: int
    started: int
    pid_namespace: int

    @classmethod
    def own(cls) -> ProcessIdentity:
        """That of the process that calls this."""
        return cls.of(os.getpid())

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity:
        """That of a process of this PID namespace; raises OSError when it has ended."""
        return cls(pid, int(_stat(pid)[_START]) if HAS_PROC else 0, _namespace())

    def began(self) -> float:
        """When it began, in seconds since the epoch."""
        lines = Path("/proc/stat").read_text(encoding="utf-8").splitlines()
        booted = next(float(line.split()[1]) for line in lines if line.startswith("btime "))
        return booted + self.started / os.sysconf("SC_CLK_TCK")

    def is_here(self) -> bool:
        """Whether its number means it in this process too."""
        return self.pid_namespace == _namespace()

    def has_ended(self) -> bool:
        """Whether it is certain that it runs no more; False where its number says nothing here."""
        if not self.is_here():
            return False
        if not HAS_PROC:
            return not _exists(self.pid)
        try:
            fields = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return True
        return fields[_STATE] in _ENDED or int(fields[_START]) != self.started


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino if HAS_PROC else 0


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
