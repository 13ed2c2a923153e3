"""How long AWS takes for each transition, in seconds: usually, and on a slow day."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Delay(NamedTuple):
    """How long a transition takes, in seconds of AWS time: usually, and on a slow day."""

    usual: float
    slow: float


DELAYS: Mapping[str, Delay] = MappingProxyType(
    {
        "id_visible": Delay(2, 30),  # at most: until then a new id is not found, and is in no list
        "instance_running": Delay(15, 60),
        "instance_booted": Delay(45, 300),  # running -> its user data runs
        "console_posted": Delay(180, 600),  # running -> GetConsoleOutput without Latest has output
        "instance_stopped": Delay(30, 60),
        "instance_terminated": Delay(30, 600),
        "instance_gone": Delay(3600, 3600),  # a terminated instance stays in the list for about an hour
        "balancer_active": Delay(130, 480),
        "target_healthy": Delay(60, 240),  # after listener, active balancer, running target
        "permission_spread": Delay(
            0, 180
        ),  # a new permission -> the account finds the service; 0, so that Terraform needs no wait
        "service_ready": Delay(10, 180),  # a new service is Available, but CreateVpcEndpoint still answers Unavailable
        "connection_listed": Delay(2, 60),  # CreateVpcEndpoint -> a row in DescribeVpcEndpointConnections
        "accept_pending": Delay(1, 10),  # pendingAcceptance -> pending
        "endpoint_available": Delay(60, 300),  # pending -> available
        "reject": Delay(1, 10),
        "endpoint_deleted": Delay(60, 480),  # deleting -> deleted: the network interfaces go here
        "endpoint_gone": Delay(60, 60),  # deleted -> not found
        "service_deleted": Delay(10, 120),  # Deleting -> Deleted
        "service_gone": Delay(5, 5),  # Deleted -> not found: the balancer is free from here on
        "domain_checked": Delay(60, 600),  # pendingVerification -> failed: the local AWS has no DNS to check
        "balancer_deleted": Delay(1, 30),  # DeleteLoadBalancer -> LoadBalancerNotFound
        "group_unlocked": Delay(5, 60),  # a load balancer or listener deleted -> its target groups can be deleted
        "interfaces_gone": Delay(90, 300),  # a load balancer deleted -> its network interfaces are deleted
    }
)
"""The transitions of the local AWS (AWS facts 11)."""

LASTING = frozenset({"instance_gone"})
"""Delays that speed 0 keeps, since no command waits for them."""
