"""Step 1: the VPCs, their private subnets, and who may reach what in them.

The main route table serves private subnets, so nothing else is made: no gateway, no NAT, no route.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.aws import Account, errors_by_id
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import LONG_PATIENCE, Found, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.resource_key import make_key, split_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _holders, _security_group
from privatelink_lab.steps._existing import refuse_made_before
from privatelink_lab.steps._instance import check_type, zones_with_type
from privatelink_lab.steps._vpc import (
    check_reused,
    parties,
    provider_zones,
    reused_consumer_zones,
    subnet_keys,
    vpc_id,
    vpc_of,
)

VPC = Kind("vpc", "describe_vpcs", "Vpcs", "VpcId", fixed=("CidrBlock",), delete="delete-vpc --vpc-id")
SUBNET = Kind(
    "subnet",
    "describe_subnets",
    "Subnets",
    "SubnetId",
    fixed=("VpcId", "CidrBlock", "AvailabilityZoneId"),
    delete="delete-subnet --subnet-id",
)
STATES = {"pending": Phase.PENDING, "available": Phase.READY}


def _found(row: Row, id_: str) -> Found:
    return Found(row[id_], STATES.get(row["State"], Phase.FAILED), row["State"])


# VPCs.


def _read_vpc(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    return _found(row, "VpcId")


def _compare_vpc(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    vpc = vpc_of(lab, resource.party)
    return [Attribute("CIDR", row["CidrBlock"], vpc.cidr if vpc else None, asked_by=CONFIG)]


@calls("ec2:CreateVpc")
def _create_vpc(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    vpc = vpc_of(lab, resource.party)
    request: dict[str, Any] = {"CidrBlock": (vpc and vpc.cidr) or ""}
    created = lab.account(resource.party).ec2.create_vpc(
        **request, TagSpecifications=lab.tag_specifications(resource, **request)
    )
    return Found(created["Vpc"]["VpcId"], Phase.PENDING, "pending")


@calls("ec2:DeleteVpc")
def _delete_vpcs(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda id_: account.ec2.delete_vpc(VpcId=id_))


VPC_TYPE = ResourceType(
    "VPC",
    VPC,
    read=_read_vpc,
    create=_create_vpc,
    delete=_delete_vpcs,
    holders=_holders.of_vpc,
    compare=_compare_vpc,
    patience=LONG_PATIENCE,
)


# Subnets.


def _number(resource: Resource) -> int:
    return int(resource.key.rpartition("-")[2])


def _cidr(lab: Lab, resource: Resource) -> str | None:
    """What the config says of this subnet; None for one that it no longer names."""
    vpc, zones = vpc_of(lab, resource.party), lab.config.provider.zone_count
    if vpc is None or vpc.reused or _number(resource) > zones:
        return None
    return vpc.subnet_cidrs(zones)[_number(resource) - 1]


def _read_subnet(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    return replace(_found(row, "SubnetId"), shows={"zone": row["AvailabilityZoneId"]})


def _compare_subnet(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    zones = lab.config.provider.zone_ids if resource.party == PROVIDER else ()
    zone = next(iter(zones[_number(resource) - 1 :]), None)
    return [
        Attribute("CIDR", row["CidrBlock"], _cidr(lab, resource), asked_by=CONFIG),
        Attribute("zone", row["AvailabilityZoneId"], zone, asked_by=CONFIG),
    ]


@calls("ec2:CreateSubnet")
def _create_subnet(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    return _make_subnet(lab, snapshot, resource, provider_zones(lab, snapshot)[_number(resource)])


@calls("ec2:CreateSubnet", "ec2:DescribeInstanceTypeOfferings")
def _create_provider_subnet(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    return _make_subnet(lab, snapshot, resource, _free_zone(lab, snapshot, _number(resource)))


def _make_subnet(lab: Lab, snapshot: Snapshot, resource: Resource, zone: str) -> Found:
    request: dict[str, Any] = {
        "VpcId": vpc_id(lab, snapshot, resource.party),
        "CidrBlock": _cidr(lab, resource) or "",
        "AvailabilityZoneId": zone,
    }
    created = lab.account(resource.party).ec2.create_subnet(
        **request, TagSpecifications=lab.tag_specifications(resource, **request)
    )
    return Found(created["Subnet"]["SubnetId"], Phase.PENDING, "pending")


@calls("ec2:DeleteSubnet")
def _delete_subnets(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda id_: account.ec2.delete_subnet(SubnetId=id_))


SUBNET_TYPE = ResourceType(
    "subnet",
    SUBNET,
    read=_read_subnet,
    compare=_compare_subnet,
    create=_create_subnet,
    delete=_delete_subnets,
    holders=_holders.of_subnet,
    retryable=frozenset({"InvalidSubnet.Conflict"}),  # another run was faster
    patience=LONG_PATIENCE,
)

PROVIDER_SUBNET_TYPE = replace(SUBNET_TYPE, create=_create_provider_subnet)


def _subnet(lab: Lab, party: str, number: int) -> Resource:
    # A consumer's subnet waits for the provider's, because it follows it into its zone.
    provider = lab.config.provider
    follows = party != PROVIDER and provider.has_network and not provider.vpc.reused
    others = (make_key(PROVIDER, f"subnet-{number}"),) if follows else ()
    type_ = PROVIDER_SUBNET_TYPE if party == PROVIDER else SUBNET_TYPE
    needs = (make_key(party, "vpc"), *others)
    return Resource(make_key(party, f"subnet-{number}"), type_, depends_on=needs, only_follows=others)


# Zones. Names such as us-east-1a differ between accounts, ids such as use1-az4 do not (AWS facts 2).


def _free_zone(lab: Lab, snapshot: Snapshot, number: int) -> str:
    """The zone for one missing subnet: the first by id that offers the instance type and has no subnet of ours yet."""
    if named := lab.config.provider.zone_ids:
        return named[number - 1]
    taken = provider_zones(lab, snapshot).values()
    wanted = reused_consumer_zones(lab)  # an endpoint can only be in zones that the service has
    offered = sorted(zones_with_type(lab), key=lambda zone: (zone not in wanted, zone))
    free = [zone for zone in offered if zone not in taken]
    missing = [key for key in subnet_keys(lab, PROVIDER) if not snapshot.id(key)]
    rank = missing.index(make_key(PROVIDER, f"subnet-{number}"))
    return free[rank]


def _check_zones(lab: Lab) -> None:
    """Raise PlabError when the region does not have the zones that the config names, or as many as it asks for.

    Only zones that offer the instance type count. It costs no call more: the first subnet asks the same, and a lab
    whose subnets are there is not asked again.
    """
    provider = lab.config.provider
    keys = subnet_keys(lab, PROVIDER)
    if not provider.has_network or provider.vpc.reused or (keys and all(key in lab.state.ids for key in keys)):
        return
    offered, kind, named = zones_with_type(lab), provider.web_server.instance_type, provider.zone_ids
    check_type(lab, "")
    if not named and provider.zone_count > len(offered):
        raise PlabError(
            f"{lab.provider.region} offers {kind} in {', '.join(offered)}; "
            f"the config asks for {provider.zone_count} zones.",
            hint="Change `zones`, or choose another `instance_type`.",
        )
    if unknown := _unknown_zones(lab, sorted(set(named) - set(offered))):
        text = f"{lab.provider.region} has no zone {', '.join(unknown)}."
        raise PlabError(text, hint=f"It has {', '.join(offered)}: correct `zones` in the config.")


def _unknown_zones(lab: Lab, zones: list[str]) -> list[str]:
    """Which of these zone ids the region does not have: no instance type is offered there."""
    if not zones:
        return []
    filters = [{"Name": "location", "Values": zones}]
    kinds = ("ec2", "describe_instance_type_offerings", "InstanceTypeOfferings")
    rows = lab.provider.pages(*kinds, LocationType="availability-zone-id", Filters=filters)
    return sorted(set(zones) - {row["Location"] for row in rows})


def _check(lab: Lab) -> None:
    refuse_made_before(lab)
    check_reused(lab)
    _check_zones(lab)


# The step.


def _of_party(lab: Lab, party: str) -> tuple[Resource, ...]:
    vpc, groups = vpc_of(lab, party), _security_group.resources(lab, party)
    if vpc is None or vpc.reused:
        return groups
    subnets = (_subnet(lab, party, number) for number in range(1, lab.config.provider.zone_count + 1))
    return (Resource(make_key(party, "vpc"), VPC_TYPE), *subnets, *groups)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return tuple(resource for party in parties(lab) for resource in _of_party(lab, party))


def _rebuild(lab: Lab, key: str) -> Resource | None:
    party, name = split_key(key)
    if name == "vpc":
        return Resource(key, VPC_TYPE)
    if number := re.fullmatch(r"subnet-(\d+)", name):
        return _subnet(lab, party, int(number[1]))
    return _security_group.group(lab, party) if key == _security_group.group_key(party) else None


STEP = Step("network", _resources, _rebuild, (VPC, SUBNET, _security_group.KIND), _check)
