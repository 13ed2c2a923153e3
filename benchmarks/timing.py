"""Runs one process to its end and measures it: its time, its processor time, its memory, and its calls."""

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

TIMEOUT = 300.0  # seconds that one command may take


class Failed(Exception):
    """A command failed that should have succeeded."""


@dataclass(frozen=True)
class TimedRun:
    """`wall`, `processor` and `first_call` (from the start to the first call, if any) in seconds, `peak` in MB.

    `processor` is the time of the process and all its children, `peak` the memory of the largest of them.
    """

    wall: float
    processor: float
    peak: float
    calls: Counter[str]
    first_call: float | None = None


class AwsServer:
    """A local AWS at one speed, in a process of its own; a context manager."""

    def __init__(self, speed: float, folder: Path) -> None:
        self.speed = speed
        self._log = folder / "calls"
        command = [sys.executable, "-m", "benchmarks.aws_server", f"{speed:g}", str(self._log)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Self:
        assert self._process.stdout
        self._address: dict[str, str] = json.loads(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=30)

    def environment(self) -> dict[str, str]:
        """The current environment without settings of AWS, plab and Terraform, with this server's address and keys."""
        settings = ("AWS_", "PLAB_", "TF_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
        return kept | {
            "AWS_ENDPOINT_URL": self._address["url"],
            "AWS_ACCESS_KEY_ID": self._address["id"],
            "AWS_SECRET_ACCESS_KEY": self._address["secret"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def calls_since(self, moment: float) -> list[tuple[float, str]]:
        """The calls since that moment of time.monotonic(), as pairs of time and operation."""
        lines = (line.split() for line in self._log.read_text(encoding="utf-8").splitlines())
        return [(float(at), operation) for at, operation in lines if float(at) >= moment]


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], server: AwsServer | None = None
) -> TimedRun:
    """Run a command to its end; raises Failed with the end of its output if its exit code is not 0."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that its children end with it
        )
        timer = threading.Timer(TIMEOUT, os.killpg, (process.pid, signal.SIGKILL))
        timer.start()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        timer.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise Failed(f"{' '.join(command)} ended with {process.returncode}: {output.read()[-2000:]}")
    calls = server.calls_since(began) if server else []
    first = calls[0][0] - began if calls else None
    peak = used.ru_maxrss / 1024
    return TimedRun(wall, used.ru_utime + used.ru_stime, peak, Counter(operation for _, operation in calls), first)


def median_of(runs: Sequence[TimedRun]) -> TimedRun:
    """The medians of a command's runs, figure by figure; `calls` are those of the run with the median number."""
    by_number = sorted(runs, key=lambda run: run.calls.total())
    firsts = [run.first_call for run in runs if run.first_call is not None]
    return TimedRun(
        median(run.wall for run in runs),
        median(run.processor for run in runs),
        median(run.peak for run in runs),
        by_number[len(by_number) // 2].calls,
        median(firsts) if firsts else None,
    )
