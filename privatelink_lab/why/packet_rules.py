"""Whether rules let a packet pass: security groups and network ACLs, as AWS describes them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any

from privatelink_lab.kind import Row

TCP, ALL = "tcp", "-1"
PROTOCOLS = {TCP, "6", ALL}
EPHEMERAL = (1024, 65535)  # where answers go


def admits(groups: Iterable[Row], port: int | None, sources: Sequence[str], members: Iterable[str] = ()) -> bool:
    """Whether any group has an ingress rule for TCP on a port from a part of these CIDRs, or from one of the groups.

    Without a port, any TCP port will do. A rule that names a group is for whoever is a member of it.
    """
    return any(_matches(rule, port, sources, members) for group in groups for rule in group.get("IpPermissions") or ())


def lacking(groups: Iterable[Row], port: int | None, sources: Sequence[str]) -> list[str]:
    """Those of the sources that the groups' own CIDRs do not admit as a whole; rules for groups do not count."""
    rules = [rule for group in groups for rule in group.get("IpPermissions") or () if _is_for(rule, port)]
    blocks = [ipaddress.ip_network(b["CidrIp"], strict=False) for rule in rules for b in rule.get("IpRanges") or ()]
    return [source for source in sources if _rest(ipaddress.ip_network(source, strict=False), blocks)]


def _rest(network: Any, blocks: Iterable[Any]) -> list[Any]:
    """What is left of a network without these blocks."""
    left = [network]
    for block in blocks:
        if block.version == network.version:
            left = [
                part
                for one in left
                for part in (
                    [] if one.subnet_of(block) else one.address_exclude(block) if block.subnet_of(one) else [one]
                )
            ]
    return left


def lets_out(groups: Iterable[Row], port: int | None, targets: Sequence[str], members: Iterable[str] = ()) -> bool:
    """The same of the egress rules of groups."""
    rules = (rule for group in groups for rule in group.get("IpPermissionsEgress") or ())
    return any(_matches(rule, port, targets, members) for rule in rules)


def names_groups(groups: Iterable[Row], port: int | None) -> set[str]:
    """The groups that ingress rules for a port name in place of addresses."""
    rules = (rule for group in groups for rule in group.get("IpPermissions") or () if _is_for(rule, port))
    return {pair["GroupId"] for rule in rules for pair in rule.get("UserIdGroupPairs") or ()}


def has_lists(groups: Iterable[Row], port: int | None) -> bool:
    """Whether a rule for a port admits a prefix list, whose addresses are not seen."""
    rules = (rule for group in groups for rule in group.get("IpPermissions") or () if _is_for(rule, port))
    return any(rule.get("PrefixListIds") for rule in rules)


def has_source(groups: Iterable[Row], port: int | None) -> bool:
    """Whether any ingress rule for a port admits anybody at all, also by IPv6 or by a prefix list."""
    lists = ("IpRanges", "Ipv6Ranges", "PrefixListIds", "UserIdGroupPairs")
    rules = (rule for group in groups for rule in group.get("IpPermissions") or () if _is_for(rule, port))
    return any(rule.get(name) for rule in rules for name in lists)


def acl_passes(acl: Row, *, egress: bool, ports: tuple[int, int], cidr: str) -> bool:
    """Whether a network ACL lets TCP of these ports pass from (or to) a CIDR: the first rule that matches decides.

    A rule for a part of the ports or of the addresses decides for that part only; here one that passes is enough.
    """
    entries = [row for row in acl.get("Entries") or () if row["Egress"] == egress and "CidrBlock" in row]
    for row in sorted(entries, key=lambda row: row["RuleNumber"]):
        if str(row["Protocol"]) not in PROTOCOLS or not _overlap(row["CidrBlock"], [cidr]):
            continue
        first, last = _acl_ports(row)
        if first > ports[1] or last < ports[0]:
            continue
        if row["RuleAction"] == "allow":
            return True
        if first <= ports[0] and last >= ports[1] and _covers(row["CidrBlock"], cidr):
            return False
    return False


def _acl_ports(row: Row) -> tuple[int, int]:
    span = row.get("PortRange") or {}
    return (span.get("From", 0), span.get("To", 65535)) if str(row["Protocol"]) != ALL else (0, 65535)


def _matches(rule: Any, port: int | None, cidrs: Sequence[str], members: Iterable[str]) -> bool:
    if not _is_for(rule, port):
        return False
    blocks = (block["CidrIp"] for block in rule.get("IpRanges") or ())
    named = {pair["GroupId"] for pair in rule.get("UserIdGroupPairs") or ()}
    return (
        any(_overlap(block, cidrs) for block in blocks) or bool(named & set(members)) or bool(rule.get("PrefixListIds"))
    )


def _is_for(rule: Any, port: int | None) -> bool:
    protocol = str(rule.get("IpProtocol"))
    if protocol == ALL:
        return True
    if protocol not in PROTOCOLS:
        return False
    first, last = rule.get("FromPort"), rule.get("ToPort")
    return port is None or first is None or first <= port <= last


def _overlap(block: str, cidrs: Sequence[str]) -> bool:
    network = ipaddress.ip_network(block, strict=False)
    return any(network.overlaps(ipaddress.ip_network(cidr, strict=False)) for cidr in cidrs)


def _covers(block: str, cidr: str) -> bool:
    outer, inner = ipaddress.ip_network(block, strict=False), ipaddress.ip_network(cidr, strict=False)
    return inner.subnet_of(outer)  # type: ignore[arg-type]  # both are IPv4
