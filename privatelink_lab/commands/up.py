"""`plab up`: build, continue or repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privatelink_lab import engine
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.config import Config
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import ConcurrentMaker, PlabError, UsageError
from privatelink_lab.lab import Lab
from privatelink_lab.prices import Cost
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN, connections
from privatelink_lab.steps.endpoint_service import PERMISSIONS, may_ask
from privatelink_lab.ui.output import Screen

MOST_NAMED = 3  # ids in one `Next:`


def up(options: Options, *, dry_run: bool, replace: Sequence[str], adopt: bool) -> int:
    """Build, continue or repair; see `plab up --help`."""
    with Execution(options, writes=True, starts=True) as execution:
        if dry_run:
            return _dry_run(execution, replace)
        with interruptible(execution.lab):
            if adopt:
                engine.put_tags_back(execution.lab, engine.survey(execution.lab, STEPS))
            left = _replace(execution, replace, adopt=adopt) if replace else {}
            if left:
                code = execution.finish({}, next(iter(left.values())).exit_code, left)
                execution.screen.say(f"Nothing was built, because {', '.join(left)} could not be deleted.")
                return code
            try:
                built = engine.up(execution.lab, STEPS, adopt=adopt)
            except ConcurrentMaker as met:
                raise _withdrawn(execution, met) from None
        cost = json_report.cost_built(execution.lab, built)
        result = json_report.built(execution.lab, built, cost)
        if uninvited := _uninvited(execution.lab, built):
            result["uninvited"] = uninvited
            few = len(uninvited) <= MOST_NAMED
            result["next"].insert(0, f"plab reject {' '.join(uninvited)}" if few else "plab connections")
            result["next"] = list(dict.fromkeys(result["next"]))
        result["next"] = [execution.screen.advise(command) for command in result["next"]]
        code = execution.finish(result, built.exit_code, built.failed)
        for what, error in built.suspects.items():
            execution.screen.warn(f"{what}: {error}\nHint: {error.hint}")
        for text in built.incomplete.values():
            execution.screen.warn(text)
        if not execution.screen.json:
            _print_built(execution.screen, execution.session.config, result, cost, ok=code == 0)
        return code


def _uninvited(lab: Lab, built: Built) -> dict[str, str]:
    """By endpoint: the account whose open connection stays although this run has taken its right to ask."""
    if not (built.done.get(PERMISSIONS) and lab.state.timeline and PERMISSIONS in lab.state.timeline.spans):
        return {}
    try:
        rows = connections(lab, engine.take_snapshot(lab, built.resources, built.done))
    except PlabError:  # `plab connections` says why
        return {}
    return {row.endpoint: row.owner for row in rows if row.open and not row.consumer and not may_ask(lab, row.owner)}


def _withdrawn(execution: Execution, met: ConcurrentMaker) -> ConcurrentMaker:
    """The error that names the lab's maker, once what this run had made is deleted; it names what is left."""
    receipt = engine.remove_own(execution.lab, STEPS)
    if not receipt.left:
        execution.session.state.archive()
    left = f" Left: {', '.join(receipt.left)}." if receipt.left else ""
    deleted = json_report.counted(json_report.removed(execution.lab, receipt)["deleted"])
    return ConcurrentMaker(f"{met} This run has deleted what it had made: {deleted}.{left}", hint=met.hint)


def _dry_run(execution: Execution, replace: Sequence[str]) -> int:
    engine.check(execution.lab, STEPS)
    seen = engine.survey(execution.lab, STEPS)
    cost = json_report.cost_planned(execution.lab, seen)
    plan = json_report.plan(execution.lab, seen, _replaced(seen, replace), cost)
    if execution.session.started_server:
        execution.session.stop_server_if_idle(tell=False)
    code = execution.finish(plan, 0)
    if execution.screen.json:
        return code
    cells = ((row["key"], row["action"], row["detail"]) for row in plan["plan"])
    execution.screen.table(("KEY", "ACTION", "NOW"), cells)
    execution.screen.out(f"Nothing was changed. It would cost {cost.in_words()}.")
    return code


def _replace(execution: Execution, keys: Sequence[str], *, adopt: bool) -> dict[str, PlabError]:
    """Delete these keys and what stands on them; returns what could not be deleted, and why."""
    seen = engine.survey(execution.lab, STEPS)
    engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=adopt)
    only = _replaced(seen, keys)
    if FOREIGN in only and seen.found.get(FOREIGN):
        ids = " ".join(found.id for found in seen.found[FOREIGN])
        raise PlabError(
            f"Connections of other accounts keep the service from being deleted: {ids}.", hint=f"plab reject {ids}"
        )
    return engine.down(execution.lab, STEPS, seen, only=only).left


def _replaced(seen: Survey, keys: Sequence[str]) -> set[str]:
    """These keys and all that stand on them; raises UsageError for a key that cannot be replaced."""
    replaceable = [
        key for key, resource in seen.resources.items() if resource.type.made_by_plab and resource.type.delete
    ]
    for key in keys:
        if key not in replaceable:
            raise UsageError(f"{key!r} cannot be replaced.", hint=f"One of: {', '.join(replaceable)}")
    return {dependent for key in keys for dependent in engine.dependents_of(seen.resources, key)}


def _print_built(screen: Screen, config: Config, result: dict[str, Any], cost: Cost, *, ok: bool) -> None:
    if ok:
        screen.out(f"The lab {config.lab} is up in {result['place']}, after {result['seconds']:.0f} s.")
    else:
        screen.out(f"The lab {config.lab} is not up. Failed: {', '.join(result['failed'])}.")
    if result["service_name"]:
        screen.out(f"  service    {result['service_name']}")
    for endpoint in result["endpoints"]:
        state = "" if endpoint["state"] == "available" else f"{endpoint['state']}  "
        screen.out(f"  {endpoint['consumer']:<10} {state}{endpoint['dns_name'] or ''}".rstrip())
    screen.out(f"  cost       {cost.in_words()}")
    if result["not_in_config"]:
        keys = result["not_in_config"]
        screen.out(f"Not in the config any more, and it still costs money: {', '.join(keys)}.")
        screen.out(f"Remove it: plab up --replace {' --replace '.join(keys)}")
    for endpoint, account in result["uninvited"].items():
        text = f"Account {account} may no longer ask for a connection, and its endpoint {endpoint} stays connected."
        screen.out(f"{text} Cut it: plab reject {endpoint}")
    for endpoint in result["endpoints"]:
        if endpoint["state"].lower() == "pendingacceptance":
            screen.out(f"The endpoint {endpoint['endpoint']} of {endpoint['consumer']} waits for `plab accept`.")
    screen.out(f"Next: {' | '.join(result['next'])}")
