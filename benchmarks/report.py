"""The bench's figures as tables: medians, ratios, and the targets with the measured values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lower_bound import lower_bound
from benchmarks.timing import TimedRun, median_of

StartupTimes = Mapping[str, float]  # command -> median seconds
PHASES = ("up", "again", "down")
MARKS = ("<!-- the bench writes this: make bench -->\n", "<!-- to here -->\n")
CALLS_ALLOWED = {"DescribeTags": 2}  # one for the balancer and one for the target group; 1 of all others
PLAB, BOTO3_SCRIPT, TERRAFORM = "plab", "boto3 script", "Terraform"


@dataclass
class Results:
    """All runs at one speed, by tool and phase; `rounds` is how often a tool runs."""

    speed: float
    rounds: Mapping[str, int]
    runs: dict[tuple[str, str], list[TimedRun]] = field(default_factory=dict)

    def add(self, name: str, phase: str, ran: TimedRun) -> None:
        """Add a run."""
        self.runs.setdefault((name, phase), []).append(ran)

    def median(self, name: str, phase: str) -> TimedRun | None:
        """The medians of a tool's phase; None if it did not run."""
        runs = self.runs.get((name, phase))
        return median_of(runs) if runs else None

    def ratio(self, phase: str, name: str, base: str) -> float | None:
        """The wall time of a tool's phase divided by that of `base`; None if one of them did not run."""
        ran, base_ran = self.median(name, phase), self.median(base, phase)
        return ran.wall / base_ran.wall if ran and base_ran else None


@dataclass(frozen=True)
class SpeedTarget:
    """What was promised, what was measured, and whether the promise is kept: None if nothing was measured."""

    promise: str
    measured: str
    is_kept: bool | None

    @property
    def verdict(self) -> str:
        """The word for the table."""
        return {True: "met", False: "missed", None: "not measured"}[self.is_kept]


def print_report(paces: Sequence[Results], started: StartupTimes, where: str) -> None:
    """Print all tables as Markdown."""
    print("\n" + "\n".join(_lines(paces, started, where)), flush=True)


def write_table(path: Path, paces: Sequence[Results], started: StartupTimes, where: str) -> None:
    """Write the tables between the marks in that file."""
    head, _, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    tables = "\n".join(_lines(paces, started, where))
    path.write_text(f"{head}{MARKS[0]}{tables}\n{MARKS[1]}{tail}", encoding="utf-8")


def _lines(paces: Sequence[Results], started: StartupTimes, where: str) -> Iterator[str]:
    for results in paces:
        yield from _table(results)
        yield ""
    yield "| target | measured | |"
    yield "| --- | --- | --- |"
    for target in targets(paces, started):
        yield f"| {target.promise} | {target.measured} | {target.verdict} |"
    yield ""
    yield f"Medians, one run of the bench, {where}. CPU: seconds of the processor in `up`, with the children that it"
    yield "waited for; memory: of the largest process. Terraform's own pauses and the AWS CLI's start-up keep their"
    yield "length whatever the clock; the pauses of both scripts are divided by its speed."


def _table(results: Results) -> Iterator[str]:
    most = max(results.rounds.values())
    fewer = [f"{name}: {count}" for name, count in results.rounds.items() if count != most]
    runs = f"{most} runs" + (f"; {', '.join(fewer)}" if fewer else "")
    if results.speed:
        bounds = " and ".join(f"{lower_bound(phase, results.speed):.1f} s for `{phase}`" for phase in ("up", "down"))
        yield f"**AWS's usual delays, {results.speed:g} times as fast** ({runs}). No tool can be faster than {bounds}."
    else:
        yield f"**AWS takes no time** ({runs}): what the tools themselves cost."
    yield ""
    yield "| | `up` | again | `down` | calls | CPU | memory |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in results.rounds:
        yield _row(results, name)


def _row(results: Results, name: str) -> str:
    up = results.median(name, "up")
    assert up
    phases = [_cell(results, name, phase) for phase in PHASES]
    calls = " + ".join(str(ran.calls.total()) for phase in PHASES if (ran := results.median(name, phase)))
    return f"| {name} | {' | '.join(phases)} | {calls} | {up.processor:.1f} s | {up.peak:.0f} MB |"


def _cell(results: Results, name: str, phase: str) -> str:
    ran = results.median(name, phase)
    if ran is None:
        return "-"
    ratio = results.ratio(phase, name, PLAB)
    return f"{ran.wall:.2f} s" + (f" ({ratio:.1f}x)" if ratio and name != PLAB else "")


# The targets.


def targets(paces: Sequence[Results], started: StartupTimes) -> Iterator[SpeedTarget]:
    """Every promise about speed, with what this run of the bench measured."""
    at_once, paced = paces
    for phase in ("up", "down"):
        yield _at_most(
            f"at once, `{phase}` within 1.5x of the boto3 script", at_once.ratio(phase, PLAB, BOTO3_SCRIPT), 1.5
        )
    times = at_once.ratio("up", TERRAFORM, PLAB)
    promise, measured = (
        "at once, `up` at least 50x as fast as Terraform's apply",
        f"{times:.0f}x" if times else "no Terraform",
    )
    yield SpeedTarget(promise, measured, times >= 50 if times else None)  # noqa: PLR2004
    yield _near_bound(paced, "up", 1.05)
    yield _near_bound(paced, "down", 1.10)
    yield _one_call_per_kind(at_once)
    peaks = [ran.peak for phase in PHASES if (ran := at_once.median(PLAB, phase))]
    yield _at_most("memory under 100 MB", max(peaks, default=None), 100, " MB")
    up = at_once.median(PLAB, "up")
    late = up.first_call - started["import boto3"] if up and up.first_call else None
    yield _at_most("first call within 0.35 s of `import boto3`", late, 0.35, " s")
    for name in ("plab --version", "plab --help", "completion"):
        yield _at_most(f"{name} within 1.5x of `import click`", started[name] / started["import click"], 1.5)


def _at_most(promise: str, value: float | None, limit: float, unit: str = "x") -> SpeedTarget:
    if value is None:
        return SpeedTarget(promise, "-", None)
    return SpeedTarget(promise, f"{value:.2f}{unit}", value <= limit)


def _near_bound(paced: Results, phase: str, share: float) -> SpeedTarget:
    promise = f"paced, `{phase}` within {share:.2f}x of the lower bound plus 1 s"
    ran, bound = paced.median(PLAB, phase), lower_bound(phase, paced.speed)
    if ran is None:
        return SpeedTarget(promise, "-", None)
    limit = share * bound + 1
    return SpeedTarget(promise, f"{ran.wall:.2f} s; the limit is {limit:.2f} s", ran.wall <= limit)


def _one_call_per_kind(at_once: Results) -> SpeedTarget:
    promise = "`up` again asks at most once per kind"
    ran = at_once.median(PLAB, "again")
    if ran is None:
        return SpeedTarget(promise, "-", None)
    often = {operation: count for operation, count in ran.calls.items() if count > CALLS_ALLOWED.get(operation, 1)}
    return SpeedTarget(promise, f"{ran.calls.total()} calls, more than once: {often or 'none'}", not often)
