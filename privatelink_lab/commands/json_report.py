"""What the commands report, as plain data: the JSON contract, and the source of the tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from privatelink_lab import engine, tags
from privatelink_lab.admission import Decision
from privatelink_lab.commands.surplus import COMMAND, Surplus
from privatelink_lab.config import PROVIDER
from privatelink_lab.engine import Built, Removed, Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.events import duration
from privatelink_lab.lab import Lab
from privatelink_lab.prices import Cost, Rate
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.resource_key import split_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._existing import offer
from privatelink_lab.steps._security_group import LEFT_ALONE
from privatelink_lab.steps.acceptance import WAS_REJECTED, Connection
from privatelink_lab.steps.consumer_endpoint import REJECTED, endpoint_key
from privatelink_lab.steps.endpoint_service import KEY as SERVICE
from privatelink_lab.timeline import Timeline

NO_VERDICTS: Mapping[str, Decision] = {}

MISSING, THERE, UNKNOWN = "missing", "there", "unknown"
SUSPECT, INCOMPLETE = "suspect", "incomplete"  # what bears the lab's tag and is not its own


def status(lab: Lab, seen: Survey, cost: Cost, surplus: Surplus, *, has_config: bool = True) -> dict[str, Any]:
    """The `status` object: what exists, in which phase, at what cost per hour, since when, and the surplus.

    Without a config (`has_config` is False) plab cannot know what is missing or not as asked: the phase is THERE.
    """
    rows = [row for key in seen.resources for row in _status_rows(seen, key)]
    if not has_config:
        rows = [_without_verdict(row) for row in rows if row["phase"] != MISSING]
    rows += [_row(what, "", None, UNKNOWN, str(error)) for what, error in seen.unseen.items()]
    rows += [_row(what, "", None, SUSPECT, str(error)) for what, error in engine.suspects(lab, seen.snapshot).items()]
    rows += [_row("", "", id_, INCOMPLETE, text) for id_, text in engine.incomplete(lab, seen.snapshot).items()]
    hours = age_hours(since_of(lab, seen))
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "usd_per_hour": cost.usd_per_hour,
        "since": since_of(lab, seen),
        "usd_so_far": None if hours is None else cost.usd_after(hours),
        "expires": lab.state.expires or seen.snapshot.expires() or None,
        "resources": rows,
        **surplus.as_json(),
        "for_provider": for_provider(lab, seen.found),
    }


def for_provider(lab: Lab, found: Mapping[str, Sequence[Found]]) -> list[dict[str, str]]:
    """What the customer's side tells the provider of each endpoint; [] where nobody else decides about it."""
    if not (lab.config.is_customers and _is_decided(lab)):
        return []
    keys = {consumer.name: endpoint_key(consumer.name) for consumer in lab.config.consumers}
    return [
        {
            "account": lab.account(name).id,
            "endpoint": thing.id,
            "region": lab.provider.region,
            "state": REJECTED if thing.detail.startswith(WAS_REJECTED) else thing.detail,
        }
        for name, key in keys.items()
        for thing in found.get(key) or ()
    ]


def _is_decided(lab: Lab) -> bool:
    """Whether the provider has to accept an endpoint; so it may be where AWS does not show the service any more."""
    with suppress(PlabError):
        return bool(offer(lab).get("AcceptanceRequired"))
    return True


def for_provider_in_words(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The same as sentences, to be sent as they are."""
    text = "For the provider: account {account}, endpoint {endpoint}, Region {region} ({state})"
    return [text.format(**row) for row in rows]


def timeline(lab: str, run: Timeline | None) -> dict[str, Any]:
    """The `timeline` object: how long the last run that changed something took, and the chain that decided it."""
    if run is None:
        return {"lab": lab, "timeline": None}
    began = datetime.fromtimestamp(run.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    spans = [{"key": key} | asdict(span) for key, span in run.spans.items()]
    what = {"command": run.command, "began": began, "seconds": run.seconds, "over": run.over}
    return {"lab": lab, "timeline": what | {"chain": run.chain(), "spans": spans}}


def place(lab: Lab) -> str:
    """Where the lab lives, as a person reads it."""
    return lab.state.place.name if lab.state.place else "nowhere yet"


def _status_rows(seen: Survey, key: str) -> list[dict[str, Any]]:
    resource = seen.resources[key]
    if key in seen.errors:
        return [_row(key, resource.step, None, UNKNOWN, str(seen.errors[key]))]
    if not seen.found[key] and resource.type.made_by_plab:
        return [_row(key, resource.step, None, MISSING, "")]
    return [
        _row(key, resource.step, found.id, found.phase.value, found.detail) | {"shows": _names(found)}
        for found in seen.found[key]
    ]


def _names(found: Found) -> dict[str, str]:
    """What a user needs again: the name of the service, the DNS name of an endpoint."""
    return {name: found.shows[name] for name in ("service_name", "dns_name") if found.shows.get(name)}


def _without_verdict(row: dict[str, Any]) -> dict[str, Any]:
    by_config = row["phase"] in {Phase.DRIFTED, Phase.FAILED} or LEFT_ALONE in row["detail"]
    return row | {"phase": THERE, "detail": ""} if by_config else row


def _row(key: str, step: str, id_: str | None, phase: str, detail: str) -> dict[str, Any]:
    return {"key": key, "step": step, "id": id_, "phase": phase, "detail": detail, "shows": {}}


def since_of(lab: Lab, seen: Survey) -> str:
    """When the lab began; '' where neither the state nor a tag says it."""
    return lab.state.since or seen.since


def cost_of(lab: Lab, seen: Survey) -> Cost:
    """The cost of all that a survey shows; unknown if a price, or whether something exists, is."""
    return _cost(lab, seen.resources, seen.found, seen.errors.keys(), is_whole=not seen.unseen)


def cost_planned(lab: Lab, seen: Survey, pruned: Collection[str]) -> Cost:
    """The cost of all that the config asks for, and of what is there besides and is not `pruned`."""
    planned = [r for key, r in seen.resources.items() if r.type.made_by_plab and key not in pruned]
    return _cost_of_rates(lab, [_rate(resource, resource.usd_per_hour) for resource in planned])


def cost_built(lab: Lab, run: Built) -> Cost:
    """The cost after an `up`, also of what this lab has made and the config no longer names: a `down` ends it."""
    forgotten = engine.no_longer_planned(lab, STEPS)
    existing = {key: (Found(lab.state.ids[key], Phase.READY),) for key in forgotten}
    unread = run.unread | (run.failed.keys() & lab.state.ids.keys())
    return _cost(lab, run.resources | forgotten, existing | run.seen | run.done, unread)


def _cost(
    lab: Lab,
    resources: dict[str, Resource],
    found: dict[str, tuple[Found, ...]],
    unread: Collection[str],
    *,
    is_whole: bool = True,
) -> Cost:
    """The cost of each resource that was found, or else of its kind. What may exist and was not shown is unknown."""
    hidden = {*unread, *lab.state.create_pending} & resources.keys() - {key for key, things in found.items() if things}
    rates = [
        _rate(resources[key], resources[key].usd_per_hour if thing.usd_per_hour is None else thing.usd_per_hour)
        for key, things in found.items()
        for thing in things
    ]
    all_shown = is_whole and all(resources[key].usd_per_hour == 0 for key in hidden)
    return _cost_of_rates(lab, rates, is_whole=all_shown)


def _rate(resource: Resource, usd_per_hour: float | None) -> Rate:
    return Rate(usd_per_hour, resource.party != PROVIDER, resource.type.billed_by_started_hours)


def _cost_of_rates(lab: Lab, rates: list[Rate], *, is_whole: bool = True) -> Cost:
    local = bool(lab.state.place and lab.state.place.server)
    return Cost(tuple(rates), lab.provider.region, lab.provider.partition, local, is_whole)


def spent(cost: Cost, since: str) -> str:
    """A sentence of what a lab has cost since it began; '' where that moment is not known."""
    hours = age_hours(since)
    return "" if hours is None else f" Spent in {duration(hours * 3600)}: {cost.spent_in_words(hours)}."


def age_hours(since: str) -> float | None:
    """Hours since a time of the tag `plab:since`; None where it is no time, or by this clock has not come yet."""
    try:
        made = datetime.fromisoformat(since).astimezone(UTC)
    except ValueError:
        return None
    hours = (datetime.now(UTC) - made).total_seconds() / 3600
    return hours if hours >= 0 else None


def plan(lab: Lab, seen: Survey, replaced: set[str], pruned: Collection[str], cost: Cost) -> dict[str, Any]:
    """The plan of `up --dry-run`: one action per key, and the cost per hour afterwards."""
    rows = [
        _plan_row(seen, resource, "replace" if key in replaced else "delete" if key in pruned else "")
        for key, resource in seen.resources.items()
        if resource.type.made_by_plab or seen.found.get(key)
    ]
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "plan": rows,
        "usd_per_hour": cost.usd_per_hour,
    }


ACTIONS = {
    Phase.READY: "leave",
    Phase.HELD: "leave",
    Phase.PENDING: "wait",
    Phase.DELETING: "wait, then make",
    Phase.DRIFTED: "update",
    Phase.FAILED: "cannot",
    Phase.UNTAGGED: "cannot",
}


def _plan_row(seen: Survey, resource: Resource, removal: str) -> dict[str, str]:
    error, found = seen.errors.get(resource.key), seen.found.get(resource.key)
    if error:
        action = "cannot"
    elif not found:
        action = "make"
    elif removal:
        action = removal
    else:
        action = ACTIONS[found[0].phase] if resource.type.made_by_plab else "leave"
        if found[0].phase is Phase.DRIFTED and not resource.type.can_update(found[0]):
            action = "cannot"
    detail = str(error) if error else ", ".join(f"{thing.id} {thing.detail}" for thing in found or ())
    return {"key": resource.key, "step": resource.step, "action": action, "detail": detail}


def built(lab: Lab, run: Built, cost: Cost, surplus: Surplus) -> dict[str, Any]:
    """The summary of `up`: the service, each consumer's endpoint and DNS name, the cost, the next commands."""
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "service_name": run.shows(SERVICE, "service_name"),
        "endpoints": [_endpoint(run, consumer.name) for consumer in lab.config.consumers],
        "usd_per_hour": cost.usd_per_hour,
        "expires": lab.state.expires or None,
        **surplus.as_json(),
        "seconds": run.seconds,
        "failed": sorted(run.failed),
        "not_tried": run.blocked,
        "suspect": {what: str(error) for what, error in run.suspects.items()},
        "incomplete": run.incomplete,
        "for_provider": for_provider(lab, run.seen | run.done),
        "next": _next(lab, run, [COMMAND] if surplus else []),
    }


def _endpoint(run: Built, consumer: str) -> dict[str, Any]:
    key = f"{consumer}/endpoint"
    found = (run.done.get(key) or run.seen.get(key) or (Found("", Phase.FAILED, "not made"),))[0]
    return {
        "consumer": consumer,
        "endpoint": found.id or None,
        "state": found.detail,
        "dns_name": found.shows.get("dns_name"),
    }


def _next(lab: Lab, run: Built, prune: list[str]) -> list[str]:
    connections = {key: found[0] for key, found in run.done.items() if key.endswith("/acceptance")}
    rejected = (key for key, (found, *_) in run.done.items() if found.detail.startswith(WAS_REJECTED))
    out = list(dict.fromkeys(split_key(key)[0] for key in rejected))
    held = [split_key(key)[0] for key, connection in connections.items() if connection.phase is Phase.HELD]
    held = [name for name in held if name not in out]
    accept = [f"plab accept {held[0]}" if len(held) == 1 else "plab accept"] if held else []
    repair = [error.hint for error in run.failed.values() if error.hint.startswith("plab ")]
    repair += [f"plab up --replace {name}/endpoint" for name in out]
    waits = [found for key, (found, *_) in run.done.items() if found.phase is Phase.HELD and key.endswith("/endpoint")]
    verify = ["plab verify"] if lab.config.consumers and not (held or out or waits or run.exit_code) else []
    customer = next(iter(lab.config.customers_with_access), None)
    share = [f"plab share {customer}"] if customer and not run.exit_code else []
    always = ["plab status", "plab connections", "plab down"]
    return list(dict.fromkeys([*accept, *repair, *verify, *prune, *share, *always]))


def removed(lab: Lab, receipt: Removed, before: Cost | None = None, since: str = "") -> dict[str, Any]:
    """The receipt of `down`: how many of what were deleted, what is left and why, and the cost that has ended."""
    hours = age_hours(since)
    ids = lab.state.ids  # what could not be read may be left under these
    left = [{"key": key, "id": ids.get(key), "error": error.as_json()} for key, error in receipt.left.items()]
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "deleted": {noun: len(ids) for noun, ids in receipt.deleted.items()},
        "left": left,
        "incomplete": receipt.incomplete,
        "stopped_usd_per_hour": before.usd_per_hour if before and not left else None,
        "usd_so_far": before.usd_after(hours) if before and hours is not None else None,
    }


def counted(counts: dict[str, int]) -> str:
    """A text of how many of what: `2 VPCs, 1 instance`."""
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()) or "nothing"


def connections(
    rows: list[Connection], snapshot: Snapshot | None = None, verdicts: Mapping[str, Decision] = NO_VERDICTS
) -> dict[str, Any]:
    """The `connections` object; DNS names are those that a snapshot shows of the lab's own endpoints."""
    names = {row.endpoint: shown(snapshot, endpoint_key(row.consumer), "dns_name") for row in rows if row.consumer}
    return {
        "service_name": shown(snapshot, SERVICE, "service_name"),
        "connections": [
            {
                "endpoint": row.endpoint,
                "owner": row.owner,
                "state": row.state,
                "consumer": row.consumer,
                "region": row.region,
                "since": row.since.strftime("%Y-%m-%dT%H:%M:%SZ") if row.since else None,
                "dns_name": names.get(row.endpoint),
                **_verdict(row, verdicts.get(row.endpoint)),
            }
            for row in rows
        ],
    }


def _verdict(row: Connection, verdict: Decision | None) -> dict[str, Any]:
    """What the rules say of a connection, and who admitted it; nulls for a consumer of the lab."""
    return {
        "customer": verdict.customer if verdict else None,
        "reason": verdict.reason.value if verdict else None,
        "detail": verdict.text if verdict else None,
        "admitted_by": row.written.get(tags.BY),
        "admitted_at": row.written.get(tags.AT),
        "rule": row.written.get(tags.RULE),
    }


def shown(snapshot: Snapshot | None, key: str, name: str) -> str | None:
    """A name that a snapshot shows of a key; None where it shows none."""
    with suppress(PlabError):  # another party's account may refuse what this command can do without
        found = snapshot.found(key) if snapshot else ()
        return found[0].shows.get(name) if found else None
    return None
