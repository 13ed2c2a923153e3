"""The health of targets: when the health checks of a target begin, and what they find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from privatelink_lab.local.api.world import Fact, World
from privatelink_lab.local.ec2.interfaces import nodes_of
from privatelink_lab.local.ec2.security_groups import admits, admitted
from privatelink_lab.local.elbv2.forwarding import forwards

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


def target_health(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> Health:
    """What DescribeTargetHealth says of a registered target."""
    instance = ec2.get_instance_by_id(target) if group.target_type == "instance" else None
    if group.target_type == "instance" and (instance is None or instance.state != "running"):
        return "unused", "Target.InvalidState", f"Target is in the {instance.state if instance else 'gone'} state"
    since = _checked_since(world, elbv2, ec2, group, target)
    if since is None:
        return "unused", "Target.NotInUse", "Target group is not configured to receive traffic"
    if world.scheduler.now() < since + world.scheduler.clock.delay("target_healthy"):
        return _CHECKING
    return {"healthy": _HEALTHY, "": _CHECKING}.get(_check_result(world, elbv2, ec2, group, target), _FAILED)


def serving_listeners(elbv2: Any, ec2: Any, group: Any, instance: Any) -> Iterator[tuple[Any, Any]]:
    """The load balancers that serve a target, with their listeners; they serve targets in their own zones only."""
    for balancer in elbv2.load_balancers.values():
        if instance is None or instance.subnet_id is None or zone_of(ec2, instance) in zones_of(balancer):
            for listener in balancer.listeners.values():
                if forwards(listener, group.arn):
                    yield balancer, listener


def check_sources(elbv2: Any, ec2: Any, group: Any) -> list[str]:
    """The addresses from which a group's targets are checked: those of its load balancers' nodes."""
    return [
        str(node.private_ip_address)
        for balancer in elbv2.load_balancers.values()
        if any(forwards(listener, group.arn) for listener in balancer.listeners.values())
        for node in nodes_of(ec2, balancer)
    ]


def lets_in(ec2: Any, instance: Any, port: int, addresses: list[str]) -> bool:
    """Whether the instance's security groups let one of the addresses in; True without an address."""
    networks = admitted(ec2, instance.security_groups, int(port))
    return not addresses or any(admits(networks, address) for address in addresses)


def zone_of(ec2: Any, instance: Any) -> str:
    """The zone of an instance."""
    return str(ec2.get_subnet(instance.subnet_id).availability_zone)


def zones_of(balancer: Any) -> set[str]:
    """The zones of a load balancer."""
    return {subnet.availability_zone for subnet in balancer.subnets}


def _check_result(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> str:
    """The result of the last health check; '' before the first one."""
    instance = ec2.get_instance_by_id(target)
    port = check_port(group, group.targets[target])
    is_blocked = instance and not lets_in(ec2, instance, port, check_sources(elbv2, ec2, group))
    if is_blocked or world.is_true(Fact.FAILING, group.arn, target):
        return "unhealthy"
    return world.traffic.health(check_name(group, target))


def _checked_since(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> float | None:
    """When the first health check began; None without a listener, infinity before the load balancer is active."""
    is_instance = group.target_type == "instance"
    instance = ec2.get_instance_by_id(target) if is_instance else None
    served = [
        max(world.since(Fact.BALANCER_ACTIVE, balancer.arn), world.since(Fact.LISTENING, listener.arn))
        for balancer, listener in serving_listeners(elbv2, ec2, group, instance)
    ]
    if not served:
        return None
    running = world.since(Fact.RUNNING, target) if is_instance else 0.0
    return max(min(served), world.since(Fact.REGISTERED, group.arn, target), running)
