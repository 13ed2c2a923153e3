"""The bench's figures as tables: medians side by side, ratios, and each target with what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.lower_bound import lower_bound
from benchmarks.timing import Run, middle

Startup = Mapping[str, float]  # what was started -> median seconds
PHASES = ("up", "again", "down")
MARKS = ("<!-- the bench writes this: make bench -->\n", "<!-- to here -->\n")
KINDS = {"DescribeTags": 2}  # of the balancer and of the target group
PLAB, NAIVE, TERRAFORM = "plab", "boto3 script", "Terraform"


@dataclass
class Results:
    """All runs at one speed, by contestant and phase; `times` is how often each contestant was to run."""

    speed: float
    times: Mapping[str, int]
    runs: dict[tuple[str, str], list[Run]] = field(default_factory=dict)

    def note(self, name: str, phase: str, ran: Run) -> None:
        """One more run."""
        self.runs.setdefault((name, phase), []).append(ran)

    def median(self, name: str, phase: str) -> Run | None:
        """The medians of a contestant's phase; None for what it did not do."""
        runs = self.runs.get((name, phase))
        return middle(runs) if runs else None

    def ratio(self, phase: str, name: str, base: str) -> float | None:
        """Wall time of one contestant's phase over another's; None where one of them did not do it."""
        one, other = self.median(name, phase), self.median(base, phase)
        return one.wall / other.wall if one and other else None


@dataclass(frozen=True)
class Target:
    """What was promised, what was measured, and whether it holds; `holds` is None where nothing was measured."""

    promise: str
    measured: str
    holds: bool | None

    @property
    def verdict(self) -> str:
        """In a word."""
        return {True: "met", False: "missed", None: "not measured"}[self.holds]


def print_report(paces: Sequence[Results], started: Startup, where: str) -> None:
    """Everything, as Markdown."""
    print("\n" + "\n".join(_lines(paces, started, where)), flush=True)


def write_table(path: Path, paces: Sequence[Results], started: Startup, where: str) -> None:
    """Put the tables between the marks of that file."""
    head, _, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
    _, _, tail = rest.partition(MARKS[1])
    tables = "\n".join(_lines(paces, started, where))
    path.write_text(f"{head}{MARKS[0]}{tables}\n{MARKS[1]}{tail}", encoding="utf-8")


def _lines(paces: Sequence[Results], started: Startup, where: str) -> Iterator[str]:
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
    times = sorted(set(results.times.values()), reverse=True)
    fewer = [f"{name}: {count}" for name, count in results.times.items() if count != times[0]]
    runs = f"{times[0]} runs" + (f"; {', '.join(fewer)}" if fewer else "")
    if results.speed:
        bounds = " and ".join(f"{lower_bound(phase, results.speed):.1f} s for `{phase}`" for phase in ("up", "down"))
        yield f"**AWS's usual delays, {results.speed:g} times as fast** ({runs}). Nobody can be faster than {bounds}."
    else:
        yield f"**AWS takes no time** ({runs}): what the tools themselves cost."
    yield ""
    yield "| | `up` | again | `down` | calls | CPU | memory |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name in results.times:
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


def targets(paces: Sequence[Results], started: Startup) -> Iterator[Target]:
    """Every promise about speed, with what this run of the bench has to say about it."""
    at_once, paced = paces
    for phase in ("up", "down"):
        yield _at_most(f"at once, `{phase}` within 1.5x of the boto3 script", at_once.ratio(phase, PLAB, NAIVE), 1.5)
    times = at_once.ratio("up", TERRAFORM, PLAB)
    measured = f"{times:.0f}x" if times else "no Terraform"
    yield Target("at once, `up` at least 50x as fast as Terraform's apply", measured, times >= 50 if times else None)  # noqa: PLR2004
    yield _near_bound(paced, "up", 1.05)
    yield _near_bound(paced, "down", 1.10)
    yield _asked_once(at_once)
    peaks = [ran.peak for phase in PHASES if (ran := at_once.median(PLAB, phase))]
    yield _at_most("memory under 100 MB", max(peaks, default=None), 100, " MB")
    up = at_once.median(PLAB, "up")
    late = up.first_call - started["import boto3"] if up and up.first_call else None
    yield _at_most("first call within 0.35 s of `import boto3`", late, 0.35, " s")
    for name in ("plab --version", "plab --help", "completion"):
        yield _at_most(f"{name} within 1.5x of `import click`", started[name] / started["import click"], 1.5)


def _at_most(promise: str, value: float | None, limit: float, unit: str = "x") -> Target:
    if value is None:
        return Target(promise, "-", None)
    return Target(promise, f"{value:.2f}{unit}", value <= limit)


def _near_bound(paced: Results, phase: str, share: float) -> Target:
    promise = f"paced, `{phase}` within {share:.2f}x of the lower bound plus 1 s"
    ran, bound = paced.median(PLAB, phase), lower_bound(phase, paced.speed)
    if ran is None:
        return Target(promise, "-", None)
    limit = share * bound + 1
    return Target(promise, f"{ran.wall:.2f} s of {limit:.2f} s; {ran.wall / bound:.2f}x the bound", ran.wall <= limit)


def _asked_once(at_once: Results) -> Target:
    promise = "`up` again asks at most once per kind"
    ran = at_once.median(PLAB, "again")
    if ran is None:
        return Target(promise, "-", None)
    often = {operation: count for operation, count in ran.calls.items() if count > KINDS.get(operation, 1)}
    return Target(promise, f"{ran.calls.total()} calls, more than once: {often or 'none'}", not often)
