"""Security groups: their calls, and the traffic that they let in, by addresses and by other groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSecurityGroupNotFoundError

from privatelink_lab.local.api.call_base import Ec2Call

ANY_ADDRESS = IPv4Network("0.0.0.0/0")


class SecurityGroups(Ec2Call):
    """CreateSecurityGroup and DeleteSecurityGroup: which names are refused, and which groups cannot be deleted."""

    def create_security_group(self) -> ActionResult:
        """The new group; its name must be new in the VPC, and case does not count."""
        name, vpc_id = self._get_param("GroupName"), self._get_param("VpcId")
        if name.startswith("sg-"):
            text = f"Invalid value '{name}' for groupName. Group names cannot start with sg-."
            raise EC2ClientError("InvalidParameterValue", text)
        if name.lower() == "default":
            text = "Cannot use reserved security group name: default"
            raise EC2ClientError("InvalidGroup.Reserved", text)
        if any(group.name.lower() == name.lower() for group in self.ec2_backend.groups.get(vpc_id, {}).values()):
            text = f"The security group '{name}' already exists for VPC '{vpc_id}'"
            raise EC2ClientError("InvalidGroup.Duplicate", text)
        return super().create_security_group()

    def delete_security_group(self) -> ActionResult:
        """Delete a group; `DependencyViolation` while an interface has it, or a rule of another group names it."""
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId") or "")
        if group is None:
            return super().delete_security_group()
        if group.is_default:
            text = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            raise EC2ClientError("CannotDelete", text)
        if any(interfaces_with(self.ec2_backend, group.id)) or self._is_named_by_another(group):
            raise EC2ClientError("DependencyViolation", f"resource {group.id} has a dependent object")
        return super().delete_security_group()

    def _is_named_by_another(self, group: Any) -> bool:
        others = self.ec2_backend.groups.get(group.vpc_id, {}).values()
        return any(
            rule.source_group.get("GroupId") == group.id
            for other in others
            if other.id != group.id
            for rule in [*other.ingress_rules, *other.egress_rules]
        )


def admitted(backend: Any, groups: Iterable[Any], port: int) -> list[IPv4Network]:
    """The networks from which the groups together let TCP traffic in to a port.

    A rule that names a group means the private addresses of the interfaces that have this group now.
    """
    return [
        network
        for group in groups
        for rule in group.ingress_rules
        if _is_about(rule, port)
        for network in _sources(backend, rule)
    ]


def admits(networks: Iterable[IPv4Network], address: str) -> bool:
    """Whether an address is in one of the networks."""
    return any(IPv4Address(address) in network for network in networks)


def common(some: Sequence[IPv4Network], others: Sequence[IPv4Network]) -> list[IPv4Network]:
    """The networks that both lists have in common."""
    found = [left if left.subnet_of(right) else right for left in some for right in others if left.overlaps(right)]
    return list(dict.fromkeys(found))


def check_groups(backend: Any, vpc_id: str, ids: Sequence[str]) -> None:
    """Raise `InvalidGroup.NotFound` for a group that does not exist in that VPC; moto would create it."""
    for group_id in ids:
        if find_group(backend, group_id).vpc_id != vpc_id:
            raise InvalidSecurityGroupNotFoundError(group_id)


def find_group(backend: Any, group_id: str) -> Any:
    """The security group of that id; raises `InvalidGroup.NotFound`."""
    group = backend.get_security_group_from_id(group_id)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(group_id)
    return group


def interfaces_with(backend: Any, group_id: str) -> Iterator[Any]:
    """The interfaces that a security group is attached to."""
    return (interface for interface in backend.enis.values() if group_id in {group.id for group in interface.group_set})


def _is_about(rule: Any, port: int) -> bool:
    if rule.ip_protocol == "-1":
        return True
    return rule.ip_protocol == "tcp" and int(rule.from_port) <= port <= int(rule.to_port)


def _sources(backend: Any, rule: Any) -> Iterator[IPv4Network]:
    if rule.cidr_ipv4:
        yield IPv4Network(rule.cidr_ipv4, strict=False)
    if rule.source_group.get("GroupId"):
        for interface in interfaces_with(backend, rule.source_group["GroupId"]):
            yield IPv4Network(interface.private_ip_address)
