"""Step 6: the interface endpoint in each consumer's VPC, in zones that the service has.

The endpoint's own DNS names work without any VPC attribute; private DNS requires two, and stays off.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from privatelink_lab import prices
from privatelink_lab.attributes import Attribute
from privatelink_lab.aws import Account, unsuccessful
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import LONG_PATIENCE, Found, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.resource_key import make_key, split_key
from privatelink_lab.snapshot import Snapshot, reason
from privatelink_lab.steps import _existing
from privatelink_lab.steps._permissions import PERMISSIONS
from privatelink_lab.steps._security_group import group_key
from privatelink_lab.steps._vpc import subnet_ids, subnet_keys, subnets_asked_by, vpc_id, vpc_of
from privatelink_lab.steps.endpoint_service import KEY as SERVICE

KIND = Kind(
    "vpc-endpoint",
    "describe_vpc_endpoints",
    "VpcEndpoints",
    "VpcEndpointId",
    fixed=("VpcId", "ServiceName", "VpcEndpointType"),
    created="CreationTimestamp",
    delete="delete-vpc-endpoints --vpc-endpoint-ids",
)
# Lower camelCase on the wire, whatever the SDK's enum says (AWS facts 6); compared in lower case.
STATES = {
    "pendingacceptance": Phase.HELD,
    "pending": Phase.PENDING,
    "available": Phase.READY,
    "rejected": Phase.FAILED,
    "expired": Phase.FAILED,
    "failed": Phase.FAILED,
    "deleting": Phase.DELETING,
}
FULL_ACCESS = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}


def endpoint_key(consumer: str) -> str:
    """The key of a consumer's endpoint."""
    return make_key(consumer, "endpoint")


REJECTED = "rejected"


def phase_of(state: str) -> Phase:
    """The phase of an endpoint's or a connection's state, in any spelling; an unknown word is FAILED."""
    return STATES.get(state.lower(), Phase.FAILED)


def _read(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    id_, state = row["VpcEndpointId"], row["State"]
    phase = phase_of(state)
    service = next((found.shows.get("service_name") for found in snapshot.found(SERVICE)), None)
    if phase is not Phase.DELETING and service and row["ServiceName"] != service:
        return Found(id_, Phase.FAILED, f"joins {row['ServiceName']}, the lab's service is {service}")
    if service and state.lower() == REJECTED:  # the provider has said no, and that is no failure of the lab
        phase = Phase.HELD
    names = [entry["DnsName"] for entry in row.get("DnsEntries") or ()]
    cost = prices.ENDPOINT_ZONE * len(row.get("SubnetIds") or ())
    return Found(id_, phase, _detail(row, state), {"dns_name": names[0]} if names else {}, cost)


@calls("ec2:ModifyVpcEndpoint")
def _compare(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    if row["State"].lower() == REJECTED:  # it serves nobody, and AWS changes nothing of it
        return []
    group, subnets = snapshot.id(group_key(resource.party)), set(subnet_ids(lab, snapshot, resource.party))
    groups = {entry["GroupId"] for entry in row.get("Groups") or ()}
    present, wanted = set(row.get("SubnetIds") or ()), {group} if group else set()

    def modify(**request: Any) -> Callable[[], object]:
        given = {name: value for name, value in request.items() if value != []}
        ec2 = lab.account(resource.party).ec2
        return lambda: ec2.modify_vpc_endpoint(VpcEndpointId=row["VpcEndpointId"], **given)

    regroup = modify(AddSecurityGroupIds=sorted(wanted - groups), RemoveSecurityGroupIds=sorted(groups - wanted))
    join, leave = sorted(subnets - present), sorted(present - subnets)

    def move() -> None:
        """At once; or one after the other, where a new subnet is in the zone of one that leaves (AWS facts 6)."""
        try:
            modify(AddSubnetIds=join, RemoveSubnetIds=leave)()
        except AwsError as error:
            if error.code != "DuplicateSubnetsInSameZone" or not leave:
                raise
            modify(RemoveSubnetIds=leave)()
            modify(AddSubnetIds=join)()

    policy = "everything" if _admits_everything(row.get("PolicyDocument")) else "less than everything"
    return [
        Attribute("security groups", groups, wanted or None, regroup),
        Attribute("subnets", present, subnets or None, move, subnets_asked_by(lab, resource.party)),
        Attribute("private DNS", row.get("PrivateDnsEnabled"), wanted=False, change=modify(PrivateDnsEnabled=False)),
        Attribute("policy", policy, "everything", modify(ResetPolicy=True)),
    ]


def _admits_everything(policy: str | None) -> bool:
    """Whether an endpoint's policy is AWS's default; a service of PrivateLink may show none at all."""
    try:
        statements = json.loads(policy or "{}").get("Statement", [FULL_ACCESS])
    except ValueError:
        return False
    return bool(FULL_ACCESS.items() <= dict(statements[0]).items()) if len(statements) == 1 else False


def _detail(row: Row, state: str) -> str:
    if state.lower() == REJECTED:
        return "was rejected; plab never re-admits a rejected endpoint"
    why = reason(row)
    return f"{state} ({why})" if why else state


@calls("ec2:CreateVpcEndpoint")
def _create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    consumer = resource.party
    request: dict[str, Any] = {
        "VpcEndpointType": "Interface",  # AWS's default is Gateway
        "VpcId": vpc_id(lab, snapshot, consumer),
        "ServiceName": snapshot.found(SERVICE)[0].shows["service_name"],
        "SubnetIds": subnet_ids(lab, snapshot, consumer),
        "SecurityGroupIds": [snapshot.id(group_key(consumer))],
        "PrivateDnsEnabled": False,
        **({"ServiceRegion": _existing.service_region(lab)} if _existing.is_in_another_region(lab) else {}),
    }
    created = lab.account(consumer).ec2.create_vpc_endpoint(
        **request,
        ClientToken=token.of(**request),
        TagSpecifications=lab.tag_specifications(resource, **request),
    )
    return _read(lab, snapshot, resource, dict(created["VpcEndpoint"]))


@calls("ec2:DeleteVpcEndpoints")
def _delete(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return unsuccessful(account.ec2.delete_vpc_endpoints(VpcEndpointIds=list(ids)), "DeleteVpcEndpoints")


ENDPOINT_TYPE = ResourceType(
    "endpoint",
    KIND,
    read=_read,
    create=_create,
    delete=_delete,
    compare=_compare,
    billed_by_started_hours=True,
    retryable=frozenset({"Unavailable", "InvalidServiceName"}),
    patience=LONG_PATIENCE,
)


def _endpoint(lab: Lab, consumer: str) -> Resource:
    vpc = vpc_of(lab, consumer)
    zone_count = len(vpc.subnet_ids) if vpc and vpc.reused else lab.config.provider.zone_count
    permissions = () if lab.config.is_customers else (PERMISSIONS,)
    return Resource(
        endpoint_key(consumer),
        ENDPOINT_TYPE,
        depends_on=(SERVICE, *permissions, *subnet_keys(lab, consumer), group_key(consumer)),
        unblocks_while_deleting=(SERVICE, *permissions),  # a deleting connection no longer holds it (AWS facts 8)
        is_goal=True,
        usd_per_hour=prices.ENDPOINT_ZONE * zone_count,
    )


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return tuple(_endpoint(lab, consumer.name) for consumer in lab.config.consumers)


def _rebuild(lab: Lab, key: str) -> Resource | None:
    consumer = split_key(key)[0]
    return _endpoint(lab, consumer) if key == endpoint_key(consumer) else None


STEP = Step("consumer endpoint", _resources, _rebuild, (KIND,))
