"""The lower bound: the least time of every tool on the local AWS's clock, however well it waits.

It is the longest chain of state changes in which every one begins only when the one before has ended. The time until
a new id is known everywhere (up to two seconds) is left out: it may be zero.
"""

from __future__ import annotations

from privatelink_lab.local.api.delays import DELAYS

CHAINS = {
    "up": (
        ("balancer_active", "service_ready", "connection_listed", "accept_pending", "endpoint_available"),
        ("balancer_active", "target_healthy"),
        ("instance_running", "target_healthy"),
    ),
    "down": (
        ("service_deleted", "service_gone", "balancer_deleted", "interfaces_gone"),  # subnet and VPC take no time
        ("endpoint_deleted",),
        ("instance_terminated",),
    ),
}


def lower_bound(command: str, speed: float) -> float:
    """The least seconds of `up` or `down` at this speed; 0 if AWS takes no time."""
    seconds = max(sum(DELAYS[name].usual for name in chain) for chain in CHAINS[command])
    return seconds / speed if speed else 0.0
