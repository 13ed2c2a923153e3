"""The traffic that security groups let in."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from support.aws_resources import add_group, launch, network
from support.contract_aws import LocalCloud

from privatelink_lab.local.ec2.backend import ec2_everywhere
from privatelink_lab.local.ec2.security_groups import ANY_ADDRESS, admits, admitted, common


class Group:
    """A security group in a VPC of its own."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.ec2 = cloud.client("ec2")
        self.vpc, self.subnet = network(self.ec2)
        self.id = add_group(self.ec2, self.vpc)

    def allow(self, protocol: str = "tcp", *ports: int, **source: Any) -> None:
        """Add an inbound rule: from all addresses, or from `source`."""
        rule: dict[str, Any] = {"IpProtocol": protocol} | (source or {"IpRanges": [{"CidrIp": "0.0.0.0/0"}]})
        if ports:
            rule |= {"FromPort": ports[0], "ToPort": ports[-1]}
        self.ec2.authorize_security_group_ingress(GroupId=self.id, IpPermissions=[rule])

    def admitted(self, port: int = 80) -> list[str]:
        """The networks that the group lets in to a port."""
        backend = next(found for found in ec2_everywhere() if self.vpc in found.vpcs)
        return list(map(str, admitted(backend, [backend.get_security_group_from_id(self.id)], port)))


@pytest.fixture
def group(cloud: LocalCloud) -> Group:
    """A security group without an inbound rule."""
    return Group(cloud)


def cidrs(*blocks: str) -> dict[str, Any]:
    """A rule's source: these CIDR blocks."""
    return {"IpRanges": [{"CidrIp": block} for block in blocks]}


def test_a_new_group_lets_nothing_in(group: Group) -> None:
    """Without a rule no network is let in."""
    assert group.admitted() == []


RULES: tuple[tuple[str, tuple[int, ...], set[int]], ...] = (
    ("tcp", (80, 80), {80}),
    ("tcp", (80, 443), {80, 81, 443}),
    ("6", (80, 80), {80}),
    ("tcp", (0, 65535), {79, 80, 81, 443, 444}),
    ("-1", (), {79, 80, 81, 443, 444}),
    ("udp", (80, 80), set()),
    ("17", (80, 80), set()),
    ("icmp", (-1, -1), set()),
)


def test_a_rule_is_about_its_protocol_and_ports(cloud: LocalCloud) -> None:
    """TCP gets in at the ports of a TCP rule, first and last included; a rule for all protocols opens all ports."""
    for protocol, ports, open_ports in RULES:
        group = Group(cloud)
        group.allow(protocol, *ports)
        seen = {port for port in (79, 80, 81, 443, 444) if group.admitted(port)}
        assert seen == open_ports, (protocol, ports)


def test_a_rule_names_networks(group: Group) -> None:
    """All blocks of all rules count; an address is let in when one block has it."""
    group.allow("tcp", 80, **cidrs("10.0.0.0/24", "192.0.2.7/32"))
    group.allow("tcp", 80, 90, **cidrs("10.1.0.0/16"))
    assert group.admitted() == ["10.0.0.0/24", "192.0.2.7/32", "10.1.0.0/16"]
    assert group.admitted(90) == ["10.1.0.0/16"]


def test_a_rule_for_ipv6_lets_no_ipv4_in(group: Group) -> None:
    """`::/0` does not mean all IPv4 addresses."""
    group.allow("tcp", 80, Ipv6Ranges=[{"CidrIpv6": "::/0"}])
    assert group.admitted() == []


def test_a_revoked_rule_lets_nothing_in(group: Group) -> None:
    """After RevokeSecurityGroupIngress nothing is let in any more, at once."""
    group.allow("tcp", 80)
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80} | cidrs("0.0.0.0/0")
    group.ec2.revoke_security_group_ingress(GroupId=group.id, IpPermissions=[rule])
    assert group.admitted() == []


def test_a_rule_that_names_a_group_means_who_has_it_now(cloud: LocalCloud, group: Group) -> None:
    """The private addresses of the interfaces that have the group now; without such an interface none."""
    clients = add_group(group.ec2, group.vpc, "clients")
    group.allow("tcp", 80, UserIdGroupPairs=[{"GroupId": clients}])
    assert group.admitted() == []
    instance = launch(cloud, group.subnet, SecurityGroupIds=[clients], PrivateIpAddress="10.0.0.9")
    assert group.admitted() == ["10.0.0.9/32"]
    cloud.wait(15)
    group.ec2.modify_instance_attribute(InstanceId=instance, Groups=[group.id])
    assert group.admitted() == []


def test_a_group_that_names_itself(cloud: LocalCloud, group: Group) -> None:
    """Its members are let in, and no one else."""
    group.allow("-1", UserIdGroupPairs=[{"GroupId": group.id}])
    launch(cloud, group.subnet, SecurityGroupIds=[group.id], PrivateIpAddress="10.0.0.9")
    launch(cloud, group.subnet, PrivateIpAddress="10.0.0.10")
    assert group.admitted() == ["10.0.0.9/32"]


def networks(*blocks: str) -> list[IPv4Network]:
    """These blocks."""
    return [IPv4Network(block) for block in blocks]


def test_an_address_is_in_when_one_network_has_it() -> None:
    """The first and last address belong to a network; without a network no address is let in."""
    both = networks("10.0.0.0/24", "10.2.0.0/16")
    assert [admits(both, address) for address in ("10.0.0.0", "10.0.0.255", "10.2.9.9")] == [True] * 3
    assert [admits(both, address) for address in ("10.0.1.0", "9.255.255.255", "10.3.0.0")] == [False] * 3
    assert not admits([], "10.0.0.1")


@pytest.mark.parametrize(
    ("some", "others", "both"),
    [
        (["10.0.0.0/16"], ["10.0.1.0/24"], ["10.0.1.0/24"]),
        (["10.0.1.0/24"], ["10.0.0.0/16"], ["10.0.1.0/24"]),
        (["10.0.0.0/16"], ["10.0.0.0/16"], ["10.0.0.0/16"]),
        (["10.0.0.0/24"], ["10.0.1.0/24"], []),
        (["10.0.0.0/16", "10.1.0.0/16"], ["10.0.1.0/24", "10.1.0.0/16"], ["10.0.1.0/24", "10.1.0.0/16"]),
        (["10.0.0.0/16", "10.0.0.0/8"], ["10.0.1.0/24"], ["10.0.1.0/24"]),
        ([], ["0.0.0.0/0"], []),
    ],
)
def test_what_two_lists_have_in_common(some: list[str], others: list[str], both: list[str]) -> None:
    """The smaller one of two networks that overlap, without duplicates; nothing where none overlap."""
    assert common(networks(*some), networks(*others)) == networks(*both)


def test_any_address_leaves_the_other_list_as_it_is() -> None:
    """A load balancer without groups does not restrict what the endpoint's groups let in."""
    assert common(networks("10.1.0.0/16", "192.0.2.0/24"), [ANY_ADDRESS]) == networks("10.1.0.0/16", "192.0.2.0/24")
