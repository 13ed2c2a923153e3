"""What holds a VPC, a subnet or a security group, so that AWS refuses to delete it (`DependencyViolation`).

Every question is optional: what AWS does not let us read is named and hides nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

from privatelink_lab import tags
from privatelink_lab.aws import Account
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Holder
from privatelink_lab.snapshot import has_ended

# What the description of an interface that AWS made names, and the command that ends it (AWS facts 8).
_DESCRIBED = (
    (re.compile(r"\b(vpce-\w+)"), "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {}"),
    (re.compile(r"\b(nat-\w+)"), "aws ec2 delete-nat-gateway --nat-gateway-id {}"),
)


class _Question:
    """The describes about one resource that AWS refuses to delete."""

    def __init__(self, lab: Lab, account: Account, ours: Collection[str]) -> None:
        self._lab, self._account, self._ours = lab, account, ours
        self.holders: list[Holder] = []

    def ask(self, operation: str, rows: str, name: str, value: str, read: Callable[[Row], Holder | None]) -> None:
        filters = [{"Name": name, "Values": [value]}]
        try:
            found = self._account.pages("ec2", operation, rows, Filters=filters)
        except AwsError as error:
            self.holders.append(
                Holder("", f"what AWS does not show ({error.operation}: {error.code})", "", leaves=None)
            )
            return
        self.holders += filter(None, map(read, found))

    def is_ours(self, row: Row, *names: str) -> bool:
        """Whether a row bears the lab's tag, or names something that this `down` deletes: it goes by itself."""
        if self._lab.suspects.intersection(names):
            return False
        bears = tags.of({"Tags": row.get("Tags") or row.get("TagSet") or ()}).get(tags.LAB) == self._lab.config.lab
        return bears or any(name in self._ours for name in names)

    def interface(self, row: Row) -> Holder:
        id_, description = row["NetworkInterfaceId"], row.get("Description", "")
        instance = (row.get("Attachment") or {}).get("InstanceId", "")
        # Only AWS's own words name what it made an interface for; a person can write the same into a description.
        of_aws = description if row.get("RequesterManaged") else ""
        made = [*re.findall(r"\b(?:vpce|nat)-\w+", of_aws), instance]
        leaves = self.is_ours(row, *made) or f"ELB net/{self._lab.name}/" in of_aws
        owner = row.get("RequesterId") or row.get("OwnerId") or "an unknown account"
        attached = f", attached to {instance}" if instance else ""
        text = f"network interface {id_} {description!r} of {owner}{attached}"
        return Holder(id_, text, _interface_command(id_, description, instance), leaves=leaves)

    def thing(self, noun: str, id_name: str, command: str) -> Callable[[Row], Holder]:
        """How a row of another kind is read: its id, its name, and the command that deletes it."""

        def read(row: Row) -> Holder:
            id_ = row[id_name]
            name = row.get("GroupName") or tags.of(row).get("Name") or ""
            text = f"{noun} {id_} {name!r}" if name else f"{noun} {id_}"
            return Holder(id_, text, command.format(id_), leaves=self.is_ours(row, id_))

        return read


def _interface_command(id_: str, description: str, instance: str) -> str:
    if instance:
        return f"aws ec2 terminate-instances --instance-ids {instance}"
    for pattern, command in _DESCRIBED:
        if found := pattern.search(description):
            return command.format(found[1])
    return f"aws ec2 delete-network-interface --network-interface-id {id_}"


def _others(holders: Iterable[Holder | None], id_: str) -> Iterator[Holder]:
    return (holder for holder in holders if holder and holder.id != id_)


@calls("ec2:DescribeNetworkInterfaces")
def of_subnet(lab: Lab, account: Account, id_: str, ours: Collection[str]) -> tuple[Holder, ...]:
    """The network interfaces in a subnet: of instances, endpoints, gateways and load balancers."""
    question = _Question(lab, account, ours)
    question.ask("describe_network_interfaces", "NetworkInterfaces", "subnet-id", id_, question.interface)
    return tuple(question.holders)


@calls("ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups")
def of_group(lab: Lab, account: Account, id_: str, ours: Collection[str]) -> tuple[Holder, ...]:
    """The network interfaces that have a security group, and the groups whose rules name it."""
    question = _Question(lab, account, ours)
    question.ask("describe_network_interfaces", "NetworkInterfaces", "group-id", id_, question.interface)
    look = "aws ec2 describe-security-groups --group-ids {}"
    group = question.thing("a rule of the security group", "GroupId", look)
    for name in ("ip-permission.group-id", "egress.ip-permission.group-id"):
        question.ask("describe_security_groups", "SecurityGroups", name, id_, group)
    return tuple(_others(question.holders, id_))


@calls(
    "ec2:DescribeInternetGateways",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpoints",
)
def of_vpc(lab: Lab, account: Account, id_: str, ours: Collection[str]) -> tuple[Holder, ...]:
    """What is in a VPC: security groups (not AWS's default one), subnets, endpoints, gateways, network interfaces."""
    question = _Question(lab, account, ours)
    thing, ask = question.thing, question.ask
    group = thing("security group", "GroupId", "aws ec2 delete-security-group --group-id {}")
    subnet = thing("subnet", "SubnetId", "aws ec2 delete-subnet --subnet-id {}")
    endpoint = thing("endpoint", "VpcEndpointId", "aws ec2 delete-vpc-endpoints --vpc-endpoint-ids {}")
    detach = f"aws ec2 detach-internet-gateway --internet-gateway-id {{}} --vpc-id {id_}"
    gateway = thing("internet gateway", "InternetGatewayId", detach)
    ask("describe_security_groups", "SecurityGroups", "vpc-id", id_, lambda row: _unless_default(row, group))
    ask("describe_subnets", "Subnets", "vpc-id", id_, subnet)
    ask("describe_vpc_endpoints", "VpcEndpoints", "vpc-id", id_, lambda row: None if has_ended(row) else endpoint(row))
    ask("describe_internet_gateways", "InternetGateways", "attachment.vpc-id", id_, gateway)
    ask("describe_network_interfaces", "NetworkInterfaces", "vpc-id", id_, question.interface)
    return tuple(question.holders)


def _unless_default(row: Row, read: Callable[[Row], Holder]) -> Holder | None:
    return None if row.get("GroupName") == "default" else read(row)
