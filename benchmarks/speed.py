"""plab beside what people use today: the same lab on the same strict local AWS, in one run.

`python -m benchmarks.speed [--write README.md]`. Contestants take turns, so that a slow moment hits all of them. At
speed 0 AWS takes no time, and the figures are what the tools themselves cost; paced, it takes as long as AWS mostly
does, divided by PACE, and the figures say what waiting well is worth. It ends by itself; the server runs on 127.0.0.1.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.compared_tools import Contestant, contestants
from benchmarks.report import Results, Startup, print_report, write_table
from benchmarks.timing import Arena, Failed, run

PACE = 12.0  # times as fast as AWS
STARTS = 9  # of a command that calls nothing
STARTED = {  # what is compared with `import click` and `import boto3`
    "import click": (sys.executable, "-c", "import click"),
    "import boto3": (sys.executable, "-c", "import boto3"),
    "plab --version": (str(Path(sys.executable).with_name("plab")), "--version"),
    "plab --help": (str(Path(sys.executable).with_name("plab")), "--help"),
    "completion": (str(Path(sys.executable).with_name("plab")),),
}
COMPLETION = {"_PLAB_COMPLETE": "bash_complete", "COMP_WORDS": "plab u", "COMP_CWORD": "1"}


def main() -> int:
    """Measure, print, and write the table; 1 when a contestant failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help="put the table into this file, between its marks")
    parser.add_argument("--rounds", type=int, help="of every contestant at every pace (default: each its own number)")
    parser.add_argument("--only", action="append", help="this contestant (may be said several times)")
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
    print(f"\nAll of it took {(time.monotonic() - began) / 60:.1f} minutes.")
    return 0


def _start_up(folder: Path) -> Startup:
    """How long each starts, in seconds; they take turns."""
    environment = dict(os.environ)
    rounds = [
        {name: run(command, folder, _completing(name, environment)).wall for name, command in STARTED.items()}
        for _ in range(STARTS + 1)
    ][1:]
    return {name: sorted(each[name] for each in rounds)[STARTS // 2] for name in STARTED}


def _completing(name: str, environment: dict[str, str]) -> dict[str, str]:
    return environment | COMPLETION if name == "completion" else environment


def _compare(speed: float, folder: Path, rounds: int | None, only: list[str] | None) -> Results:
    """Every contestant's medians at this speed."""
    print(f"# {'At once' if not speed else f'{speed:g} times as fast as AWS'}", flush=True)
    place = folder / f"{speed:g}"
    place.mkdir()
    with Arena(speed, place) as arena:
        there = [
            each for each in contestants(speed) if (not only or each.name in only) and _takes_part(each, arena, place)
        ]
        times = {each.name: rounds or each.rounds[bool(speed)] for each in there}
        results = Results(speed, times)
        for number in range(max(times.values(), default=0)):
            for each in there:
                if number < times[each.name]:
                    _round(each, arena, place / each.name, results)
    return results


def _takes_part(contestant: Contestant, arena: Arena, place: Path) -> bool:
    folder = place / contestant.name
    folder.mkdir()
    why_not = contestant.prepare(folder, arena.environment() | contestant.settings)
    if why_not:
        print(f"{contestant.name} is left out: {why_not}.", flush=True)
    return not why_not


def _round(contestant: Contestant, arena: Arena, folder: Path, results: Results) -> None:
    environment = arena.environment() | contestant.settings
    for phase in ("up", "again", "down"):
        command: tuple[str, ...] = getattr(contestant, phase)
        if command:
            ran = run(command, folder, environment, arena)
            results.note(contestant.name, phase, ran)
            print(f"{contestant.name} {phase}: {ran.wall:.2f} s, {ran.calls.total()} calls", flush=True)


if __name__ == "__main__":
    sys.exit(main())
