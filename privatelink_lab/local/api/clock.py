"""Time in the local AWS: how long AWS takes for a transition, and which transitions are due.

This module has no thread. Due transitions run before the next request, in order of due time, so a
test that controls the wall clock controls every state.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

LOG = logging.getLogger(__name__)


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
"""The transitions of the local AWS (facts sheet section 13; instance_gone from the EC2 model)."""

LASTING = frozenset({"instance_gone"})
"""Delays that speed 0 keeps, since no command waits for them."""

Action = Callable[[], None]


class AwsClock:
    """Seconds of AWS time, `speed` times faster than `wall`.

    At speed 0 every delay is 0, and `now` runs as fast as the wall clock. With `slow`, the delays
    are those of a slow day on AWS.
    """

    def __init__(self, speed: float = 1.0, wall: Callable[[], float] = time.monotonic, *, slow: bool = False) -> None:
        self.speed = speed
        self.slow = slow
        self._wall = wall
        self._start = wall()

    def now(self) -> float:
        """Seconds of AWS time since this clock was made."""
        return (self._wall() - self._start) * (self.speed or 1.0)

    def delay(self, name: str) -> float:
        """Seconds of AWS time that the transition `name` takes."""
        if not self.speed and name not in LASTING:
            return 0.0
        return DELAYS[name].slow if self.slow else DELAYS[name].usual


class Scheduler:
    """Actions that will run, and when. Call it under the server's lock only."""

    def __init__(self, clock: AwsClock) -> None:
        self.clock = clock
        self._due: list[tuple[float, int, Action]] = []
        self._order = itertools.count()
        self._moment: float | None = None

    def now(self) -> float:
        """Seconds of AWS time; inside an action, the moment at which it was due.

        Otherwise a chain of transitions would take longer when no request comes for a while.
        """
        return self.clock.now() if self._moment is None else self._moment

    def after(self, delay: str, action: Action) -> None:
        """Run `action` when the time of the transition `delay` has passed."""
        self.later(self.clock.delay(delay), action)

    def later(self, seconds: float, action: Action) -> None:
        """Run `action` after that many seconds of AWS time."""
        due = self.now() + seconds
        heapq.heappush(self._due, (due, next(self._order), action))

    def run_due(self) -> bool:
        """Run all due actions, earliest first, and those that they make due; True if there was any.

        An action that fails is logged; the next request must not fail with it.
        """
        now, ran = self.clock.now(), False
        while self._due and self._due[0][0] <= now:
            self._moment, _, action = heapq.heappop(self._due)
            try:
                action()
            except Exception:
                LOG.exception("a transition failed")
            finally:
                self._moment, ran = None, True
        return ran
