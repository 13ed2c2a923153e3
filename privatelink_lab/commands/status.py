"""`plab status`: what exists, in which state, at what cost."""

from __future__ import annotations

from typing import Any

from privatelink_lab import engine, prices
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.lab_session import last_run
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.output import Screen

HOURS_PER_DAY = 24


def status(options: Options) -> int:
    """Show what exists; see `plab status --help`."""
    with Execution(options) as execution:
        data = json_report.status(execution.lab, engine.survey(execution.lab, STEPS), has_config=not options.lab)
        if options.json:
            execution.screen.data(data)
        else:
            _print_status(execution.screen, data)
        return 0


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


def _print_status(screen: Screen, data: dict[str, Any]) -> None:
    rows = data["resources"]
    if all(row["phase"] == json_report.MISSING for row in rows):
        screen.out("There is no such lab: nothing in AWS bears its tag. Next: plab up")
        return
    cells = ((row["key"], row["phase"], row["detail"], (row["id"] or "-").rpartition(":")[2]) for row in rows)
    screen.table(("KEY", "STATE", "DETAIL", "ID"), cells)  # without the prefix of ARNs: a line fits into a window
    for row in rows:
        for name in row["shows"].values():
            screen.out(f"{row['key']}: {name}")
    screen.out(f"Cost: {prices.in_words(data['usd_per_hour'])}.")
    hours = json_report.age_hours(data["since"])
    if hours is not None and hours > HOURS_PER_DAY:
        spent = "an unknown amount" if data["usd_so_far"] is None else f"about {data['usd_so_far']:.2f} USD"
        screen.out(f"This lab is {hours / HOURS_PER_DAY:.0f} days old and has cost {spent} so far.")
        screen.out("If you no longer need it: plab down")
