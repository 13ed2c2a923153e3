"""Who may reach what: the part of the network step that both sides share.

The web server's group admits its port from the provider's private subnets: the balancer's nodes, whose addresses the
target sees, and their health checks. An endpoint's group admits the listener's port from its consumer's VPC.
Nothing is ever admitted from 0.0.0.0/0.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab.aws import Account, each
from privatelink_lab.config import PROVIDER, Vpc
from privatelink_lab.errors import AwsError, NotOurs
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row
from privatelink_lab.resource import DELETED_LAST, Found, Phase, Resource, Token
from privatelink_lab.steps.vpc import reused_subnets, reused_vpc, vpc_id, vpc_of


def resources(lab: Lab, party: str) -> tuple[Resource, ...]:
    """A party's security group and its rule."""
    return (_group(party, vpc_of(lab, party)), _ingress(party))


def revive(lab: Lab, party: str) -> Resource:
    """The security group of a party that the config no longer names."""
    return _group(party, vpc_of(lab, party))


def _group(party: str, vpc: Vpc | None) -> Resource:
    key = f"{party}/security-group"
    purpose = "web-server" if party == PROVIDER else f"{party}-endpoint"

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        rows = look.keyed(lab.account(party), "security-group", key)
        return tuple(Found(row["GroupId"], Phase.READY, "in place") for row in rows)

    def create(lab: Lab, look: Look, token: Token) -> str:
        return _create_group(lab, party, f"{lab.name}-{purpose}", vpc_id(lab, look, party), key)

    needs = () if vpc and vpc.reused else (f"{party}/vpc",)
    return Resource(key, "security group", needs, find, create, delete=_delete_groups, patience=DELETED_LAST)


def _create_group(lab: Lab, party: str, name: str, vpc: str, key: str) -> str:
    ec2 = lab.account(party).ec2
    tags = lab.tag_specifications("security-group", key)
    try:
        group = ec2.create_security_group(GroupName=name, Description=key, VpcId=vpc, TagSpecifications=tags)
    except AwsError as error:
        if error.code != "InvalidGroup.Duplicate":
            raise
        return _our_group(lab, party, name, vpc)
    return group["GroupId"]


def _our_group(lab: Lab, party: str, name: str, vpc: str) -> str:
    """The group of that name in that VPC if it bears the lab's tag (our own, not yet visible); else NotOurs."""
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    for row in lab.account(party).pages("ec2", "describe_security_groups", "SecurityGroups", Filters=filters):
        if {"Key": "plab:lab", "Value": lab.config.lab} in (row.get("Tags") or ()):
            return str(row["GroupId"])
    raise NotOurs(
        f"A security group named {name} is in {vpc} and bears no tag of this lab.",
        hint="Choose another `lab:` name, or delete that group yourself.",
    )


def _delete_groups(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda id_: account.ec2.delete_security_group(GroupId=id_))


def _ingress(party: str) -> Resource:
    group = f"{party}/security-group"

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        rows = look.keyed(lab.account(party), "security-group", group)
        if len(rows) != 1:
            return ()
        port, wanted = lab.config.provider.web_server.port, _sources(lab, party)
        present = wanted & _admitted(rows[0], port)
        id_ = f"{rows[0]['GroupId']}/tcp/{port}"
        if present == wanted:
            return (Found(id_, Phase.READY, f"tcp {port} from {', '.join(sorted(wanted))}"),)
        if present:
            return (Found(id_, Phase.DRIFTED, f"lacks {', '.join(sorted(wanted - present))}"),)
        return ()

    def create(lab: Lab, look: Look, token: Token) -> str:
        rows = look.keyed(lab.account(party), "security-group", group)
        port = lab.config.provider.web_server.port
        missing = sorted(_sources(lab, party) - (_admitted(rows[0], port) if rows else set()))
        id_ = look.id(group) or ""
        _authorize(lab.account(party), id_, port, missing)
        return f"{id_}/tcp/{port}"

    def mend(lab: Lab, look: Look, found: Found) -> None:
        create(lab, look, Token(lab.config.lab, group, 0))

    return Resource(f"{group}/ingress", "security group rule", (group,), find, create, mend)


def _sources(lab: Lab, party: str) -> set[str]:
    """The CIDRs that a party's group admits."""
    vpc = vpc_of(lab, party)
    if vpc is None:
        return set()
    if party == PROVIDER and vpc.reused:
        return {row["CidrBlock"] for row in reused_subnets(lab, party)}
    if party == PROVIDER:
        return set(vpc.subnet_cidrs(lab.config.provider.zone_count))
    if vpc.reused:
        return {block["CidrBlock"] for block in reused_vpc(lab, party)["CidrBlockAssociationSet"]}
    return {vpc.cidr or ""}


def _admitted(group: Row, port: int) -> set[str]:
    return {
        block["CidrIp"]
        for rule in group.get("IpPermissions") or ()
        if rule.get("IpProtocol") == "tcp" and rule.get("FromPort") == rule.get("ToPort") == port
        for block in rule.get("IpRanges") or ()
    }


def _authorize(account: Account, group: str, port: int, sources: list[str]) -> None:
    ranges: list[Any] = [{"CidrIp": cidr} for cidr in sources]
    rule: Any = {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": ranges}
    try:
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    except AwsError as error:
        if error.code != "InvalidPermission.Duplicate":  # somebody was faster: the rule is there
            raise
