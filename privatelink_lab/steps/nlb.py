"""Step 4: the internal network load balancer and its listener.

The balancer has no security group: with one, its rules would see the consumers' own, overlapping addresses.
Cross-zone is off on a new NLB, so an endpoint in a zone without a target would get no answer: it is READY with it on
(AWS facts 4).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privatelink_lab import prices
from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.aws import Account, errors_by_id
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import (
    LONG_PATIENCE,
    Found,
    Patience,
    Phase,
    Resource,
    ResourceType,
    Step,
    Token,
    compared,
    rebuilt_from,
)
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._existing import BALANCER_TYPE, check_balancer
from privatelink_lab.steps._vpc import subnet_ids, subnet_keys, subnets_asked_by, vpc_id
from privatelink_lab.steps.target_group import KEY as TARGET_GROUP
from privatelink_lab.steps.target_group import LISTENER

KEY = "provider/nlb"
INTERFACES = f"{KEY}/interfaces"
KIND = Kind(
    "load-balancer",
    "describe_load_balancers",
    "LoadBalancers",
    "LoadBalancerArn",
    provider_only=True,
    fixed=("LoadBalancerName", "VpcId", "Scheme", "Type"),
    created="CreatedTime",
    delete="delete-load-balancer --load-balancer-arn",
)
STATES = {"provisioning": Phase.PENDING, "active": Phase.READY, "active_impaired": Phase.READY}
CROSS_ZONE = "load_balancing.cross_zone.enabled"


# The balancer.


def _read_balancer(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    state = row["State"]["Code"]
    return Found(row["LoadBalancerArn"], STATES.get(state, Phase.FAILED), state)


@calls("elasticloadbalancing:DescribeLoadBalancerAttributes", "elasticloadbalancing:ModifyLoadBalancerAttributes")
def _compare_balancer(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    arn = row["LoadBalancerArn"]
    present = {zone["SubnetId"] for zone in row.get("AvailabilityZones") or () if zone.get("SubnetId")}
    wanted, planned = subnet_ids(lab, snapshot, PROVIDER), subnet_keys(lab, PROVIDER)
    # A subnet that `up` has still to make has no id, and is a difference already.
    zones = (f"{len(present)} zones", f"{len(planned)} zones") if len(wanted) < len(planned) else (present, wanted)

    def cross() -> object:
        attributes: Any = [{"Key": CROSS_ZONE, "Value": "true"}]
        return lab.provider.elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)

    return [
        Attribute("subnets", zones[0] or None, zones[1] or None, asked_by=subnets_asked_by(lab, PROVIDER)),
        Attribute("cross-zone", _crosses_zones(lab.provider, snapshot, arn), wanted=True, change=cross),
    ]


def _crosses_zones(account: Account, snapshot: Snapshot, arn: str) -> bool:
    def fetch() -> bool:
        attributes = account.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        return {"Key": CROSS_ZONE, "Value": "true"} in attributes

    return snapshot.of_parent(account, "balancer-attributes", arn, fetch)


@calls("elasticloadbalancing:CreateLoadBalancer", "iam:CreateServiceLinkedRole")
def _create_balancer(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    snapshot.refuse_namesake(lab.provider, resource)
    request: dict[str, Any] = {"Type": "network", "Scheme": "internal"}
    vpc = vpc_id(lab, snapshot, PROVIDER)
    created = lab.provider.elbv2.create_load_balancer(
        **request,
        Name=lab.name,
        Subnets=subnet_ids(lab, snapshot, PROVIDER),
        Tags=lab.tags(resource, LoadBalancerName=lab.name, VpcId=vpc, **request),
    )
    return Found(created["LoadBalancers"][0]["LoadBalancerArn"], Phase.PENDING, "provisioning")


@calls("elasticloadbalancing:DeleteLoadBalancer")
def _delete_balancers(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda arn: account.elbv2.delete_load_balancer(LoadBalancerArn=arn))


# The listener.


@calls("elasticloadbalancing:DescribeListeners")
def _find_listener(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    arn = snapshot.id(KEY)
    if not arn:
        return ()
    rows = snapshot.pages(lab.provider, "elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)
    listeners = [(row, Found(row["ListenerArn"], Phase.READY, f"tcp {row['Port']}")) for row in rows]
    return tuple(
        found if snapshot.to_delete else compared(lab, snapshot, resource, row, found) for row, found in listeners
    )


@calls("elasticloadbalancing:ModifyListener")
def _compare_listener(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    arn, port, group = row["ListenerArn"], lab.config.provider.web_server.port, snapshot.id(TARGET_GROUP)
    groups = {action.get("TargetGroupArn", action["Type"]) for action in row["DefaultActions"]}

    def modify(**request: Any) -> Callable[[], object]:
        return lambda: lab.provider.elbv2.modify_listener(ListenerArn=arn, **request)

    return [
        Attribute("port", row["Port"], port, modify(Port=port), asked_by=CONFIG),
        Attribute("protocol", row["Protocol"], "TCP"),
        Attribute("target group", groups, {group} if group else None, modify(DefaultActions=_forward(snapshot))),
    ]


def _forward(snapshot: Snapshot) -> Any:
    return [{"Type": "forward", "TargetGroupArn": snapshot.id(TARGET_GROUP) or ""}]


@calls("elasticloadbalancing:CreateListener")
def _create_listener(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    created = lab.provider.elbv2.create_listener(
        LoadBalancerArn=snapshot.id(KEY) or "",
        Protocol="TCP",
        Port=lab.config.provider.web_server.port,
        DefaultActions=_forward(snapshot),
        Tags=lab.tags(resource),
    )
    return Found(created["Listeners"][0]["ListenerArn"], Phase.PENDING, "created")


@calls("elasticloadbalancing:DeleteListener")
def _delete_listeners(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda arn: account.elbv2.delete_listener(ListenerArn=arn))


# The balancer's network interfaces belong to AWS, stay for minutes after it and hold its subnets. Only AWS deletes
# them, so a `down` waits; in a reused VPC nothing else would notice that they are still there (AWS facts 8).


@calls("ec2:DescribeNetworkInterfaces")
def _find_interfaces(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    balancers = snapshot.rows(lab.provider, KIND)
    if any(snapshot.owns(lab.provider, KIND, row) for row in balancers):
        return ()  # they belong to the balancer while it exists
    filters = [{"Name": "description", "Values": [f"ELB net/{lab.name}/*"]}]
    rows = snapshot.pages(lab.provider, "ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)
    foreign = {_description_of(row["LoadBalancerArn"]) for row in balancers}
    return tuple(
        Found(row["NetworkInterfaceId"], Phase.DELETING, f"network interface {row['Status']}")
        for row in rows
        if row["Description"] not in foreign
    )


def _description_of(arn: str) -> str:
    """What AWS writes on the interfaces of a balancer: `ELB net/NAME/HEX`."""
    return f"ELB {arn.partition(':loadbalancer/')[2]}"


LOAD_BALANCER_TYPE = ResourceType(
    "load balancer",
    KIND,
    read=_read_balancer,
    create=_create_balancer,
    compare=_compare_balancer,
    delete=_delete_balancers,
    retryable=frozenset({"SubnetNotFound", "LoadBalancerNotFound", "DuplicateLoadBalancerName"}),
    patience=Patience(timeout=900),
)
LISTENER_TYPE = ResourceType(
    "listener",
    find=_find_listener,
    create=_create_listener,
    compare=_compare_listener,
    delete=_delete_listeners,
    retryable=frozenset({"LoadBalancerNotFound", "TargetGroupNotFound"}),
)
INTERFACE_TYPE = ResourceType("network interface", find=_find_interfaces, made_by_plab=False, patience=LONG_PATIENCE)


def _own(lab: Lab) -> tuple[Resource, ...]:
    subnets, cost = subnet_keys(lab, PROVIDER), prices.NETWORK_LOAD_BALANCER
    return (
        Resource(KEY, LOAD_BALANCER_TYPE, depends_on=subnets, usd_per_hour=cost),
        Resource(LISTENER, LISTENER_TYPE, depends_on=(KEY, TARGET_GROUP)),
        Resource(INTERFACES, INTERFACE_TYPE, depends_on=subnets, ready_after=(KEY,)),
    )


def _resources(lab: Lab) -> tuple[Resource, ...]:
    if lab.config.provider.nlb:
        return (Resource(KEY, BALANCER_TYPE),)
    return _own(lab) if lab.config.provider.has_network else ()


def _check(lab: Lab) -> None:
    if lab.config.provider.nlb:
        check_balancer(lab)


STEP = Step("nlb", _resources, rebuilt_from(_own), kinds=(KIND,), check=_check)
