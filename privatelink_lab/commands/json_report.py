"""What the commands report, as plain data: the JSON contract, and the source of the tables."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from privatelink_lab import engine, prices
from privatelink_lab.engine import Built, Removed, Survey
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import Connection
from privatelink_lab.steps.endpoint_service import KEY as SERVICE
from privatelink_lab.timeline import Timeline

MISSING, THERE = "missing", "there"
SUSPECT, INCOMPLETE = "suspect", "incomplete"  # what bears the lab's tag and is not its own


def status(lab: Lab, seen: Survey, *, has_config: bool = True) -> dict[str, Any]:
    """The `status` object: what exists, in which phase, at what cost per hour, and since when.

    Without a config (`has_config` is False) plab cannot know what is missing or not as asked: the phase is THERE.
    """
    rows = [row for key in seen.resources for row in _status_rows(seen, key)]
    if not has_config:
        rows = [_without_verdict(row) for row in rows if row["phase"] != MISSING]
    rows += [_row(what, "", None, "unknown", str(error)) for what, error in seen.unseen.items()]
    rows += [_row(what, "", None, SUSPECT, str(error)) for what, error in engine.suspects(lab, seen.snapshot).items()]
    rows += [_row("", "", id_, INCOMPLETE, text) for id_, text in engine.incomplete(lab, seen.snapshot).items()]
    usd_per_hour = cost_of(lab, seen)
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "usd_per_hour": usd_per_hour,
        "since": lab.state.since or seen.since,
        "usd_so_far": _so_far(lab.state.since or seen.since, usd_per_hour),
        "resources": rows,
    }


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
        return [_row(key, resource.step, None, "unknown", str(seen.errors[key]))]
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
    return row | {"phase": THERE, "detail": ""} if row["phase"] in {Phase.DRIFTED, Phase.FAILED} else row


def _row(key: str, step: str, id_: str | None, phase: str, detail: str) -> dict[str, Any]:
    return {"key": key, "step": step, "id": id_, "phase": phase, "detail": detail, "shows": {}}


def cost_of(lab: Lab, seen: Survey) -> float | None:
    """USD/hour of all that a survey shows; None if a price, or whether something exists, is unknown."""
    return None if seen.unseen else _cost(lab, seen.resources, seen.found, seen.errors.keys())


def _cost(
    lab: Lab, resources: dict[str, Resource], found: dict[str, tuple[Found, ...]], unread: Collection[str]
) -> float | None:
    """The cost of each resource that was found, or else of its kind. What may exist and was not shown is unknown."""
    hidden = {*unread, *lab.state.create_pending} & resources.keys() - {key for key, things in found.items() if things}
    if any(resources[key].usd_per_hour != 0 for key in hidden):
        return None
    costs = [
        resources[key].usd_per_hour if thing.usd_per_hour is None else thing.usd_per_hour
        for key, things in found.items()
        for thing in things
    ]
    return prices.hourly(costs, lab.provider.region)


def _so_far(since: str, usd_per_hour: float | None) -> float | None:
    hours = age_hours(since)
    return None if usd_per_hour is None or hours is None else round(hours * usd_per_hour, 2)


def age_hours(since: str) -> float | None:
    """Hours since a time of the tag `plab:since`; None where it is no time, or by this clock has not come yet."""
    try:
        made = datetime.fromisoformat(since).astimezone(UTC)
    except ValueError:
        return None
    hours = (datetime.now(UTC) - made).total_seconds() / 3600
    return hours if hours >= 0 else None


def plan(lab: Lab, seen: Survey, replaced: set[str]) -> dict[str, Any]:
    """The plan of `up --dry-run`: one action per key, and the cost per hour afterwards."""
    rows = [
        _plan_row(seen, resource, replace=key in replaced)
        for key, resource in seen.resources.items()
        if resource.type.made_by_plab or seen.found.get(key)
    ]
    costs = [r.usd_per_hour for r in seen.resources.values() if r.type.made_by_plab]
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "plan": rows,
        "usd_per_hour": prices.hourly(costs, lab.provider.region),
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


def _plan_row(seen: Survey, resource: Resource, *, replace: bool) -> dict[str, str]:
    error, found = seen.errors.get(resource.key), seen.found.get(resource.key)
    if error:
        action = "cannot"
    elif not found:
        action = "make"
    elif replace:
        action = "replace"
    else:
        action = ACTIONS[found[0].phase] if resource.type.made_by_plab else "leave"
    detail = str(error) if error else ", ".join(f"{thing.id} {thing.detail}" for thing in found or ())
    return {"key": resource.key, "step": resource.step, "action": action, "detail": detail}


def built(lab: Lab, run: Built) -> dict[str, Any]:
    """The summary of `up`: the service, each consumer's endpoint and DNS name, the cost, the next commands.

    The cost has what the config no longer names and this lab has made: it exists until a `down`.
    """
    forgotten = engine.no_longer_planned(lab, STEPS)
    existing = {key: (Found(lab.state.ids[key], Phase.READY),) for key in forgotten}
    unread = run.unread | (run.failed.keys() & lab.state.ids.keys())
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "service_name": run.shows(SERVICE, "service_name"),
        "endpoints": [_endpoint(run, consumer.name) for consumer in lab.config.consumers],
        "usd_per_hour": _cost(lab, run.resources | forgotten, existing | run.seen | run.done, unread),
        "not_in_config": sorted(key for key, resource in forgotten.items() if resource.usd_per_hour != 0),
        "seconds": run.seconds,
        "failed": sorted(run.failed),
        "not_tried": run.blocked,
        "uninvited": {},
        "suspect": {what: str(error) for what, error in run.suspects.items()},
        "incomplete": run.incomplete,
        "next": _next(lab, run),
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


def _next(lab: Lab, run: Built) -> list[str]:
    connections = [found[0] for key, found in run.done.items() if key.endswith("/acceptance")]
    held = [connection.id for connection in connections if connection.phase is Phase.HELD]
    accept = [f"plab accept {' '.join(held)}"] if held else []
    repair = [error.hint for error in run.failed.values() if error.hint.startswith("plab ")]
    verify = ["plab verify"] if lab.config.consumers and not (held or run.exit_code) else []
    return list(dict.fromkeys([*accept, *repair, *verify, "plab status", "plab connections", "plab down"]))


def removed(lab: Lab, receipt: Removed, cost_before: float | None) -> dict[str, Any]:
    """The receipt of `down`: how many of what were deleted, what is left and why, and the cost that has ended."""
    left = [{"key": key, "error": error.as_json()} for key, error in receipt.left.items()]
    return {
        "lab": lab.config.lab,
        "place": place(lab),
        "deleted": {noun: len(ids) for noun, ids in receipt.deleted.items()},
        "left": left,
        "incomplete": receipt.incomplete,
        "stopped_usd_per_hour": None if left else cost_before,
    }


def counted(counts: dict[str, int]) -> str:
    """A text of how many of what: `2 VPCs, 1 instance`."""
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()) or "nothing"


def connections(rows: list[Connection]) -> dict[str, Any]:
    """The `connections` object."""
    return {
        "connections": [
            {
                "endpoint": row.endpoint,
                "owner": row.owner,
                "state": row.state,
                "consumer": row.consumer,
                "region": row.region,
                "since": row.since.strftime("%Y-%m-%dT%H:%M:%SZ") if row.since else None,
            }
            for row in rows
        ]
    }
