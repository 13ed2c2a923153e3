"""Step 1: the VPCs, their private subnets, and who may reach what in them.

The main route table serves private subnets, so nothing else is made: no gateway, no NAT, no route.
"""

from __future__ import annotations

import re
from dataclasses import replace

from privatelink_lab.aws import Account, each
from privatelink_lab.config import PROVIDER, Vpc
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row
from privatelink_lab.resource import DELETED_LAST, Found, Phase, Resource, Step, Token
from privatelink_lab.steps import security_group
from privatelink_lab.steps.vpc import check_reused, provider_zones, reused_consumer_zones, subnet_keys, vpc_id, vpc_of

STATES = {"pending": Phase.PENDING, "available": Phase.READY}


# VPCs.


def _vpc(party: str, vpc: Vpc | None) -> Resource:
    key = f"{party}/vpc"

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        rows = look.keyed(lab.account(party), "vpc", key)
        return tuple(_as_asked(row, "VpcId", "CidrBlock", vpc.cidr if vpc else None) for row in rows)

    def create(lab: Lab, look: Look, token: Token) -> str:
        tags = lab.tag_specifications("vpc", key)
        cidr = vpc.cidr if vpc and vpc.cidr else ""
        return lab.account(party).ec2.create_vpc(CidrBlock=cidr, TagSpecifications=tags)["Vpc"]["VpcId"]

    return Resource(key, "VPC", (), find, create, delete=_delete_vpcs, patience=DELETED_LAST)


def _as_asked(row: Row, id_: str, field: str, wanted: str | None) -> Found:
    """A row whose CIDR cannot be changed in place: another one than the config's is a failure that says both."""
    if wanted and row[field] != wanted:
        return Found(row[id_], Phase.FAILED, f"has {row[field]}, the config says {wanted}")
    return Found(row[id_], STATES.get(row["State"], Phase.FAILED), row["State"])


def _delete_vpcs(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda id_: account.ec2.delete_vpc(VpcId=id_))


# Subnets.


def _subnet(lab: Lab, party: str, number: int, cidr: str | None) -> Resource:
    key = f"{party}/subnet-{number}"
    # A consumer's subnet waits for the provider's, because it follows it into its zone.
    twin = () if party == PROVIDER or lab.config.provider.vpc.reused else (f"{PROVIDER}/subnet-{number}",)

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        rows = look.keyed(lab.account(party), "subnet", key)
        return tuple(_subnet_found(row, cidr) for row in rows)

    def create(lab: Lab, look: Look, token: Token) -> str:
        zone = _free_zone(lab, look, number) if party == PROVIDER else provider_zones(lab, look)[number]
        subnet = lab.account(party).ec2.create_subnet(
            VpcId=vpc_id(lab, look, party),
            CidrBlock=cidr or "",
            AvailabilityZoneId=zone,
            TagSpecifications=lab.tag_specifications("subnet", key),
        )
        return subnet["Subnet"]["SubnetId"]

    needs = (f"{party}/vpc", *twin)
    return Resource(key, "subnet", needs, find, create, delete=_delete_subnets, patience=DELETED_LAST)


def _subnet_found(row: Row, cidr: str | None) -> Found:
    return replace(_as_asked(row, "SubnetId", "CidrBlock", cidr), shows={"zone": row["AvailabilityZoneId"]})


def _delete_subnets(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda id_: account.ec2.delete_subnet(SubnetId=id_))


# Zones. Names such as us-east-1a differ between accounts, ids such as use1-az4 do not (facts sheet section 2).


def _free_zone(lab: Lab, look: Look, number: int) -> str:
    """The zone for one missing subnet: the first by id that offers the instance type and has none of ours yet."""
    taken = provider_zones(lab, look).values()
    wanted = reused_consumer_zones(lab)  # an endpoint can only be in zones that the service has
    offered = sorted(_offered_zones(lab), key=lambda zone: (zone not in wanted, zone))
    free = [zone for zone in offered if zone not in taken]
    missing = [key for key in subnet_keys(lab, PROVIDER) if not look.id(key)]
    rank = missing.index(f"{PROVIDER}/subnet-{number}")
    if rank >= len(free):
        places = ", ".join(offered) or "no zone"
        kind = lab.config.provider.web_server.instance_type
        raise PlabError(
            f"{lab.provider.region} offers {kind} in {places}; the config asks for {lab.config.provider.zones} zones.",
            hint="Lower `zones`, or choose another instance_type.",
        )
    return free[rank]


def _offered_zones(lab: Lab) -> list[str]:
    kind = lab.config.provider.web_server.instance_type

    def ask() -> list[str]:
        rows = lab.provider.pages(
            "ec2",
            "describe_instance_type_offerings",
            "InstanceTypeOfferings",
            LocationType="availability-zone-id",
            Filters=[{"Name": "instance-type", "Values": [kind]}],
        )
        # Local Zones and Wavelength Zones (use1-atl1-az1) take no NLB, and sort first.
        return sorted(row["Location"] for row in rows if re.fullmatch(r"[a-z]+[0-9]+-az[0-9]+", row["Location"]))

    return lab.facts.get(("zones", kind), ask)


# The step.


def _of_party(lab: Lab, party: str) -> tuple[Resource, ...]:
    vpc = vpc_of(lab, party)
    guarded = security_group.resources(lab, party)
    if vpc is None or vpc.reused:
        return guarded
    cidrs = vpc.subnet_cidrs(lab.config.provider.zone_count)
    subnets = (_subnet(lab, party, number, cidr) for number, cidr in enumerate(cidrs, start=1))
    return (_vpc(party, vpc), *subnets, *guarded)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    parties = (PROVIDER, *(consumer.name for consumer in lab.config.consumers))
    return tuple(resource for party in parties for resource in _of_party(lab, party))


def _revive(lab: Lab, key: str) -> Resource | None:
    party, _, rest = key.partition("/")
    if rest == "vpc":
        return _vpc(party, None)
    if number := re.fullmatch(r"subnet-(\d+)", rest):
        return _subnet(lab, party, int(number[1]), None)
    return security_group.revive(lab, party) if rest == "security-group" else None


STEP = Step("network", _resources, _revive, check_reused)
