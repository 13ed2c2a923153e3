"""One process from start to end: its time, its processor time, its memory, and the calls that it made meanwhile."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Self

LONGEST = 300.0  # seconds that one command may take


class Failed(Exception):
    """A command that should have ended well did not."""


@dataclass(frozen=True)
class Run:
    """`wall`, `processor` and `first_call` (start to the first call, if any) in seconds, `peak` in MB.

    `processor` is that of the process and all its children, `peak` that of the largest single one.
    """

    wall: float
    processor: float
    peak: float
    calls: Counter[str]
    first_call: float | None = None


class Arena:
    """The local AWS of one pace; a context manager."""

    def __init__(self, speed: float, folder: Path) -> None:
        self.speed = speed
        self._log = folder / "calls"
        command = [sys.executable, "-m", "benchmarks.aws_server", f"{speed:g}", str(self._log)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Self:
        assert self._process.stdout
        self._where: dict[str, str] = json.loads(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def environment(self) -> dict[str, str]:
        """The machine's own, without what steers AWS or plab, and with this server's address and keys."""
        steering = ("AWS_", "PLAB_", "TF_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
        return kept | {
            "AWS_ENDPOINT_URL": self._where["url"],
            "AWS_ACCESS_KEY_ID": self._where["id"],
            "AWS_SECRET_ACCESS_KEY": self._where["secret"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def calls_since(self, moment: float) -> list[tuple[float, str]]:
        """The calls since that moment of time.monotonic(), each with its own."""
        lines = (line.split() for line in self._log.read_text(encoding="utf-8").splitlines())
        return [(float(at), operation) for at, operation in lines if float(at) >= moment]


def run(command: Sequence[str], folder: Path, environment: Mapping[str, str], arena: Arena | None = None) -> Run:
    """Run a command to its end; raises Failed with its last words when that is not a good one."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that what it started ends with it
        )
        guard = threading.Timer(LONGEST, os.killpg, (process.pid, signal.SIGKILL))
        guard.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        guard.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise Failed(f"{' '.join(command)} ended with {process.returncode}: {said.read()[-2000:]}")
    calls = arena.calls_since(began) if arena else []
    first = calls[0][0] - began if calls else None
    peak = used.ru_maxrss / 1024
    return Run(wall, used.ru_utime + used.ru_stime, peak, Counter(operation for _, operation in calls), first)


def middle(runs: Sequence[Run]) -> Run:
    """The medians of several runs of one command, figure by figure; the calls are those of the median run by number."""
    by_number = sorted(runs, key=lambda each: each.calls.total())
    firsts = [each.first_call for each in runs if each.first_call is not None]
    return Run(
        median(each.wall for each in runs),
        median(each.processor for each in runs),
        median(each.peak for each in runs),
        by_number[len(by_number) // 2].calls,
        median(firsts) if firsts else None,
    )
