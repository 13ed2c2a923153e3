"""The health of targets: when a balancer begins to look at one, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from privatelink_lab.local.api.world import World
from privatelink_lab.local.ec2.interfaces import nodes_of
from privatelink_lab.local.ec2.security_groups import admits, admitted
from privatelink_lab.local.elbv2.forwarding import forwards

Verdict = tuple[str, str | None, str | None]
"""State, reason and description, as DescribeTargetHealth has them."""

_FAILED: Verdict = ("unhealthy", "Target.FailedHealthChecks", "Health checks failed")
_HEALTHY: Verdict = ("healthy", None, None)
_CHECKING: Verdict = ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")


def check_name(group: Any, target: str) -> str:
    """What the health check of a target is known by."""
    return f"{group.arn} {target}"


def check_port(group: Any, target: Any) -> int:
    """The port at which the health of a registered target is checked: its own, unless the group has one for that."""
    return int(target["Port"] if group.health_check_port == "traffic-port" else group.health_check_port)


def verdict(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> Verdict:
    """What DescribeTargetHealth says of a registered target."""
    instance = ec2.get_instance_by_id(target) if group.target_type == "instance" else None
    if group.target_type == "instance" and (instance is None or instance.state != "running"):
        return "unused", "Target.InvalidState", f"Target is in the {instance.state if instance else 'gone'} state"
    since = _checked_since(world, elbv2, ec2, group, target)
    if since is None:
        return "unused", "Target.NotInUse", "Target group is not configured to receive traffic"
    if world.agenda.now() < since + world.agenda.clock.delay("target_healthy"):
        return _CHECKING
    return {"healthy": _HEALTHY, "": _CHECKING}.get(_finding(world, elbv2, ec2, group, target), _FAILED)


def serving(elbv2: Any, ec2: Any, group: Any, instance: Any) -> Iterator[tuple[Any, Any]]:
    """Balancer and listener of each way to a target; a balancer serves targets in its own zones only."""
    for balancer in elbv2.load_balancers.values():
        if instance is None or instance.subnet_id is None or zone_of(ec2, instance) in zones_of(balancer):
            for listener in balancer.listeners.values():
                if forwards(listener, group.arn):
                    yield balancer, listener


def sources(elbv2: Any, ec2: Any, group: Any) -> list[str]:
    """The addresses from which a group's targets are checked: those of its balancers' nodes."""
    found = [
        lb for lb in elbv2.load_balancers.values() if any(forwards(each, group.arn) for each in lb.listeners.values())
    ]
    return [str(node.private_ip_address) for balancer in found for node in nodes_of(ec2, balancer)]


def is_reached(ec2: Any, instance: Any, port: int, addresses: list[str]) -> bool:
    """Whether the instance's groups let one of the addresses in; where there is none, nothing stands in the way."""
    networks = admitted(ec2, instance.security_groups, int(port))
    return not addresses or any(admits(networks, each) for each in addresses)


def zone_of(ec2: Any, instance: Any) -> str:
    """The zone that an instance is in."""
    return str(ec2.get_subnet(instance.subnet_id).availability_zone)


def zones_of(balancer: Any) -> set[str]:
    """The zones that a balancer is in."""
    return {each.availability_zone for each in balancer.subnets}


def _finding(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> str:
    """What the checks have found; '' before there was one."""
    instance = ec2.get_instance_by_id(target)
    port = check_port(group, group.targets[target])
    shut = instance and not is_reached(ec2, instance, port, sources(elbv2, ec2, group))
    if shut or ("failing", group.arn, target) in world.since:
        return "unhealthy"
    return world.traffic.health(check_name(group, target))


def _checked_since(world: World, elbv2: Any, ec2: Any, group: Any, target: str) -> float | None:
    """When the first health check began; None without a listener, infinity before the balancer is active."""
    instance = ec2.get_instance_by_id(target) if group.target_type == "instance" else None
    since = world.since
    served = [
        max(since.get(("active", balancer.arn), float("inf")), since[("listening", listener.arn)])
        for balancer, listener in serving(elbv2, ec2, group, instance)
    ]
    if not served:
        return None
    return max(min(served), since[("registered", group.arn, target)], since.get(("running", target), 0.0))
