"""Which load balancer forwards to which target group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privatelink_lab.local.api.server_state import Fact, World


def is_deleted(world: World, balancer: Any) -> bool:
    """Whether a load balancer was deleted; it is listed for a moment more."""
    return world.is_true(Fact.BALANCER_DELETED, balancer.arn)


def balancers_of(backend: Any, group_arn: str) -> list[str]:
    """The ARNs of the load balancers that forward to a target group."""
    return [
        balancer.arn
        for balancer in backend.load_balancers.values()
        if any(forwards(listener, group_arn) for listener in balancer.listeners.values())
    ]


def forwards(listener: Any, group_arn: str) -> bool:
    """Whether a listener forwards to a target group by its default action."""
    return group_arn in target_groups_of([action.data for action in listener.default_actions])


def target_groups_of(actions: Iterable[dict[str, Any]]) -> set[str]:
    """The ARNs of the target groups that actions forward to."""
    found = set()
    for action in actions:
        weighted = action.get("ForwardConfig", {}).get("TargetGroups", [])
        found |= {action.get("TargetGroupArn"), *(weighted_group["TargetGroupArn"] for weighted_group in weighted)}
    return {arn for arn in found if arn}
