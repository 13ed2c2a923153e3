"""Step 7: the provider admits its consumers, and only them.

`up` accepts an endpoint that this lab made in that consumer's account, and no other; it never re-admits a rejected
one. It cuts whom the config has revoked, and whom a person prunes. All other connections are for `plab accept` and
`plab reject`, and `plab down` asks about them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from privatelink_lab import tags
from privatelink_lab.aws import Account, unsuccessful
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError, NotOurs, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Patience, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.resource_key import make_key, split_key
from privatelink_lab.retry_classes import TRANSIENT, classify
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._permissions import PERMISSIONS, revoked_accounts, still_ask, unnamed
from privatelink_lab.steps.consumer_endpoint import KIND as ENDPOINT
from privatelink_lab.steps.consumer_endpoint import REJECTED, endpoint_key, phase_of
from privatelink_lab.steps.endpoint_service import KEY as SERVICE

FOREIGN = f"{SERVICE}/connections"
REVOCATION = f"{SERVICE}/revocation"
PENDING_ACCEPTANCE = "pendingacceptance"
WAS_REJECTED = "was rejected"
BLOCKING = {PENDING_ACCEPTANCE, "pending", "available"}  # these keep a service from going (AWS facts 8)


@dataclass(frozen=True)
class Connection:
    """One row of who is connected to the service; `consumer` is its name in this lab, if it is one of ours.

    `by_tags`: only the endpoint's tags say so, because the state is lost. `id` is that of the connection, which bears
    the provider's own tags: `written` are those of plab, which say who admitted it, when and by what rule.
    """

    service: str
    endpoint: str
    owner: str
    state: str
    region: str
    since: datetime | None
    consumer: str | None
    by_tags: bool = False
    id: str = ""
    written: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def pending(self) -> bool:
        """Whether it waits for the provider's decision."""
        return self.state.lower() == PENDING_ACCEPTANCE

    @property
    def open(self) -> bool:
        """Whether it can be cut, and holds the service until it is."""
        return self.state.lower() in BLOCKING


@calls("ec2:DescribeVpcEndpointServiceConfigurations", "ec2:DescribeVpcEndpointConnections", "ec2:DescribeVpcEndpoints")
def connections(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    """Every connection to the lab's service that is not deleted; [] while there is no service.

    Where two services have the lab's tags, those of both: who is connected must not be cut unseen.
    """
    if lab.config.is_customers:
        return _own_endpoints(lab, snapshot)
    services = [found.id for found in snapshot.found(SERVICE)]
    if not services:
        return []
    consumers = _consumers_by_endpoint(lab, snapshot)
    return [
        _connection(lab, service, row, consumers)
        for service in services
        for row in _rows(lab.provider, snapshot, service)
        if row.get("VpcEndpointId") and row["VpcEndpointState"].lower() != "deleted"  # else a transit gateway's
    ]


def without_endpoint(lab: Lab, snapshot: Snapshot) -> list[Row]:
    """Rows that name no endpoint, as of a transit gateway's attachment: there is no id by which to accept or reject."""
    services = [] if lab.config.is_customers else [found.id for found in snapshot.found(SERVICE)]
    rows = (row for service in services for row in _rows(lab.provider, snapshot, service))
    return [row for row in rows if not row.get("VpcEndpointId")]


def _own_endpoints(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    """What the customer's side sees: its own endpoints, and their states."""
    return [
        Connection(
            service=row["ServiceName"],
            endpoint=row["VpcEndpointId"],
            owner=lab.account(consumer.name).id,
            state=row["State"],
            region=lab.provider.region,
            since=row.get("CreationTimestamp"),
            consumer=consumer.name,
        )
        for consumer in lab.config.consumers
        for row in snapshot.keyed(lab.account(consumer.name), ENDPOINT, endpoint_key(consumer.name))
    ]


def _rows(account: Account, snapshot: Snapshot, service: str) -> list[Row]:
    """Filtered by service only: `vpc-endpoint-id` is documented, and reported as refused (AWS facts 7)."""
    filters = [{"Name": "service-id", "Values": [service]}]
    return snapshot.pages(
        account, "ec2", "describe_vpc_endpoint_connections", "VpcEndpointConnections", Filters=filters
    )


def _row(lab: Lab, snapshot: Snapshot, service: str, endpoint: str) -> Row | None:
    return next((row for row in _rows(lab.provider, snapshot, service) if row["VpcEndpointId"] == endpoint), None)


def _connection(lab: Lab, service: str, row: Row, consumers: dict[str, str]) -> Connection:
    return Connection(
        service=service,
        endpoint=row["VpcEndpointId"],
        owner=row["VpcEndpointOwner"],
        state=row["VpcEndpointState"],
        region=row.get("VpcEndpointRegion") or lab.provider.region,
        since=row.get("CreationTimestamp"),
        consumer=consumers.get(row["VpcEndpointId"]),
        by_tags=row["VpcEndpointId"] not in {*lab.state.made, *lab.state.ids.values()},
        id=row.get("VpcEndpointConnectionId") or "",
        written=tags.own(tags.of(row)),
    )


def _consumers_by_endpoint(lab: Lab, snapshot: Snapshot) -> dict[str, str]:
    """The endpoints of this lab in the accounts that we reach, and the consumer that each belongs to.

    An endpoint is a consumer's if one of our creates returned it; if the state is lost, if it is the only one in that
    consumer's account that fits in every attribute. All others are foreign.
    """
    consumers = {id_: split_key(key)[0] for key, id_ in lab.state.ids.items() if key == endpoint_key(split_key(key)[0])}
    for account in lab.accounts()[0]:
        try:
            keys = snapshot.keys(account, ENDPOINT)
        except PlabError:
            continue
        for key in keys:
            ids = [row["VpcEndpointId"] for row in snapshot.keyed(account, ENDPOINT, key)]
            if lab.is_account_of(split_key(key)[0], account.id) and (lab.had_state or len(ids) == 1):
                consumers |= {id_: split_key(key)[0] for id_ in ids if lab.knows(key, id_)}
    return consumers


@calls("ec2:CreateTags")
def write_down(account: Account, rows: Iterable[Connection], rule: str) -> None:
    """Tag connections with who admitted them, when by AWS's clock, and by what rule; raises AwsError."""
    at = account.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    named = {tags.BY: account.arn, tags.AT: at, tags.RULE: rule}
    if ids := [row.id for row in rows if row.id]:
        pairs: list[Any] = [{"Key": name, "Value": value} for name, value in named.items()]
        account.ec2.create_tags(Resources=ids, Tags=pairs)


@calls("ec2:AcceptVpcEndpointConnections")
def accept(account: Account, service: str, endpoints: Iterable[str]) -> dict[str, AwsError]:
    """Ask AWS to accept these endpoints; returns its refusals by id, raises AwsError when it refuses the call."""
    response = account.ec2.accept_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
    return unsuccessful(response, "AcceptVpcEndpointConnections")


def reject(account: Account, service: str, endpoints: Iterable[str]) -> dict[str, AwsError]:
    """Ask AWS to reject or cut these endpoints; returns and raises as `accept` does."""
    response = account.ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=list(endpoints))
    return unsuccessful(response, "RejectVpcEndpointConnections")


# The acceptance of one consumer of the lab. It has no delete: it goes with its endpoint.


@calls("ec2:DescribeVpcEndpointConnections")
def _find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    """One connection. With `accept: auto` a pending one counts as missing: so `up` creates, and create is Accept."""
    id_, service = snapshot.id(endpoint_key(resource.party)), snapshot.id(SERVICE)
    if not id_ or not service:
        return ()
    row = _row(lab, snapshot, service, id_)
    if row is None:
        return (Found(id_, Phase.PENDING, "not listed yet"),)
    state = row["VpcEndpointState"]
    if state.lower() == REJECTED:
        return (Found(id_, Phase.HELD, WAS_REJECTED),)
    if state.lower() != PENDING_ACCEPTANCE:
        return (Found(id_, phase_of(state), state),)
    consumer = lab.config.consumer(resource.party)
    if consumer and consumer.accept == "auto":
        return ()
    return (Found(id_, Phase.HELD, f"{state}: waits for plab accept"),)


@calls("ec2:AcceptVpcEndpointConnections")
def _create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    id_, service = snapshot.id(endpoint_key(resource.party)) or "", snapshot.id(SERVICE) or ""
    row = _row(lab, snapshot, service, id_)
    if row is None:
        text = f"{id_ or 'The endpoint'} is not among the service's connections now"  # another run may replace it
        raise AwsError(text, code="InvalidVpcEndpointId.NotFound", operation="AcceptVpcEndpointConnections")
    _must_be_ours(lab, resource.party, id_, row["VpcEndpointOwner"])
    for refusal in accept(lab.provider, service, [id_]).values():
        raise refusal
    how = "accepted, by its tags alone: the state here did not know it" if id_ in lab.recognized else "accepted"
    return Found(id_, Phase.PENDING, how)


def _must_be_ours(lab: Lab, consumer: str, endpoint: str, owner: str) -> None:
    """Raise NotOurs unless the endpoint is the one that this lab made, in that consumer's account."""
    key = endpoint_key(consumer)
    is_known = lab.knows(key, endpoint) and lab.state.ids.get(key) in {None, endpoint}
    if owner != lab.account(consumer).id or not is_known:
        raise NotOurs(
            f"{endpoint} of account {owner} bears the tag of {consumer}, but this lab did not make it.",
            hint=f"If you know it: plab accept {endpoint}",
        )


# Who is revoked in the config's own words is cut by `up`, without a question: its permission first, then this. So is
# whom a person has agreed to prune.


def uninvited(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    """The open connections of accounts that the config does not name, and of which none is a consumer's of this lab."""
    rows = foreign(lab, snapshot)
    strangers = unnamed(lab, (row.owner for row in rows))
    of_others = not lab.config.provider.has_service  # then only what was admitted by plab is plab's to speak of
    return [row for row in rows if row.owner in strangers and (row.written or not of_others)]


@calls("ec2:DescribeVpcEndpointConnections", "ec2:DescribeVpcEndpointServicePermissions")
def _find_cut(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    service, accounts = snapshot.id(SERVICE), revoked_accounts(lab)
    if not service:
        return ()
    principals = still_ask(lab, snapshot, accounts) if accounts else []
    again = f"; {', '.join(principals)} still lets them ask" if principals else ""
    if bound := _to_cut(lab, snapshot):
        ids = ", ".join(f"{row.endpoint} of account {row.owner}" for row in bound)
        return (Found(f"{service}/revocation", Phase.DRIFTED, f"to be cut: {ids}{again}"),)
    count = "1 account stays out" if len(accounts) == 1 else f"{len(accounts)} accounts stay out"
    return (Found(f"{service}/revocation", Phase.READY, f"{count}{again}" if accounts else "nobody is left"),)


def _to_cut(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    accounts = revoked_accounts(lab)
    return [row for row in foreign(lab, snapshot) if row.owner in accounts or row.endpoint in lab.pruned]


@calls("ec2:RejectVpcEndpointConnections")
def _cut(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    rows = _to_cut(lab, snapshot)
    for error in reject(lab.provider, snapshot.id(SERVICE) or "", [row.endpoint for row in rows]).values():
        if error.code != "InvalidState":  # it is cut already
            raise error


# The connections of other accounts: plab never makes them; a `down` that has consent rejects them in one call. So are
# those of the lab's own endpoints in an account that cannot be read: plab cannot delete them.


@calls("ec2:DescribeVpcEndpointConnections")
def _find_foreign(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    return tuple(
        Found(c.endpoint, Phase.READY, c.state, {"owner": c.owner, "service": c.service, "consumer": c.consumer or ""})
        for c in foreign(lab, snapshot)
    )


def foreign(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    """The open connections that no deletion of an endpoint by this lab can end."""
    rows = connections(lab, snapshot)
    return [row for row in rows if row.open and not (row.consumer and _can_read(lab, snapshot, row.consumer))]


def _can_read(lab: Lab, snapshot: Snapshot, party: str) -> bool:
    """Whether AWS shows the party's endpoints, or has only not answered now."""
    try:
        snapshot.keys(lab.account(party), ENDPOINT)
    except PlabError as error:
        return classify(error) in TRANSIENT
    return True


@calls("ec2:RejectVpcEndpointConnections")
def _reject_foreign(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    filters = [{"Name": "vpc-endpoint-state", "Values": ["pendingAcceptance", "pending", "available"]}]
    rows = account.pages("ec2", "describe_vpc_endpoint_connections", "VpcEndpointConnections", Filters=filters)
    refused: dict[str, AwsError] = {}
    for service in {row["ServiceId"] for row in rows if row["VpcEndpointId"] in ids}:
        of_service = [row["VpcEndpointId"] for row in rows if row["ServiceId"] == service]
        refused |= reject(account, service, [id_ for id_ in ids if id_ in of_service])
    return refused


ACCEPTANCE_TYPE = ResourceType(
    "acceptance", find=_find, create=_create, goes_with_parent=True, called_by=PROVIDER, patience=Patience(timeout=900)
)
REVOCATION_TYPE = ResourceType("revocation", find=_find_cut, update=_cut, goes_with_parent=True)
FOREIGN_CONNECTION_TYPE = ResourceType(
    "foreign connection", find=_find_foreign, delete=_reject_foreign, made_by_plab=False
)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    if lab.config.is_customers:  # the provider admits
        return ()
    own = (
        Resource(make_key(consumer.name, "acceptance"), ACCEPTANCE_TYPE, depends_on=(endpoint_key(consumer.name),))
        for consumer in lab.config.consumers
    )
    cuts = revoked_accounts(lab) or lab.pruned
    revocation = (Resource(REVOCATION, REVOCATION_TYPE, depends_on=(PERMISSIONS,)),) if cuts else ()
    others = (
        (Resource(FOREIGN, FOREIGN_CONNECTION_TYPE, depends_on=(SERVICE,)),) if lab.config.provider.has_service else ()
    )
    return (*own, *revocation, *others)  # a service that was there stays, with all that is connected to it


STEP = Step("acceptance", _resources)
