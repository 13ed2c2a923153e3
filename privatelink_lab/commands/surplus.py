"""What exists and the config no longer names: `up` and `status` name it and leave it, `up --prune` removes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from privatelink_lab import engine
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import STEPS, _permissions, acceptance, endpoint_service
from privatelink_lab.steps.acceptance import Connection

COMMAND = "plab up --prune"
MOST_NAMED = 6  # of one sort in one line


@dataclass(frozen=True)
class Surplus:
    """Keys of resources, the ARNs of principals that may ask, and open connections of other accounts."""

    keys: list[str] = field(default_factory=list)
    principals: list[str] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.keys or self.principals or self.connections)

    def as_json(self) -> dict[str, Any]:
        """Three keys of the JSON of `up` and `status`."""
        return {
            "not_in_config": sorted(self.keys),
            "principals_not_in_config": self.principals,
            "uninvited": {row.endpoint: row.owner for row in self.connections},
        }


def in_survey(lab: Lab, seen: Survey) -> Surplus:
    """The surplus that a survey shows."""
    return _surplus(lab, seen.snapshot, {key: seen.resources[key] for key in seen.existing()})


def after(lab: Lab, built: Built) -> Surplus:
    """The surplus after an `up`: resources by the state, the rest by AWS."""
    snapshot = engine.take_snapshot(lab, built.resources, built.done)
    return _surplus(lab, snapshot, engine.no_longer_planned(lab, STEPS), has_service=endpoint_service.KEY in built.done)


def _surplus(lab: Lab, snapshot: Snapshot, there: Mapping[str, Resource], *, has_service: bool = True) -> Surplus:
    """A key of a party that the config names is surplus where it costs money, as a forgotten probe does."""
    planned, has_service = engine.planned(lab, STEPS), has_service and not lab.config.is_customers
    keys = [key for key, r in there.items() if key not in planned and (r.usd_per_hour != 0 or not lab.names(r.party))]
    try:
        principals = _permissions.surplus(lab, snapshot) if has_service else []
        return Surplus(keys, principals, acceptance.uninvited(lab, snapshot) if has_service else [])
    except PlabError:  # `plab connections` says why
        return Surplus(keys)


def in_words(surplus: Mapping[str, Any]) -> list[str]:
    """A line for each sort of surplus in the JSON, and the command that removes it; [] for none."""
    connected = [f"{endpoint} of account {owner}" for endpoint, owner in surplus["uninvited"].items()]
    sorts = {
        "Not in the config any more, and still there": surplus["not_in_config"],
        "Not in the config, and may still ask": surplus["principals_not_in_config"],
        "Not in the config, and still connected": connected,
    }
    lines = [f"{text}: {few(things)}." for text, things in sorts.items() if things]
    return [*lines, f"Remove it: {COMMAND}"] if lines else []


def few(things: list[str]) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(things) - MOST_NAMED} more" if len(things) > MOST_NAMED else ""
    return ", ".join(things[:MOST_NAMED]) + more
