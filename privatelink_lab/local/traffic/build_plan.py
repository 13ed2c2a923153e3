"""Builds the plan of the network from the objects of the services: addresses, names, machines, ports, checks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any, TypeVar

from privatelink_lab.local.api.server_state import World
from privatelink_lab.local.ec2.backend import all_subnets, ec2_everywhere
from privatelink_lab.local.ec2.instance_states import boot_number
from privatelink_lab.local.ec2.interfaces import interfaces_in, nodes_of
from privatelink_lab.local.network.plan import HealthCheck, InstancePlan, ListeningPort, NetworkPlan, VpcPlan
from privatelink_lab.local.privatelink.endpoint import Endpoint
from privatelink_lab.local.traffic.listening_ports import checks, endpoint_ports, node_ports

LOG = logging.getLogger(__name__)
Part = TypeVar("Part")
_UNBUILT: dict[str, str] = {}  # by account: why a part of it is not in the network, as it was last logged


def build_plan(world: World) -> NetworkPlan:
    """The network that should exist now; VPCs without a machine or a port are left out."""
    backends = list(ec2_everywhere())
    machines: dict[str, InstancePlan] = {}
    ports: dict[str, ListeningPort] = {}
    watched: dict[str, HealthCheck] = {}
    for backend in backends:
        machines |= _of(backend, _machines(world, backend)) | _of(backend, _visitors(world, backend))
        ports |= _of(backend, node_ports(world, backend)) | _of(backend, endpoint_ports(world, backend))
        watched |= _of(backend, checks(world, backend))
    used = {machine.vpc for machine in machines.values()} | {port.vpc for port in ports.values()}
    names = _public_names(backends)
    vpcs = {vpc.id: _vpc(owner, vpc, names) for owner in backends for vpc in owner.vpcs.values() if vpc.id in used}
    return NetworkPlan(vpcs, machines, ports, watched)


def _of(backend: Any, parts: Iterator[tuple[str, Part]]) -> dict[str, Part]:
    """What one account has; what cannot be built there stops at that account, and is logged once."""
    found: dict[str, Part] = {}
    try:
        found.update(parts)
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        if _UNBUILT.get(backend.account_id) != what:
            LOG.exception("a part of account %s cannot be in the network", backend.account_id)
        _UNBUILT[backend.account_id] = what
    return found


def visitor_name(subnet_id: str) -> str:
    """The name of the visitors' machine of a subnet."""
    return f"visitor of {subnet_id}"


def highest_free_address(subnet: Any) -> str:
    """The highest free address of a subnet; it is not reserved."""
    taken = {str(interface.private_ip_address) for interface in interfaces_in(subnet.ec2_backend, subnet.id)}
    for number in range(int(subnet.cidr.broadcast_address) - 1, int(subnet.cidr.network_address) + 3, -1):
        if (address := str(IPv4Address(number))) not in taken:
            return address
    return str(subnet.cidr.broadcast_address - 1)


# VPCs.


def _vpc(backend: Any, vpc: Any, public: dict[str, tuple[str, ...]]) -> VpcPlan:
    routers = tuple(
        f"{_router(subnet)}/{subnet.cidr.prefixlen}" for subnet in all_subnets(backend) if subnet.vpc_id == vpc.id
    )
    names = public | _own_names(backend, vpc) if vpc.enable_dns_support else {}
    return VpcPlan(routers, names)


def _router(subnet: Any) -> str:
    return str(subnet.cidr.network_address + 1)


def _public_names(backends: list[Any]) -> dict[str, tuple[str, ...]]:
    """The public names of endpoints and load balancers; they resolve in every VPC, to addresses in one VPC."""
    names: dict[str, tuple[str, ...]] = {}
    for backend in backends:
        for endpoint in backend.vpc_end_points.values():
            if isinstance(endpoint, Endpoint):
                names |= endpoint.addresses()
        for balancer in backend.elbv2_backend.load_balancers.values():
            nodes = nodes_of(backend, balancer)
            names[balancer.dns_name] = tuple(str(node.private_ip_address) for node in nodes)
    return {name: addresses for name, addresses in names.items() if addresses}


def _own_names(backend: Any, vpc: Any) -> dict[str, tuple[str, ...]]:
    """The names that resolve in one VPC only: private names of endpoints, and those of instances."""
    region = backend.region_name
    suffix = "ec2.internal" if region == "us-east-1" else f"{region}.compute.internal"
    names: dict[str, tuple[str, ...]] = {
        f"{_host_name(instance.private_ip)}.{suffix}": (str(instance.private_ip),)
        for instance in backend.all_instances()
        if instance.vpc_id == vpc.id and instance.private_ip
    }
    for endpoint in backend.vpc_end_points.values():
        if isinstance(endpoint, Endpoint) and endpoint.vpc_id == vpc.id:
            names |= endpoint.private_addresses()
    return names


# Machines.


def _machines(world: World, backend: Any) -> Iterator[tuple[str, InstancePlan]]:
    for instance in backend.all_instances():
        if instance.state != "terminated" and instance.subnet_id:
            subnet = backend.get_subnet(instance.subnet_id)
            script = str(instance.user_data or "")
            yield instance.id, _machine(backend, subnet, instance.private_ip, boot_number(world, instance), script)


def _visitors(world: World, backend: Any) -> Iterator[tuple[str, InstancePlan]]:
    for subnet in all_subnets(backend):
        if subnet.id in world.visitors:
            visitor = world.visitors[subnet.id]
            boot = visitor.boots if visitor.runs else 0
            yield visitor_name(subnet.id), _machine(backend, subnet, visitor.address, boot)


def _machine(backend: Any, subnet: Any, address: str, boot: int, script: str = "") -> InstancePlan:
    vpc = backend.get_vpc(subnet.vpc_id)
    return InstancePlan(
        vpc=vpc.id,
        address=f"{address}/{subnet.cidr.prefixlen}",
        router=_router(subnet),
        vpc_cidrs=tuple(block["cidr_block"] for block in vpc.get_cidr_block_association_set()),
        host_name=_host_name(address),
        boot=boot,
        user_data=script,
    )


def _host_name(address: str) -> str:
    return f"ip-{address.replace('.', '-')}"
