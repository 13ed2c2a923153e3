"""Which balancer sends traffic to which target group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privatelink_lab.local.api.world import World


def is_leaving(world: World, balancer: Any) -> bool:
    """Whether a balancer was deleted and is still listed."""
    return ("leaving", balancer.arn) in world.since


def balancers_of(backend: Any, group_arn: str) -> list[str]:
    """The ARNs of the balancers that send traffic to a target group."""
    return [
        balancer.arn
        for balancer in backend.load_balancers.values()
        if any(forwards(each, group_arn) for each in balancer.listeners.values())
    ]


def forwards(listener: Any, group_arn: str) -> bool:
    """Whether a listener's default action sends traffic to a target group."""
    return group_arn in groups_of([action.data for action in listener.default_actions])


def groups_of(actions: Iterable[dict[str, Any]]) -> set[str]:
    """The ARNs of the target groups that actions forward to."""
    found = set()
    for action in actions:
        weighted = action.get("ForwardConfig", {}).get("TargetGroups", [])
        found |= {action.get("TargetGroupArn"), *(each["TargetGroupArn"] for each in weighted)}
    return {each for each in found if each}
