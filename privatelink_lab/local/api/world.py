"""What the fake remembers beside moto's own stores: since when things are, and which tokens were used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from moto.core.responses import BaseResponse
from moto.ec2.exceptions import EC2ClientError
from moto.moto_api._internal import mock_random

from privatelink_lab.local.api.clock import Agenda
from privatelink_lab.local.api.faults import Faults
from privatelink_lab.local.network.link import NoTraffic, Traffic

Thing = TypeVar("Thing")
_NOT_SETTINGS = frozenset({"Action", "Version", "ClientToken", "DryRun"})


@dataclass
class Visitor:
    """The machine of those who look around in a subnet: it boots when somebody comes and it does not run."""

    address: str
    boots: int = 0
    runs: bool = False


@dataclass
class World:
    """One life of the local AWS: its agenda and faults, the tokens it has seen, and since when things are.

    `asked` holds the settings under which a named thing was made, by its ARN. `since` holds
    seconds of AWS time, by what became true; `due` those from when on something may be seen or
    done. `notifications` are kept by account and region, and id. `boots` counts the starts of each
    instance, `posted` holds its console as of the last post; `visitors` are kept by their subnets.
    """

    agenda: Agenda
    faults: Faults
    tokens: dict[tuple[str, ...], tuple[str, list[str]]] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    since: dict[tuple[str, ...], float] = field(default_factory=dict)
    due: dict[tuple[str, ...], float] = field(default_factory=dict)
    notifications: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    traffic: Traffic | NoTraffic = field(default_factory=NoTraffic)
    boots: dict[str, int] = field(default_factory=dict)
    posted: dict[str, bytes] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def note(self, *what: str) -> None:
        """Remember that `what` is true from now on, unless it is so already."""
        self.since.setdefault(what, self.agenda.now())

    def forget(self, *what: str) -> None:
        """`what` is no longer true."""
        self.since.pop(what, None)

    def put_off(self, seconds: float, *what: str) -> None:
        """`what` is not due for so many seconds of AWS time."""
        self.due[what] = self.agenda.now() + seconds

    def is_due(self, *what: str) -> bool:
        """Whether nothing was put off under that name, or its time has come; a fault makes new ids later still."""
        now, born = self.agenda.now(), self.since.get(("born", *what))
        return now >= self.due.get(what, 0.0) and (born is None or now >= born + self.faults.seconds("not-found"))

    def spread(self, new_id: str) -> None:
        """A new id is not known everywhere at once, but within two seconds."""
        if (new_id,) not in self.due:
            self.note("born", new_id)
            self.put_off(self.faults.up_to(self.agenda.clock.delay("id_visible")), new_id)


def new_id(prefix: str) -> str:
    """An id as EC2 makes them: the prefix, a dash, 17 hex digits."""
    return f"{prefix}-{mock_random.get_random_hex(17)}"


def settings_of(request: BaseResponse) -> str:
    """All parameters of a request but its token, as a short text that compares."""
    given = {key: value for key, value in request.querystring.items() if key not in _NOT_SETTINGS}
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def once(
    world: World,
    request: BaseResponse,
    recall: Callable[[list[str]], Thing | None],
    make: Callable[[], tuple[Thing, list[str]]],
) -> Thing:
    """What `make` returned the first time that this ClientToken was seen.

    `recall` finds it again by the ids that `make` gave; None means that it is gone, and the token
    is free. EC2 compares the parameters of both requests and answers
    `IdempotentParameterMismatch` when they differ.
    """
    token = request._get_param("ClientToken")
    key = (request._get_action(), request.current_account, request.region, token or "")
    settings = settings_of(request)
    if token and key in world.tokens:
        first_settings, ids = world.tokens[key]
        known = recall(ids)
        if known is not None and settings != first_settings:
            raise EC2ClientError(
                "IdempotentParameterMismatch",
                f"The client token '{token}' was used before with other parameters.",
            )
        if known is not None:
            return known
    made, ids = make()
    if token:
        world.tokens[key] = (settings, ids)
    return made
