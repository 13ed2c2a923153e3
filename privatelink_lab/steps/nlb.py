"""Step 4: the internal network load balancer and its listener.

The balancer has no security group: with one, its rules would see the consumers' own, overlapping addresses.
Cross-zone is off on a new NLB, so an endpoint in a zone without a target would get no answer: it is READY with it on.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab import prices
from privatelink_lab.aws import Account, each
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row
from privatelink_lab.resource import DELETED_LAST, Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.steps.target_group import KEY as TARGET_GROUP
from privatelink_lab.steps.target_group import LISTENER
from privatelink_lab.steps.vpc import subnet_ids, subnet_keys

KEY = "provider/nlb"
INTERFACES = f"{KEY}/interfaces"
STATES = {"provisioning": Phase.PENDING, "active": Phase.READY, "active_impaired": Phase.READY}
CROSS_ZONE = "load_balancing.cross_zone.enabled"


# The balancer.


def _find_balancer(lab: Lab, look: Look) -> tuple[Found, ...]:
    return tuple(_found_balancer(lab, look, row) for row in look.keyed(lab.provider, "load-balancer", KEY))


def _found_balancer(lab: Lab, look: Look, row: Row) -> Found:
    arn, state = row["LoadBalancerArn"], row["State"]["Code"]
    phase = STATES.get(state, Phase.FAILED)
    present = {zone["SubnetId"] for zone in row.get("AvailabilityZones") or () if zone.get("SubnetId")}
    wanted = set(subnet_ids(lab, look, PROVIDER))
    if wanted and present and wanted != present:
        return Found(arn, Phase.FAILED, f"is in {_list(present)}, the config says {_list(wanted)}")
    if phase is Phase.READY and not _crosses_zones(lab.provider, look, arn):
        return Found(arn, Phase.DRIFTED, "cross-zone is off")
    return Found(arn, phase, state)


def _list(ids: set[str]) -> str:
    return ", ".join(sorted(ids))


def _crosses_zones(account: Account, look: Look, arn: str) -> bool:
    def ask() -> bool:
        attributes = account.elbv2.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        return {"Key": CROSS_ZONE, "Value": "true"} in attributes

    return look.of_parent(account, "balancer-attributes", arn, ask)


def _create_balancer(lab: Lab, look: Look, token: Token) -> str:
    look.refuse_namesake(lab.provider, "load-balancer", "load balancer")
    balancers = lab.provider.elbv2.create_load_balancer(
        Name=lab.name,
        Type="network",
        Scheme="internal",
        Subnets=subnet_ids(lab, look, PROVIDER),
        Tags=lab.tags(KEY),
    )
    return balancers["LoadBalancers"][0]["LoadBalancerArn"]


def _mend_balancer(lab: Lab, look: Look, found: Found) -> None:
    attributes: Any = [{"Key": CROSS_ZONE, "Value": "true"}]
    lab.provider.elbv2.modify_load_balancer_attributes(LoadBalancerArn=found.id, Attributes=attributes)


def _delete_balancers(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda arn: account.elbv2.delete_load_balancer(LoadBalancerArn=arn))


# The listener.


def _find_listener(lab: Lab, look: Look) -> tuple[Found, ...]:
    arn = look.id(KEY)
    if not arn:
        return ()
    port, group = lab.config.provider.web_server.port, look.id(TARGET_GROUP)
    return tuple(_found_listener(row, port, group) for row in _listeners(lab.provider, look, arn))


def _listeners(account: Account, look: Look, arn: str) -> list[Row]:
    def ask() -> list[Row]:
        return account.pages("elbv2", "describe_listeners", "Listeners", LoadBalancerArn=arn)

    return look.of_parent(account, "listeners", arn, ask)


def _found_listener(row: Row, port: int, group: str | None) -> Found:
    arn = row["ListenerArn"]
    if row["Port"] != port:
        return Found(arn, Phase.FAILED, f"listens on {row['Port']}, the config says {port}")
    if group and [action.get("TargetGroupArn") for action in row["DefaultActions"]] != [group]:
        return Found(arn, Phase.DRIFTED, "forwards elsewhere")
    return Found(arn, Phase.READY, f"tcp {port}")


def _forward(look: Look) -> Any:
    return [{"Type": "forward", "TargetGroupArn": look.id(TARGET_GROUP) or ""}]


def _create_listener(lab: Lab, look: Look, token: Token) -> str:
    listeners = lab.provider.elbv2.create_listener(
        LoadBalancerArn=look.id(KEY) or "",
        Protocol="TCP",
        Port=lab.config.provider.web_server.port,
        DefaultActions=_forward(look),
        Tags=lab.tags(LISTENER),
    )
    return listeners["Listeners"][0]["ListenerArn"]


def _mend_listener(lab: Lab, look: Look, found: Found) -> None:
    lab.provider.elbv2.modify_listener(ListenerArn=found.id, DefaultActions=_forward(look))


def _delete_listeners(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda arn: account.elbv2.delete_listener(ListenerArn=arn))


# The balancer's network interfaces: they are AWS's, linger for minutes after it and hold its subnets. Nothing can
# delete them, so a `down` waits; in a reused VPC nothing else would notice that they are still there.


def _find_interfaces(lab: Lab, look: Look) -> tuple[Found, ...]:
    if look.keyed(lab.provider, "load-balancer", KEY):
        return ()  # they belong to the balancer while it lives
    strangers = {
        _described(row["LoadBalancerArn"]) for row in look.rows(lab.provider, "load-balancer") if not look.owns(row)
    }
    return tuple(
        Found(row["NetworkInterfaceId"], Phase.LEAVING, f"network interface {row['Status']}")
        for row in _interfaces(lab, look)
        if row["Description"] not in strangers
    )


def _described(arn: str) -> str:
    """What AWS writes on the interfaces of a balancer: `ELB net/NAME/HEX`."""
    return f"ELB {arn.partition(':loadbalancer/')[2]}"


def _interfaces(lab: Lab, look: Look) -> list[Row]:
    def ask() -> list[Row]:
        filters = [{"Name": "description", "Values": [f"ELB net/{lab.name}/*"]}]
        return lab.provider.pages("ec2", "describe_network_interfaces", "NetworkInterfaces", Filters=filters)

    return look.of_parent(lab.provider, "interfaces", lab.name, ask)


def _wait_for_interfaces(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    """They are always LEAVING, so this is never due; it makes the loop wait for them."""
    return {}


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return (
        Resource(
            key=KEY,
            noun="load balancer",
            needs=subnet_keys(lab, PROVIDER),
            find=_find_balancer,
            create=_create_balancer,
            mend=_mend_balancer,
            delete=_delete_balancers,
            patience=Patience(timeout=900),
            usd_per_hour=prices.NETWORK_LOAD_BALANCER,
        ),
        Resource(
            key=LISTENER,
            noun="listener",
            needs=(KEY, TARGET_GROUP),
            find=_find_listener,
            create=_create_listener,
            mend=_mend_listener,
            delete=_delete_listeners,
        ),
        Resource(
            key=INTERFACES,
            noun="network interface",
            needs=subnet_keys(lab, PROVIDER),
            awaits=(KEY,),
            find=_find_interfaces,
            delete=_wait_for_interfaces,
            patience=DELETED_LAST,
        ),
    )


STEP = Step("nlb", _resources)
