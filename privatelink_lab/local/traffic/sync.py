"""Keeps the API and the network in step: what is due happens also while nobody asks, where packets flow."""

from __future__ import annotations

import logging
import threading
import time

from privatelink_lab.local.api.world import Visitor, World
from privatelink_lab.local.ec2.backend import find_instance, find_subnet
from privatelink_lab.local.ec2.instance_states import ended_by_itself
from privatelink_lab.local.traffic.plan import draw, highest_free_address, visitor_name

LOG = logging.getLogger(__name__)
TICK = 0.05  # seconds between two looks at what is due
REDRAWN = 20  # ticks after which the picture is drawn anyway: targets become healthy with time alone
BOOT = 8.0  # seconds that a visitor's machine may take


class Ticker:
    """One thread for the life of a local AWS; `lock` is the one that every call of it holds."""

    def __init__(self, world: World, lock: threading.Lock) -> None:
        self._world = world
        self._lock = lock
        self._has_changed = True
        self._ticks = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local-aws-ticker", daemon=True)

    def start(self) -> None:
        """Begin, where there is traffic."""
        if not self._world.traffic.why_not:
            self._thread.start()

    def stop(self) -> None:
        """End, and with it all traffic."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._world.traffic.stop()

    def settle(self) -> None:
        """Let what is due happen; call it under the lock."""
        self._has_changed |= self._world.agenda.settle()

    def touch(self) -> None:
        """A call may have changed something; call it under the lock."""
        self._has_changed = True

    def visit(self, subnet_id: str) -> int | None:
        """The PID namespace of a visitor's machine in that subnet; None when it does not start.

        Raises LookupError without such a subnet. Not under the lock: it waits for the network.
        """
        with self._lock:
            subnet = find_subnet(subnet_id)
            if subnet is None:
                raise LookupError(subnet_id)
            visitor = self._world.visitors.setdefault(subnet_id, Visitor(highest_free_address(subnet)))
            if not visitor.runs:
                visitor.runs, visitor.boots = True, visitor.boots + 1
            self.touch()
        end = time.monotonic() + BOOT
        while time.monotonic() < end:
            if number := self._world.traffic.pid_namespace(visitor_name(subnet_id)):
                return number
            if self._world.traffic.why_not or self._is_over.wait(TICK):
                break
        return None

    def _run(self) -> None:
        while not self._world.traffic.why_not and not self._is_over.wait(TICK):
            with self._lock:
                try:
                    self._follow()
                except Exception:
                    LOG.exception("the network could not follow")

    def _follow(self) -> None:
        """Let the network be what the API says, and the other way round."""
        for each in self._world.traffic.ended():
            self.touch()
            if instance := find_instance(each.machine):
                ended_by_itself(self._world, instance, each)
            for subnet_id, visitor in self._world.visitors.items():
                if (visitor_name(subnet_id), visitor.boots) == (each.machine, each.boot):
                    visitor.runs = False
        self.settle()
        self._ticks += 1
        if self._has_changed or self._ticks % REDRAWN == 0:
            self._has_changed = False
            self._world.traffic.show(draw(self._world))
