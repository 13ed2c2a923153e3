"""`plab up`: build, continue or repair."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from privatelink_lab import engine, report
from privatelink_lab.commands.work import Work, cost_words, counted
from privatelink_lab.config import Config
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError, UsageError, Yielded
from privatelink_lab.interrupts import interruptible
from privatelink_lab.session import Options
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN
from privatelink_lab.ui.screen import Screen


def up(options: Options, *, dry_run: bool, replace: Sequence[str], adopt: bool) -> int:
    """Build, continue or repair; see `plab up --help`."""
    with Work(options, writes=True, starts=True) as work:
        if dry_run:
            return _dry_run(work, replace)
        with interruptible(work.lab):
            left = _replace(work, replace, adopt=adopt) if replace else {}
            if left:
                code = work.finish({}, next(iter(left.values())).exit_code, left)
                work.screen.say(f"Nothing was built, because {', '.join(left)} could not be deleted.")
                return code
            try:
                built = engine.up(work.lab, STEPS, adopt=adopt)
            except Yielded as met:
                raise _withdrawn(work, met) from None
        result = report.built(work.lab, built)
        if options.config:
            result["next"] = [f"{command} -c {options.config}" for command in result["next"]]
        code = work.finish(result, built.exit_code, built.failed)
        if not work.screen.json:
            _print_built(work.screen, work.session.config, result, ok=code == 0)
        return code


def _withdrawn(work: Work, met: Yielded) -> Yielded:
    """The error that names the lab's maker, once what this run had made is deleted; it names what is left."""
    receipt = engine.withdraw(work.lab, STEPS)
    if not receipt.left:
        work.session.state.archive()
    left = f" Left: {', '.join(receipt.left)}." if receipt.left else ""
    deleted = counted(report.removed(work.lab, receipt, None)["deleted"])
    return Yielded(f"{met} What this run had made is deleted again: {deleted}.{left}", hint=met.hint)


def _dry_run(work: Work, replace: Sequence[str]) -> int:
    seen = engine.survey(work.lab, STEPS)
    plan = report.plan(work.lab, seen, _replaced(seen, replace))
    work.session.stop_server_if_idle()
    code = work.finish(plan, 0)
    if work.screen.json:
        return code
    work.screen.table(("KEY", "ACTION", "NOW"), (_plan_cells(row) for row in plan["plan"]))
    work.screen.out(f"Nothing was changed. It would cost {cost_words(plan['usd_per_hour'])}.")
    return code


def _plan_cells(row: dict[str, str]) -> tuple[str, ...]:
    """A row for a person: of an ARN only its own part, so that a line fits into a window."""
    return (row["key"], row["action"], re.sub(r"arn:\S+:", "", row["detail"]))


def _replace(work: Work, keys: Sequence[str], *, adopt: bool) -> dict[str, PlabError]:
    """Delete these keys and what stands on them; returns what could not be deleted, and why."""
    seen = engine.survey(work.lab, STEPS)
    engine.know_maker(work.lab, seen.look, adopt=adopt)
    only = _replaced(seen, keys)
    if FOREIGN in only and seen.found.get(FOREIGN):
        ids = " ".join(found.id for found in seen.found[FOREIGN])
        raise PlabError(f"Connections of other accounts hold the service: {ids}.", hint=f"plab reject {ids}")
    return engine.down(work.lab, STEPS, seen, only=only).left


def _replaced(seen: Survey, keys: Sequence[str]) -> set[str]:
    """Each key and what stands on it; raises UsageError for a key that cannot be replaced."""
    replaceable = [key for key, resource in seen.resources.items() if resource.create and resource.delete]
    for key in keys:
        if key not in replaceable:
            hint = f"One of: {', '.join(replaceable)}"
            raise UsageError(f"{key!r} is nothing that up can replace.", hint=hint)
    return {after for key in keys for after in engine.needed_by(seen.resources, key)}


def _print_built(screen: Screen, config: Config, result: dict[str, Any], *, ok: bool) -> None:
    if ok:
        screen.out(f"The lab {config.lab} is up in {result['place']}, after {result['seconds']:.0f} s.")
    else:
        screen.out(f"The lab {config.lab} is not up. Failed: {', '.join(result['failed'])}.")
    if result["service_name"]:
        screen.out(f"  service    {result['service_name']}")
    for endpoint in result["endpoints"]:
        state = "" if endpoint["state"] == "available" else f"{endpoint['state']}  "
        screen.out(f"  {endpoint['consumer']:<10} {state}{endpoint['dns_name'] or ''}".rstrip())
    screen.out(f"  cost       {cost_words(result['usd_per_hour'])}")
    for endpoint in result["endpoints"]:
        if endpoint["state"].lower() == "pendingacceptance":
            screen.out(f"The endpoint {endpoint['endpoint']} of {endpoint['consumer']} waits for `plab accept`.")
    screen.out(f"Next: {' | '.join(result['next'])}")
