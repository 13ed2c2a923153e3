"""Who may reach what: the part of the network step that both sides share.

The web server's group admits its port from the provider's private subnets: the balancer's nodes, whose addresses the
target sees, and their health checks. An endpoint's group admits the listener's port from its consumer's VPC.
Nothing is ever admitted from 0.0.0.0/0.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab import tags
from privatelink_lab.attributes import Attribute
from privatelink_lab.aws import Account, errors_by_id
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError, NotOurs
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row, Rows
from privatelink_lab.lab import Lab
from privatelink_lab.resource import LONG_PATIENCE, Found, Phase, Resource, ResourceType, Token
from privatelink_lab.resource_key import make_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _holders
from privatelink_lab.steps._existing import port
from privatelink_lab.steps._vpc import reused_subnets, reused_vpc, vpc_id, vpc_of

KIND = Kind(
    "security-group",
    "describe_security_groups",
    "SecurityGroups",
    "GroupId",
    fixed=("VpcId", "GroupName", "Description"),
    delete="delete-security-group --group-id",
)


def group_key(party: str) -> str:
    """The key of a party's security group."""
    return make_key(party, "security-group")


def ingress_key(party: str) -> str:
    """The key of the rule in a party's security group."""
    return f"{group_key(party)}/ingress"


# The group.

LEFT_ALONE = "which plab leaves alone"
RULE_TEXT = "made by plab"  # the description of each source that plab admits; it takes back no other
EVERYTHING = "all from 0.0.0.0/0"  # as the words for a rule say it, also of an egress rule


def _read_group(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    return Found(row["GroupId"], Phase.READY, "in place")


@calls("ec2:AuthorizeSecurityGroupEgress")
def _compare_group(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    """AWS's own rule of a new group: whatever is in it may answer, and a probe may ask. Further rules say nothing."""
    rules = {text for rule in row.get("IpPermissionsEgress") or () for text in _rule_texts(rule)}
    everything: Any = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]

    def admit() -> object:
        ec2 = lab.account(resource.party).ec2
        return ec2.authorize_security_group_egress(GroupId=row["GroupId"], IpPermissions=everything)

    return [Attribute("egress", {EVERYTHING} if EVERYTHING in rules else rules, {EVERYTHING}, admit)]


@calls("ec2:CreateSecurityGroup")
def _create_group(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    party, key = resource.party, resource.key
    name = f"{lab.name}-{'web-server' if party == PROVIDER else f'{party}-endpoint'}"
    vpc = vpc_id(lab, snapshot, party)
    request: dict[str, Any] = {"GroupName": name, "Description": key, "VpcId": vpc}
    try:
        group = lab.account(party).ec2.create_security_group(
            **request, TagSpecifications=lab.tag_specifications(resource, **request)
        )
    except AwsError as error:
        if error.code != "InvalidGroup.Duplicate" or not (ours := _our_group(lab, party, name, vpc)):
            raise
        return Found(ours, Phase.PENDING, "created")
    return Found(group["GroupId"], Phase.PENDING, "created")


def _our_group(lab: Lab, party: str, name: str, vpc: str) -> str:
    """The group of that name in that VPC if it bears the lab's tag; '' while AWS does not show it; else NotOurs."""
    filters = [{"Name": "group-name", "Values": [name]}, {"Name": "vpc-id", "Values": [vpc]}]
    rows = lab.account(party).pages("ec2", "describe_security_groups", "SecurityGroups", Filters=filters)
    if not rows:
        return ""
    for row in rows:
        named = tags.of(row)
        if named.get(tags.LAB) == lab.config.lab and named.get(tags.SINCE) != lab.state.since:  # who removes it
            text = f"Another maker of this lab has {name}"
            raise AwsError(text, code="DuplicateName", operation="CreateSecurityGroup")
        if named.get(tags.LAB) == lab.config.lab:
            return str(row["GroupId"])
    raise NotOurs(
        f"A security group named {name} is in {vpc} and bears no tag of this lab.",
        hint="Choose another `lab:` name, or delete that group yourself.",
    )


@calls("ec2:DeleteSecurityGroup")
def _delete_groups(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda id_: account.ec2.delete_security_group(GroupId=id_))


GROUP_TYPE = ResourceType(
    "security group",
    KIND,
    read=_read_group,
    create=_create_group,
    delete=_delete_groups,
    holders=_holders.of_group,
    compare=_compare_group,
    patience=LONG_PATIENCE,
)


def group(lab: Lab, party: str) -> Resource:
    """A party's security group, also of a consumer that the config no longer names."""
    vpc = vpc_of(lab, party)
    return Resource(group_key(party), GROUP_TYPE, depends_on=() if vpc and vpc.reused else (make_key(party, "vpc"),))


# Its rule.


def _find_rule(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    rows = _group_rows(lab, snapshot, resource)
    if len(rows) != 1:
        return ()
    wanted = _sources(lab, resource.party)
    present = wanted & _admitted(rows[0], port(lab))
    id_ = _rule_id(lab, rows[0]["GroupId"])
    if stale := _stale(lab, rows[0], wanted):
        texts = sorted(text for rule in stale for text in _rule_texts(rule))
        return (Found(id_, Phase.DRIFTED, f"still admits {', '.join(texts)}"),)
    if present == wanted:
        detail = f"tcp {id_.rpartition('/')[2]} from {', '.join(sorted(wanted))}"
        return (Found(id_, Phase.READY, detail + _others(lab, rows[0], wanted)),)
    return (Found(id_, Phase.DRIFTED, f"lacks {', '.join(sorted(wanted - present))}"),) if present else ()


def _others(lab: Lab, group: Row, wanted: set[str]) -> str:
    """What else the group admits: plab names it and leaves it alone."""
    ours = {f"tcp {port(lab)} from {source}" for source in wanted}
    texts = {text for rule in group.get("IpPermissions") or () for text in _rule_texts(rule)}
    return "".join(f"; also {text}, {LEFT_ALONE}" for text in sorted(texts - ours))


def _stale(lab: Lab, group: Row, wanted: set[str]) -> list[Row]:
    """The rules that plab made for an earlier config, as AWS takes them to revoke: they bear plab's description."""
    rules: list[Row] = []
    for rule in group.get("IpPermissions") or ():
        is_asked = _admitted({"IpPermissions": [rule]}, port(lab))
        own = [block for block in rule.get("IpRanges") or () if block.get("Description") == RULE_TEXT]
        if old := [block for block in own if block["CidrIp"] not in wanted & is_asked]:
            ends = {name: rule[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in rule}
            rules.append(ends | {"IpRanges": old})
    return rules


def _rule_texts(rule: Any) -> list[str]:
    """A rule in words, once for each of its sources."""
    first, last = rule.get("FromPort"), rule.get("ToPort")
    ports = "" if first is None else f" {first}" if first == last else f" {first}-{last}"
    what = "all" if rule["IpProtocol"] == "-1" else f"{rule['IpProtocol']}{ports}"
    lists = {
        "IpRanges": "CidrIp",
        "Ipv6Ranges": "CidrIpv6",
        "UserIdGroupPairs": "GroupId",
        "PrefixListIds": "PrefixListId",
    }
    return [f"{what} from {source[name]}" for rows, name in lists.items() for source in rule.get(rows) or ()]


def _group_rows(lab: Lab, snapshot: Snapshot, resource: Resource) -> Rows:
    return snapshot.keyed(lab.account(resource.party), KIND, group_key(resource.party))


def _rule_id(lab: Lab, group_id: str) -> str:
    return f"{group_id}/tcp/{port(lab)}"


@calls("ec2:AuthorizeSecurityGroupIngress")
def _create_rule(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    group_id = snapshot.id(group_key(resource.party)) or ""
    _admit(lab, snapshot, resource, group_id)
    return Found(_rule_id(lab, group_id), Phase.PENDING, "created")


@calls("ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
def _update_rule(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    """Admit what is missing, then revoke what an earlier config asked for."""
    group_id = found.id.partition("/")[0]
    _admit(lab, snapshot, resource, group_id)
    stale: Any = [
        rule for row in _group_rows(lab, snapshot, resource) for rule in _stale(lab, row, _sources(lab, resource.party))
    ]
    if stale:
        lab.account(resource.party).ec2.revoke_security_group_ingress(GroupId=group_id, IpPermissions=stale)


def _admit(lab: Lab, snapshot: Snapshot, resource: Resource, group_id: str) -> None:
    """Admit the sources that the group lacks, in one call."""
    rows = _group_rows(lab, snapshot, resource)
    missing = sorted(_sources(lab, resource.party) - (_admitted(rows[0], port(lab)) if rows else set()))
    if missing:
        _authorize(lab.account(resource.party), group_id, port(lab), missing)


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


def _admitted(group: Row, number: int) -> set[str]:
    return {
        block["CidrIp"]
        for rule in group.get("IpPermissions") or ()
        if rule.get("IpProtocol") == "tcp" and rule.get("FromPort") == rule.get("ToPort") == number
        for block in rule.get("IpRanges") or ()
    }


def _authorize(account: Account, group: str, number: int, sources: list[str]) -> None:
    ranges: list[Any] = [{"CidrIp": cidr, "Description": RULE_TEXT} for cidr in sources]
    rule: Any = {"IpProtocol": "tcp", "FromPort": number, "ToPort": number, "IpRanges": ranges}
    try:
        account.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    except AwsError as error:
        if error.code != "InvalidPermission.Duplicate":  # another caller was faster: the rule is there
            raise


RULE_TYPE = ResourceType(
    "security group rule", find=_find_rule, create=_create_rule, update=_update_rule, goes_with_parent=True
)


def resources(lab: Lab, party: str) -> tuple[Resource, ...]:
    """A party's security group and its rule."""
    rule = Resource(ingress_key(party), RULE_TYPE, depends_on=(group_key(party),))
    return (group(lab, party), rule)
