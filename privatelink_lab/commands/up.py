"""`plab up`: build, continue or repair."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from privatelink_lab import engine, expiry
from privatelink_lab.commands import Options, json_report, prune, surplus
from privatelink_lab.commands.consent import consents_to_delete_service
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.commands.status import unfit_keys
from privatelink_lab.commands.why import explained
from privatelink_lab.config import PROVIDER, Config
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import ConcurrentMaker, PlabError, UsageError
from privatelink_lab.prices import Cost
from privatelink_lab.resource_key import split_key
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN, WAS_REJECTED
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.endpoint_service import KEY as SERVICE
from privatelink_lab.ui.output import Screen


def up(
    options: Options,
    *,
    dry_run: bool,
    replace: Sequence[str],
    prunes: bool,
    adopt: bool,
    force: bool,
    ttl: str,
    ask: Ask,
) -> int:
    """Build, continue or repair; see `plab up --help`."""
    if prunes and replace:
        raise UsageError("--prune and --replace exclude each other.", hint=f"Begin with: {surplus.COMMAND}")
    with Execution(options, writes=True, starts=True) as execution:
        execution.lab.ttl = ttl
        execution.lab.explain = lambda: explained(execution.lab)
        if dry_run:
            return _dry_run(execution, replace, prunes=prunes, adopt=adopt)
        with interruptible(execution.lab):
            if adopt:
                engine.put_tags_back(execution.lab, engine.survey(execution.lab, STEPS))
            began = execution.lab.clock.now()
            left = _remove(execution, replace, prunes=prunes, adopt=adopt, force=force, ask=ask)
            if left is None:
                execution.screen.say("Nothing was changed.")
                return execution.finish({}, 1)
            if left:
                code = execution.finish({}, next(iter(left.values())).exit_code, left)
                execution.screen.say(f"Nothing was built, because {', '.join(left)} could not be removed.")
                return code
            try:
                removed = execution.lab.clock.now() - began
                built = engine.up(execution.lab, STEPS, adopt=adopt)
                built = dataclasses.replace(built, seconds=built.seconds + removed)
            except ConcurrentMaker as met:
                raise _withdrawn(execution, met) from None
        return _report(execution, built)


def _report(execution: Execution, built: Built) -> int:
    cost = json_report.cost_built(execution.lab, built)
    result = json_report.built(execution.lab, built, cost, surplus.after(execution.lab, built))
    result["next"] = [execution.screen.advise(command) for command in result["next"]]
    code = execution.finish(result, built.exit_code, built.failed)
    for what, error in built.suspects.items():
        execution.screen.warn(f"{what}: {error}\nHint: {error.hint}")
    for text in built.incomplete.values():
        execution.screen.warn(text)
    if not execution.screen.json:
        _print_built(execution.screen, execution.session.config, result, cost, ok=code == 0)
    return code


def _withdrawn(execution: Execution, met: ConcurrentMaker) -> ConcurrentMaker:
    """The error that names the lab's maker, once what this run had made is deleted; it names what is left."""
    receipt = engine.remove_own(execution.lab, STEPS)
    if not receipt.left:
        execution.session.state.archive()
    left = f" Left: {', '.join(receipt.left)}." if receipt.left else ""
    deleted = json_report.counted(json_report.removed(execution.lab, receipt)["deleted"])
    return ConcurrentMaker(f"{met} This run has deleted what it had made: {deleted}.{left}", hint=met.hint)


def _dry_run(execution: Execution, replace: Sequence[str], *, prunes: bool, adopt: bool) -> int:
    engine.check(execution.lab, STEPS)
    seen = engine.survey(execution.lab, STEPS)
    execution.lab.state = execution.lab.state.without_file()
    engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=adopt)
    execution.lab.begin()
    pruned = prune.of(execution, seen).keys if prunes else []
    if prunes:
        seen = engine.survey(execution.lab, STEPS)
    cost = json_report.cost_planned(execution.lab, seen, pruned)
    plan = json_report.plan(execution.lab, seen, _replaced(seen, replace), pruned, cost)
    code = execution.finish(plan, 1 if any(row["action"] == "cannot" for row in plan["plan"]) else 0)
    if not execution.screen.json:
        cells = ((row["key"], row["action"], row["detail"]) for row in plan["plan"])
        execution.screen.table(("KEY", "ACTION", "NOW"), cells)
        execution.screen.out(f"Nothing was changed. It would cost {cost.in_words()}.")
    if execution.session.started_server:
        execution.session.stop_server_if_idle(tell=False)
    return code


def _remove(
    execution: Execution, replace: Sequence[str], *, prunes: bool, adopt: bool, force: bool, ask: Ask
) -> Mapping[str, PlabError] | None:
    """Remove what has to go before the lab is built; returns what is left of it and why, or None without consent."""
    if prunes:
        return prune.prune(execution, adopt=adopt, force=force, ask=ask)
    return _replace(execution, replace, adopt=adopt, force=force, ask=ask) if replace else {}


def _replace(
    execution: Execution, keys: Sequence[str], *, adopt: bool, force: bool, ask: Ask
) -> dict[str, PlabError] | None:
    """Delete these keys and what stands on them; returns what could not be deleted and why, or None without consent."""
    engine.check(execution.lab, STEPS)
    seen = engine.survey(execution.lab, STEPS)
    engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=adopt)
    only = _replaced(seen, keys)
    if seen.existing():  # a lab that has expired is refused before anything goes
        execution.lab.begin()
    _refuse_unfit(seen, only)
    if FOREIGN in only:
        forced = f"plab up{''.join(f' --replace {key}' for key in keys)} --force"
        if not consents_to_delete_service(execution, seen, forced, force=force, ask=ask):
            return None
    gone = [key for key in seen.existing() if key in only and not seen.resources[key].type.goes_with_parent]
    for line in _what_goes(seen, gone, set(engine.planned(execution.lab, STEPS))):
        execution.screen.warn(line)
    if gone and not execution.session.options.yes and not ask("Delete this, and make it again?"):
        return None
    return engine.down(execution.lab, STEPS, seen, only=only).left


def _refuse_unfit(seen: Survey, replaced: set[str]) -> None:
    """Raise PlabError where `up` would refuse after the deletion: something else can only be replaced, too."""
    unfit = [key for key in unfit_keys(seen) if key not in replaced]
    if unfit and any(split_key(key)[0] == PROVIDER for key in [*unfit, *replaced]):
        texts = [f"{key} is not as asked: {seen.found[key][0].detail}." for key in unfit]
        replaceable = [key for key in unfit if seen.resources[key].type.delete]
        under = {after for key in replaceable for after in engine.dependents_of(seen.resources, key) - {key}}
        more = "".join(f" --replace {key}" for key in replaceable if key not in under)
        hint = f"Put the config back, or replace it as well: plab up{more}" if replaceable else ""
        raise PlabError(f"{' '.join(texts)} Nothing was changed.", hint=hint)


def _what_goes(seen: Survey, keys: list[str], planned: set[str]) -> list[str]:
    """A line for each resource that is made again, and for each name and connection that is lost with it."""
    found = {key: seen.found[key] for key in keys}
    lines = [f"  {key}  {thing.id}" for key, things in found.items() for thing in things]
    if SERVICE in found:
        lines.append("The service gets another name: customers outside this lab have to make new endpoints.")
    endpoints = [key for key in keys if key == endpoint_key(split_key(key)[0])]
    whole_path = any(split_key(key)[0] == PROVIDER for key in keys)  # all packets pass what the provider has
    cut = [key for key in seen.existing() if key == endpoint_key(split_key(key)[0]) and (whole_path or key in keys)]
    for key in endpoints:
        if name := found[key][0].shows.get("dns_name"):
            ends = "This DNS name ends, and a new one takes its place" if key in planned else "This DNS name ends"
            lines.append(f"{ends}: {name}")
    consumers = ", ".join(split_key(key)[0] for key in cut)
    return [*lines, f"Until then these consumers do not reach the service: {consumers}"] if consumers else lines


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
    if end := expiry.in_words(result["expires"] or "", datetime.now(UTC)):
        screen.out(f"  end        the lab {end}")
    elif config.ttl:
        text = f"`ttl: {config.ttl}` counts for a lab that begins; this one has no end."
        screen.out(f"{text} To give it one: plab up --ttl 8h")
    for line in surplus.in_words(result):
        screen.out(line)
    _print_decisions(screen, result)
    for line in json_report.for_provider_in_words(result["for_provider"]):
        screen.out(line)
    screen.out(f"Next: {' | '.join(result['next'])}")


def _print_decisions(screen: Screen, result: Mapping[str, Any]) -> None:
    """A line for each endpoint that waits for a person, or was rejected by one."""
    for endpoint in result["endpoints"]:
        if endpoint["state"].lower() == "pendingacceptance":
            who = "its provider" if result["for_provider"] else "`plab accept`"
            screen.out(f"The endpoint {endpoint['endpoint']} of {endpoint['consumer']} waits for {who}.")
        elif endpoint["state"].startswith(WAS_REJECTED):
            text = f"The endpoint {endpoint['endpoint']} of {endpoint['consumer']} was rejected, and stays so"
            screen.out(f"{text}. To ask again: plab up --replace {endpoint['consumer']}/endpoint")
