"""Step 7: the provider admits its consumers, and only them.

`up` accepts an endpoint that this lab made in that consumer's account, and no other; what somebody rejected it never
re-admits. Everybody else's connections are `plab accept` and `plab reject`, and stand in the way of `plab down`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from privatelink_lab.aws import Account, raise_unsuccessful, unsuccessful
from privatelink_lab.errors import AwsError, NotOurs, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row, tags
from privatelink_lab.resource import Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.steps.consumer_endpoint import endpoint_key, phase_of
from privatelink_lab.steps.endpoint_service import KEY as SERVICE

FOREIGN = f"{SERVICE}/connections"
PENDING_ACCEPTANCE = "pendingacceptance"
BLOCKING = {PENDING_ACCEPTANCE, "pending", "available"}  # these keep a service from going


@dataclass(frozen=True)
class Connection:
    """One row of who is connected to the service; `consumer` is its name in this lab, if it is one of ours."""

    service: str
    endpoint: str
    owner: str
    state: str
    region: str
    since: datetime | None
    consumer: str | None

    @property
    def pending(self) -> bool:
        """Whether it waits for the provider's word."""
        return self.state.lower() == PENDING_ACCEPTANCE

    @property
    def open(self) -> bool:
        """Whether it can be cut, and holds the service until it is."""
        return self.state.lower() in BLOCKING


def connections(lab: Lab, look: Look) -> list[Connection]:
    """Every connection to the lab's service that is not deleted; [] while there is no service."""
    service = look.id(SERVICE)
    if not service:
        return []
    consumers = _consumers_by_endpoint(lab, look)
    return [
        _connection(lab, service, row, consumers)
        for row in _rows(lab.provider, look, service)
        if row["VpcEndpointState"].lower() != "deleted"
    ]


def _rows(account: Account, look: Look, service: str) -> list[Row]:
    """Filtered by service only: `vpc-endpoint-id` is documented, and reported as refused (facts sheet section 6)."""

    def ask() -> list[Row]:
        filters = [{"Name": "service-id", "Values": [service]}]
        return account.pages("ec2", "describe_vpc_endpoint_connections", "VpcEndpointConnections", Filters=filters)

    return look.of_parent(account, "connections", service, ask)


def _row(lab: Lab, look: Look, service: str, endpoint: str) -> Row | None:
    return next((row for row in _rows(lab.provider, look, service) if row["VpcEndpointId"] == endpoint), None)


def _connection(lab: Lab, service: str, row: Row, consumers: dict[str, str]) -> Connection:
    return Connection(
        service=service,
        endpoint=row["VpcEndpointId"],
        owner=row["VpcEndpointOwner"],
        state=row["VpcEndpointState"],
        region=row.get("VpcEndpointRegion") or lab.provider.region,
        since=row.get("CreationTimestamp"),
        consumer=consumers.get(row["VpcEndpointId"]),
    )


def _consumers_by_endpoint(lab: Lab, look: Look) -> dict[str, str]:
    """The endpoints of this lab in the accounts that we reach, and the consumer that each belongs to.

    By tag, and for one that no look shows yet by the state. What is out of reach counts as somebody else's: without its
    account's word nobody can delete it.
    """
    accounts, unreachable = lab.accounts()
    named = {id_: key.split("/")[0] for key, id_ in lab.state.ids.items() if key.endswith("/endpoint")}
    consumers = {id_: name for id_, name in named.items() if name not in unreachable}
    for account in accounts:
        try:
            rows = look.rows(account, "vpc-endpoint")
        except PlabError:
            continue
        consumers |= {
            row["VpcEndpointId"]: tags(row).get("plab:key", "").split("/")[0] for row in rows if look.owns(row)
        }
    return consumers


def accept(account: Account, service: str, endpoints: Iterable[str]) -> None:
    """Ask AWS to accept these endpoints; raises AwsError for the first that it refuses."""
    response = account.ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
    raise_unsuccessful(response, "AcceptVpcEndpointConnections")


def reject(account: Account, service: str, endpoints: Iterable[str]) -> None:
    """Ask AWS to reject or cut these endpoints; raises AwsError for the first that it refuses."""
    response = account.ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
    raise_unsuccessful(response, "RejectVpcEndpointConnections")


# The acceptance of one consumer of the lab. It has no delete: it goes with its endpoint.


def _acceptance(consumer: str, *, auto: bool) -> Resource:
    endpoint = endpoint_key(consumer)

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        id_, service = look.id(endpoint), look.id(SERVICE)
        if not id_ or not service:
            return ()
        row = _row(lab, look, service, id_)
        if row is None:
            return (Found(id_, Phase.PENDING, "not listed yet"),)
        return _found(id_, row["VpcEndpointState"], auto=auto)

    def create(lab: Lab, look: Look, token: Token) -> str:
        id_, service = look.id(endpoint) or "", look.id(SERVICE) or ""
        row = _row(lab, look, service, id_)
        if row is None:
            raise PlabError(f"{id_} is no longer among the service's connections.", hint="plab up")
        _must_be_ours(lab, consumer, id_, row["VpcEndpointOwner"])
        accept(lab.provider, service, [id_])
        return id_

    return Resource(f"{consumer}/acceptance", "acceptance", (endpoint,), find, create, patience=Patience(timeout=900))


def _found(id_: str, state: str, *, auto: bool) -> tuple[Found, ...]:
    if state.lower() == PENDING_ACCEPTANCE:
        return () if auto else (Found(id_, Phase.HELD, f"{state}: waits for plab accept"),)
    return (Found(id_, phase_of(state), state),)


def _must_be_ours(lab: Lab, consumer: str, endpoint: str, owner: str) -> None:
    """Raise NotOurs unless the endpoint is the one that this lab made, in that consumer's account."""
    made = lab.state.ids.get(endpoint_key(consumer))
    if owner != lab.account(consumer).id or made not in (None, endpoint):
        raise NotOurs(
            f"{endpoint} of account {owner} bears the tag of {consumer}, but this lab did not make it.",
            hint=f"If you know it: plab accept {endpoint}",
        )


# Everybody else's connections: never made by plab; rejected in one call by a `down` that has consent.


def _find_foreign(lab: Lab, look: Look) -> tuple[Found, ...]:
    return tuple(
        Found(c.endpoint, Phase.READY, c.state, {"owner": c.owner, "service": c.service})
        for c in connections(lab, look)
        if c.open and not c.consumer
    )


def _reject_foreign(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    filters = [{"Name": "vpc-endpoint-state", "Values": ["pendingAcceptance", "pending", "available"]}]
    rows = account.pages("ec2", "describe_vpc_endpoint_connections", "VpcEndpointConnections", Filters=filters)
    refused: dict[str, AwsError] = {}
    for service in {row["ServiceId"] for row in rows if row["VpcEndpointId"] in ids}:
        of_service = [row["VpcEndpointId"] for row in rows if row["ServiceId"] == service]
        response = account.ec2.reject_vpc_endpoint_connections(
            ServiceId=service, VpcEndpointIds=[id_ for id_ in ids if id_ in of_service]
        )
        refused |= unsuccessful(response, "RejectVpcEndpointConnections")
    return refused


def _resources(lab: Lab) -> tuple[Resource, ...]:
    own = (_acceptance(consumer.name, auto=consumer.accept == "auto") for consumer in lab.config.consumers)
    foreign = Resource(FOREIGN, "foreign connection", (SERVICE,), _find_foreign, delete=_reject_foreign)
    return (*own, foreign)


STEP = Step("acceptance", _resources)
