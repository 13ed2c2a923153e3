"""The health of targets: when the health checks of a target begin, and what they find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from privatelink_lab.local.api.server_state import Fact, World
from privatelink_lab.local.ec2.interfaces import nodes_of
from privatelink_lab.local.ec2.security_groups import admits, admitted
from privatelink_lab.local.elbv2.forwarding import balancers_of, forwards

Health = tuple[str, str | None, str | None]
"""State, reason and description, as DescribeTargetHealth has them."""

_FAILED: Health = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
_HEALTHY: Health = ("healthy", None, None)
_CHECKING: Health = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")


def check_name(group: Any, target: str) -> str:
    """The name of a target's health check."""
    return f"{group.arn} {target}"


def check_port(group: Any, target: Any) -> int:
    """The port of a target's health check: the target's own, unless its group has one for health checks."""
    return int(target["Port"] if group.health_check_port == "traffic-port" else group.health_check_port)


def target_health(world: World, ec2: Any, group: Any, target: str) -> Health:
    """What DescribeTargetHealth says of a registered target."""
    instance = ec2.get_instance_by_id(target) if group.target_type == "instance" else None
    if group.target_type == "instance" and (instance is None or instance.state != "running"):
        return "unused", "Target.InvalidState", f"Target is in the {instance.state if instance else 'gone'} state"
    since = _checked_since(world, ec2, group, target, instance)
    if since is None:
        return "unused", "Target.NotInUse", "Target group is not configured to receive traffic"
    if world.scheduler.now() < since + world.scheduler.clock.delay("target_healthy"):
        return _CHECKING
    return {"healthy": _HEALTHY, "": _CHECKING}.get(_check_result(world, ec2, group, target, instance), _FAILED)


def serving_listeners(ec2: Any, group: Any, instance: Any) -> Iterator[tuple[Any, Any]]:
    """The load balancers that serve a target, with their listeners; they serve targets in their own zones only."""
    for balancer in ec2.elbv2_backend.load_balancers.values():
        zones = {subnet.availability_zone_id for subnet in balancer.subnets}
        if instance is None or instance.subnet_id is None or zone_of(ec2, instance) in zones:
            for listener in balancer.listeners.values():
                if forwards(listener, group.arn):
                    yield balancer, listener


def check_sources(ec2: Any, group: Any) -> list[str]:
    """The addresses from which a group's targets are checked: those of its load balancers' nodes."""
    return [
        str(node.private_ip_address)
        for arn in balancers_of(ec2.elbv2_backend, group.arn)
        for node in nodes_of(ec2, ec2.elbv2_backend.load_balancers[arn])
    ]


def lets_in(ec2: Any, instance: Any, port: int, addresses: list[str]) -> bool:
    """Whether the instance's security groups let one of the addresses in; True without an instance or an address."""
    if instance is None or not addresses:
        return True
    networks = admitted(ec2, instance.security_groups, int(port))
    return any(admits(networks, address) for address in addresses)


def zone_of(ec2: Any, instance: Any) -> str:
    """The zone id of an instance."""
    return str(ec2.get_subnet(instance.subnet_id).availability_zone_id)


def _check_result(world: World, ec2: Any, group: Any, target: str, instance: Any) -> str:
    """The result of the last health check; '' before the first one."""
    port = check_port(group, group.targets[target])
    is_blocked = not lets_in(ec2, instance, port, check_sources(ec2, group))
    if is_blocked or world.is_true(Fact.FAILING, group.arn, target):
        return "unhealthy"
    return world.traffic.health(check_name(group, target))


def _checked_since(world: World, ec2: Any, group: Any, target: str, instance: Any) -> float | None:
    """When the first health check began; None without a listener, infinity before the load balancer is active."""
    served = [
        max(world.since(Fact.BALANCER_ACTIVE, balancer.arn), world.since(Fact.LISTENING, listener.arn))
        for balancer, listener in serving_listeners(ec2, group, instance)
    ]
    if not served:
        return None
    running = world.since(Fact.RUNNING, target) if instance else 0.0
    return max(min(served), world.since(Fact.REGISTERED, group.arn, target), running)
