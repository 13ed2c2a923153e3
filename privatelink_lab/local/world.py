"""What the fake remembers beside moto's own stores."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from moto.core.responses import BaseResponse
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from privatelink_lab.local.clock import Agenda

Thing = TypeVar("Thing")
_NOT_SETTINGS = frozenset({"Action", "Version", "ClientToken", "DryRun"})


@dataclass
class World:
    """One life of the local AWS: its agenda, the tokens it has seen, and since when things are.

    `asked` holds the settings under which a named thing was made, by its ARN. `since` holds
    seconds of AWS time, by what became true.
    """

    agenda: Agenda
    tokens: dict[tuple[str, ...], tuple[str, list[str]]] = field(default_factory=dict)
    asked: dict[str, str] = field(default_factory=dict)
    since: dict[tuple[str, ...], float] = field(default_factory=dict)

    def note(self, *what: str) -> None:
        """Remember that `what` is true from now on, unless it is so already."""
        self.since.setdefault(what, self.agenda.now())

    def forget(self, *what: str) -> None:
        """`what` is no longer true."""
        self.since.pop(what, None)


class Ec2Call(EC2Response):
    """One EC2 request, and the World it works on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world


def new_id(prefix: str) -> str:
    """An id as EC2 makes them: the prefix, a dash, 17 hex digits."""
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def settings_of(request: BaseResponse) -> str:
    """All parameters of a request but its token, as text that compares."""
    given = {key: value for key, value in request.querystring.items() if key not in _NOT_SETTINGS}
    return json.dumps(given, sort_keys=True)


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
