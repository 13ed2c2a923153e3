"""The listening ports of load balancers and endpoints: which clients they let in, and to which targets they send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from privatelink_lab.local.api.server_state import World
from privatelink_lab.local.ec2.interfaces import nodes_of
from privatelink_lab.local.ec2.security_groups import ANY_ADDRESS, admitted, common
from privatelink_lab.local.elbv2.forwarding import target_groups_of
from privatelink_lab.local.elbv2.target_health import (
    check_name,
    check_port,
    lets_in,
    serving_listeners,
    target_health,
    zone_of,
)
from privatelink_lab.local.network.plan import HealthCheck, ListeningPort, Target
from privatelink_lab.local.privatelink.endpoint import Endpoint

SHORTEST_INTERVAL = 0.1  # seconds: the shortest time between two health checks
SHORTEST_TIMEOUT = 0.5  # seconds: the shortest timeout of a health check, however fast the clock is


def node_ports(world: World, backend: Any) -> Iterator[tuple[str, ListeningPort]]:
    """A port per TCP listener and node of the active load balancers."""
    for balancer, listener in _listeners(backend):
        for node in nodes_of(backend, balancer):
            networks = _balancer_admits(backend, balancer, node, int(listener.port))
            targets = _targets(world, backend, balancer, listener, node)
            yield _listening_port(node, listener, networks, targets, connected=True)


def endpoint_ports(world: World, backend: Any) -> Iterator[tuple[str, ListeningPort]]:
    """The ports of a consumer's endpoints."""
    for endpoint in backend.vpc_end_points.values():
        if isinstance(endpoint, Endpoint) and endpoint.service is not None:
            for interface in endpoint.interfaces():
                yield from _interface_ports(world, backend, endpoint, interface)


def _interface_ports(
    world: World, backend: Any, endpoint: Endpoint, interface: Any
) -> Iterator[tuple[str, ListeningPort]]:
    """A port per listener of those load balancers of the service that have a node in the interface's zone.

    A load balancer's security groups apply to the client's own address, unless they are switched off
    for PrivateLink traffic.
    """
    assert endpoint.service is not None  # noqa: S101  # the caller has checked
    provider, zone = endpoint.service.ec2_backend, interface.subnet.availability_zone_id
    for balancer, listener in _listeners(provider):
        nodes = [node for node in nodes_of(provider, balancer) if node.subnet.availability_zone_id == zone]
        if balancer.arn not in endpoint.service.network_load_balancer_arns or not nodes:
            continue
        port = int(listener.port)
        networks = admitted(backend, interface.group_set, port)
        if balancer.enforcement == "on":
            networks = common(networks, _balancer_admits(provider, balancer, nodes[0], port))
        targets = _targets(world, provider, balancer, listener, nodes[0])
        yield _listening_port(interface, listener, networks, targets, connected=endpoint.connected)


def _listening_port(
    interface: Any, listener: Any, networks: list[IPv4Network], targets: Iterable[Target], *, connected: bool
) -> tuple[str, ListeningPort]:
    """Name and ListeningPort of a listener on a network interface."""
    port = ListeningPort(
        vpc=interface.subnet.vpc_id,
        address=str(interface.private_ip_address),
        port=int(listener.port),
        allowed_cidrs=tuple(dict.fromkeys(map(str, networks))),
        connected=connected,
        targets=tuple(targets),
    )
    return f"{interface.id} {port.port}", port


def _listeners(backend: Any) -> Iterator[tuple[Any, Any]]:
    """The TCP listeners of active network load balancers, with their load balancers."""
    for balancer in backend.elbv2_backend.load_balancers.values():
        if balancer.type == "network" and balancer.state == "active":
            for listener in balancer.listeners.values():
                if listener.protocol in {"TCP", "TCP_UDP"}:
                    yield balancer, listener


def _balancer_admits(backend: Any, balancer: Any, node: Any, port: int) -> list[IPv4Network]:
    return admitted(backend, node.group_set, port) if balancer.security_groups else [ANY_ADDRESS]


# Targets.


def _targets(world: World, backend: Any, balancer: Any, listener: Any, node: Any) -> Iterator[Target]:
    """The targets of a load balancer's node: those in service whose security groups let the node in."""
    for group in _groups(backend, listener):
        serves_all_zones = is_cross_zone(balancer, group)
        for target in group.targets.values():
            instance = backend.get_instance_by_id(target["Id"])
            if target_health(world, backend, group, target["Id"])[0] in {"unused", "initial"}:
                continue
            if instance and not serves_all_zones and zone_of(backend, instance) != node.subnet.availability_zone_id:
                continue
            if not lets_in(backend, instance, target["Port"], [node.private_ip_address]):
                continue
            yield _target(group, target, instance, node)


def _target(group: Any, target: Any, instance: Any, node: Any) -> Target:
    return Target(
        check=check_name(group, target["Id"]),
        vpc=node.subnet.vpc_id,
        source=str(node.private_ip_address),
        address=str(instance.private_ip if instance else target["Id"]),
        port=int(target["Port"]),
    )


def _groups(backend: Any, listener: Any) -> list[Any]:
    known = backend.elbv2_backend.target_groups
    arns = target_groups_of([action.data for action in listener.default_actions])
    return [known[arn] for arn in arns if arn in known]


def is_cross_zone(balancer: Any, group: Any) -> bool:
    """Whether a node also serves targets in other zones; the target group's setting comes first."""
    own = str(group.attributes.get("load_balancing.cross_zone.enabled"))
    return (own if own in {"true", "false"} else balancer.attrs.get("load_balancing.cross_zone.enabled")) == "true"


def checks(world: World, backend: Any) -> Iterator[tuple[str, HealthCheck]]:
    """A health check per target in use, from a node of the first load balancer that serves it."""
    for group in backend.elbv2_backend.target_groups.values():
        for target in group.targets.values():
            instance = backend.get_instance_by_id(target["Id"])
            if group.target_type == "instance" and (instance is None or instance.state != "running"):
                continue
            for balancer, _ in serving_listeners(backend, group, instance):
                port = check_port(group, target)
                nodes = [
                    node
                    for node in nodes_of(backend, balancer)
                    if lets_in(backend, instance, port, [node.private_ip_address])
                ]
                if balancer.state == "active" and nodes:
                    yield (
                        check_name(group, target["Id"]),
                        _check(world, group, replace(_target(group, target, instance, nodes[0]), port=port)),
                    )
                    break


def _check(world: World, group: Any, target: Target) -> HealthCheck:
    speed = world.scheduler.clock.speed or float("inf")
    is_http = group.health_check_protocol in {"HTTP", "HTTPS"}
    return HealthCheck(
        target=target,
        interval=max(SHORTEST_INTERVAL, group.health_check_interval_seconds / speed),
        timeout=max(SHORTEST_TIMEOUT, group.health_check_timeout_seconds / speed),
        healthy_threshold=int(group.healthy_threshold_count),
        unhealthy_threshold=int(group.unhealthy_threshold_count),
        path=(group.health_check_path or "/") if is_http else None,
        codes=str((getattr(group, "matcher", None) or {}).get("HttpCode", "200-399")) if is_http else "200-399",
    )
