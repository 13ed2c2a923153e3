"""Security groups: what they let in, by addresses and by other groups, and which of them exist in a VPC."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from moto.ec2.exceptions import InvalidSecurityGroupNotFoundError

from privatelink_lab.local.ec2.interfaces import interfaces_with

EVERYBODY = IPv4Network("0.0.0.0/0")


def admitted(backend: Any, groups: Iterable[Any], port: int) -> list[IPv4Network]:
    """The networks from which the groups together let TCP in to a port.

    A rule that names a group means the private addresses of the interfaces that have it now.
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
    return any(IPv4Address(address) in each for each in networks)


def common(some: Sequence[IPv4Network], others: Sequence[IPv4Network]) -> list[IPv4Network]:
    """What is in a network of both lists."""
    found = [one if one.subnet_of(other) else other for one in some for other in others if one.overlaps(other)]
    return list(dict.fromkeys(found))


def check_groups(backend: Any, vpc_id: str, ids: Sequence[str]) -> None:
    """Refuse groups that do not exist in that VPC: `InvalidGroup.NotFound`. moto would make them."""
    for group_id in ids:
        if find_group(backend, group_id).vpc_id != vpc_id:
            raise InvalidSecurityGroupNotFoundError(group_id)


def find_group(backend: Any, group_id: str) -> Any:
    """The security group of that id; raises `InvalidGroup.NotFound`."""
    group = backend.get_security_group_from_id(group_id)
    if group is None:
        raise InvalidSecurityGroupNotFoundError(group_id)
    return group


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
