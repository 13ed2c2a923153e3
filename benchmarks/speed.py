"""plab compared with the tools that people use today: the same lab on the same strict local AWS, in one run.

`python -m benchmarks.speed [--write docs/performance.md]`. The tools take turns, so that a slow moment affects all of
them. At speed 0 AWS takes no time: the figures are the cost of the tools themselves. Paced, it takes as long as AWS
usually does, divided by PACE: the figures also show how well a tool waits. It ends by itself. The server is local.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compared_tools import Tool, compared_tools
from benchmarks.report import Results, StartupTimes, print_report, write_table
from benchmarks.timing import AwsServer, Failed, run

PACE = 12.0  # times as fast as AWS
STARTS = 9  # of a command that makes no call
STARTED = {  # the start-up times that are compared with the two imports
    "import click": (sys.executable, "-c", "import click"),
    "import boto3": (sys.executable, "-c", "import boto3"),
    "plab --version": (str(Path(sys.executable).with_name("plab")), "--version"),
    "plab --help": (str(Path(sys.executable).with_name("plab")), "--help"),
    "completion": (str(Path(sys.executable).with_name("plab")),),
}
COMPLETION = {"_PLAB_COMPLETE": "bash_complete", "COMP_WORDS": "plab u", "COMP_CWORD": "1"}


def main() -> int:
    """Measure, print, and write the table; 1 if a tool failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="write the table between the marks in this file")
    parser.add_argument("--rounds", type=int, help="how often every tool runs at every speed (default: its own number)")
    parser.add_argument("--only", action="append", help="measure this tool; can be given several times")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="plab-bench-") as folder:
            started = _start_up(Path(folder))
            paces = [_compare(speed, Path(folder), options.rounds, options.only) for speed in (0.0, PACE)]
    except Failed as error:
        print(error)
        return 1
    where = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print_report(paces, started, where)
    if options.write:
        write_table(options.write, paces, started, where)
    print(f"\nEverything ran in {(time.monotonic() - began) / 60:.1f} minutes.")
    return 0


def _start_up(folder: Path) -> StartupTimes:
    """The start-up times in seconds; the commands take turns."""
    environment = dict(os.environ)
    rounds = [
        {name: run(command, folder, _completing(name, environment)).wall for name, command in STARTED.items()}
        for _ in range(STARTS + 1)
    ][1:]
    return {name: sorted(times[name] for times in rounds)[STARTS // 2] for name in STARTED}


def _completing(name: str, environment: dict[str, str]) -> dict[str, str]:
    return environment | COMPLETION if name == "completion" else environment


def _compare(speed: float, folder: Path, rounds: int | None, only: list[str] | None) -> Results:
    """The runs of every tool at this speed."""
    print(f"# {'At once' if not speed else f'{speed:g} times as fast as AWS'}", flush=True)
    place = folder / f"{speed:g}"
    place.mkdir()
    with AwsServer(speed, place) as server:
        wanted = (tool for tool in compared_tools(speed) if not only or tool.name in only)
        tools = [tool for tool in wanted if _is_ready(tool, server, place)]
        results = Results(speed, {tool.name: rounds or tool.rounds[bool(speed)] for tool in tools})
        for number in range(max(results.rounds.values(), default=0)):
            for tool in tools:
                if number < results.rounds[tool.name]:
                    _run_phases(tool, server, place / tool.name, results)
    return results


def _is_ready(tool: Tool, server: AwsServer, place: Path) -> bool:
    folder = place / tool.name
    folder.mkdir()
    why_not = tool.prepare(folder, server.environment() | tool.settings)
    if why_not:
        print(f"{tool.name} is left out: {why_not}.", flush=True)
    return not why_not


def _run_phases(tool: Tool, server: AwsServer, folder: Path, results: Results) -> None:
    environment = server.environment() | tool.settings
    for phase in ("up", "again", "down"):
        command: tuple[str, ...] = getattr(tool, phase)
        if command:
            ran = run(command, folder, environment, server)
            results.add(tool.name, phase, ran)
            print(f"{tool.name} {phase}: {ran.wall:.2f} s, {ran.calls.total()} calls", flush=True)


if __name__ == "__main__":
    sys.exit(main())
