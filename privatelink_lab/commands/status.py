"""`plab status`: what exists, in which state, at what cost, and what to do about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from privatelink_lab import engine, expiry
from privatelink_lab.commands import Options, json_report, surplus
from privatelink_lab.commands.json_report import INCOMPLETE, MISSING, SUSPECT, THERE, UNKNOWN
from privatelink_lab.commands.lab_session import last_run
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.commands.surplus import Surplus, few
from privatelink_lab.commands.why import answer, evidence_of
from privatelink_lab.engine import Survey
from privatelink_lab.prices import Cost
from privatelink_lab.resource import Phase, Resource
from privatelink_lab.resource_key import make_key, split_key
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._security_group import LEFT_ALONE
from privatelink_lab.steps.acceptance import WAS_REJECTED
from privatelink_lab.ui.output import Screen
from privatelink_lab.why import Verdict, judge
from privatelink_lab.why.cause import Stops

HOURS_PER_DAY = 24
GOOD = frozenset({Phase.READY, Phase.HELD, THERE})
STYLES = {
    Phase.READY: "green",
    THERE: "green",
    Phase.HELD: "yellow",
    Phase.PENDING: "cyan",
    Phase.DELETING: "cyan",
    **dict.fromkeys([MISSING, Phase.DRIFTED, Phase.FAILED, Phase.UNTAGGED, UNKNOWN, SUSPECT, INCOMPLETE], "red"),
}
MOST_CAUSES = 3  # lines on who gets no answer


def status(options: Options, *, exit_code: bool) -> int:
    """Show what exists; see `plab status --help`."""
    with Execution(options) as execution:
        seen = engine.survey(execution.lab, STEPS)
        cost = json_report.cost_of(execution.lab, seen)
        more = Surplus() if options.lab else surplus.in_survey(execution.lab, seen)  # no config, nothing to compare
        data = json_report.status(execution.lab, seen, cost, more, has_config=not options.lab)
        if options.json:
            execution.screen.data(data)
        else:
            _print_status(execution.screen, data, cost, conclusion(data["resources"], seen.resources, unfit_keys(seen)))
            is_well = all(row["phase"] in {Phase.READY, THERE} for row in data["resources"])
            if not is_well and execution.session.has_config and not options.lab and seen.existing():
                _print_causes(execution.screen, judge(evidence_of(execution.lab)))
            for line in json_report.for_provider_in_words(data["for_provider"]):
                execution.screen.out(line)
        return int(exit_code and not all(row["phase"] in GOOD for row in data["resources"]))


def timeline(options: Options) -> int:
    """Show how long the last run took and why; see `plab status --help`."""
    screen = Screen(json=options.json, quiet=options.quiet)
    data = json_report.timeline(*last_run(options))
    if options.json:
        screen.data(data)
    elif data["timeline"]:
        screen.bars(data["timeline"])
    else:
        screen.out(f"No run of the lab {data['lab']} is recorded here.")
    return 0


def _print_status(screen: Screen, data: dict[str, Any], cost: Cost, last: str) -> None:
    rows = data["resources"]
    if all(row["phase"] == json_report.MISSING for row in rows):
        screen.out("There is no such lab: nothing in AWS bears its tag. Next: plab up")
        return
    cells = ((row["key"], row["phase"], row["detail"], row["id"] or "-") for row in rows)
    looks = {"optional": ("DETAIL",), "styles": {"STATE": STYLES}, "important": _is_important}
    screen.table(("KEY", "STATE", "DETAIL", "ID"), cells, **looks)
    for row in rows:
        for name in row["shows"].values():
            screen.out(f"{row['key']}: {name}")
    screen.out(f"Cost: {cost.in_words()}.{json_report.spent(cost, data['since'])}")
    end = expiry.in_words(data["expires"] or "", datetime.now(UTC))
    if end:
        screen.out(f"The lab {end}.")
    hours = json_report.age_hours(data["since"])
    if hours is not None and hours > HOURS_PER_DAY:
        screen.out("This lab is more than a day old. If you no longer need it: plab down")
    for line in surplus.in_words(data):
        screen.out(line)
    screen.out(last)


def _print_causes(screen: Screen, verdicts: Sequence[Verdict]) -> None:
    """Who gets no answer, why, and the command that helps: what `plab why` says, in a line for each."""
    bad = [verdict for verdict in verdicts if verdict.first and verdict.first.stops is not Stops.NOTHING]
    for verdict in bad[:MOST_CAUSES]:
        fix = verdict.first.sighting.fix if verdict.first else ""
        screen.out(f"{answer(verdict)}" + (f" -> {fix}" if fix else ""))
    if len(bad) > MOST_CAUSES:
        screen.out(f"{len(bad) - MOST_CAUSES} more get no answer: plab why")


def _is_important(row: Sequence[str]) -> bool:
    """Whether a person must read the detail, also in a narrow window."""
    _, phase, detail, _ = row
    return phase not in GOOD or LEFT_ALONE in detail


def unfit_keys(seen: Survey) -> set[str]:
    """The keys of what is there and can only be replaced."""
    return {
        key
        for key, found in seen.found.items()
        if found and found[0].phase is Phase.DRIFTED and not seen.resources[key].type.can_update(found[0])
    }


def conclusion(rows: list[dict[str, Any]], resources: Mapping[str, Resource], unfit: Collection[str] = ()) -> str:
    """How many are not as they should be, which, and the command that helps, where one is known.

    `unfit` are the keys of what has drifted and can only be replaced.
    """
    by_phase: dict[str, list[str]] = {}
    for row in rows:
        by_phase.setdefault(row["phase"], []).append(row["key"] or row["id"])
    bad = {phase: keys for phase, keys in by_phase.items() if phase not in {Phase.READY, THERE}}
    if not bad:
        return f"All {len(rows)} are {'ready' if Phase.READY in by_phase else THERE}."
    counts = [f"{len(keys)} of {len(rows)} {phase}: {few(keys)}" for phase, keys in bad.items()]
    out = {
        row["key"] for row in rows if row["phase"] == Phase.HELD and str(row.get("detail", "")).startswith(WAS_REJECTED)
    }
    command = _command(bad, resources, unfit, out)
    return "; ".join(counts) + (f" -> {command}" if command else ".")


def _command(
    bad: Mapping[str, list[str]], resources: Mapping[str, Resource], unfit: Collection[str], rejected: Collection[str]
) -> str:
    """The next command; '' where AWS's own words have to be read first."""
    if bad.keys() == {Phase.HELD}:
        names = list(dict.fromkeys(split_key(key)[0] for key in bad[Phase.HELD] if key not in rejected))
        if not names:
            again = dict.fromkeys(f" --replace {split_key(key)[0]}/endpoint" for key in bad[Phase.HELD])
            return f"plab up{''.join(again)}"
        if not any(make_key(name, "acceptance") in resources for name in names):  # the provider is somebody else
            return ""
        return f"plab accept {names[0]}" if len(names) == 1 else "plab accept"
    if bad.keys() & {UNKNOWN, SUSPECT, INCOMPLETE}:
        return ""
    replaced = [key for key in (*bad.get(Phase.FAILED, ()), *unfit) if key in resources]
    if replaced and not any(resources[key].type.delete for key in replaced):
        return ""
    replaced = [key for key in replaced if resources[key].type.delete]  # what has no end of its own goes with these
    adopt = " --adopt" if Phase.UNTAGGED in bad else ""
    return f"plab up{adopt}{''.join(f' --replace {key}' for key in replaced)}"
