"""The lower bound: what no tool can go below on the local AWS's clock, however well it waits.

The longest chain of transitions of which each begins only when the one before has ended. A new id's spreading (up to
two seconds each time) is left out: it may be over at once.
"""

from __future__ import annotations

from privatelink_lab.local.api.clock import DELAYS

CHAINS = {
    "up": (
        ("balancer_active", "service_ready", "connection_listed", "accept_pending", "endpoint_available"),
        ("balancer_active", "target_healthy"),
        ("instance_running", "target_healthy"),
    ),
    "down": (
        ("service_deleted", "service_gone", "balancer_deleted", "interfaces_gone"),  # then subnet and VPC, at once
        ("endpoint_deleted",),
        ("instance_terminated",),
    ),
}


def lower_bound(command: str, speed: float) -> float:
    """Seconds that `up` or `down` takes at least at this speed; 0 where AWS takes no time."""
    seconds = max(sum(DELAYS[name].usual for name in chain) for chain in CHAINS[command])
    return seconds / speed if speed else 0.0
