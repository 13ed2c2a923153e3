"""Keeps the API and the network in step: where packets flow, due transitions also run between requests."""

from __future__ import annotations

import logging
import threading
import time

from privatelink_lab.local.api.server_state import Visitor, World
from privatelink_lab.local.ec2.backend import find_instance, find_subnet
from privatelink_lab.local.ec2.instance_states import shut_down_from_inside
from privatelink_lab.local.traffic.build_plan import build_plan, highest_free_address, visitor_name

LOG = logging.getLogger(__name__)
TICK_INTERVAL = 0.05  # seconds between two runs of what is due
TICKS_PER_PLAN = 20  # a plan is built at least this often: time alone makes targets healthy
VISITOR_BOOT_TIMEOUT = 8.0  # seconds that a visitor's machine may take


class NetworkSync:
    """One thread for the life of a local AWS; `lock` is the lock that every call holds."""

    def __init__(self, world: World, lock: threading.Lock) -> None:
        self._world = world
        self._lock = lock
        self._has_changed = True
        self._ticks = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="local-aws-sync", daemon=True)

    def start(self) -> None:
        """Start the thread, where there is traffic."""
        if not self._world.traffic.why_not:
            self._thread.start()

    def stop(self) -> None:
        """End the thread, and all traffic."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._world.traffic.stop()

    def run_due(self) -> None:
        """Run the transitions that are due; call it under the lock."""
        self._has_changed |= self._world.scheduler.run_due()

    def mark_changed(self) -> None:
        """A call may have changed something; call it under the lock."""
        self._has_changed = True

    def visit(self, subnet_id: str) -> int | None:
        """The PID namespace of the visitors' machine in that subnet; None when it does not start.

        Raises LookupError without such a subnet. Do not call it under the lock: it waits for the network.
        """
        with self._lock:
            subnet = find_subnet(subnet_id)
            if subnet is None:
                raise LookupError(subnet_id)
            visitor = self._world.visitors.setdefault(subnet_id, Visitor(highest_free_address(subnet)))
            if not visitor.runs:
                visitor.runs, visitor.boots = True, visitor.boots + 1
            self.mark_changed()
        deadline = time.monotonic() + VISITOR_BOOT_TIMEOUT
        while time.monotonic() < deadline:
            if number := self._world.traffic.pid_namespace(visitor_name(subnet_id)):
                return number
            if self._world.traffic.why_not or self._is_over.wait(TICK_INTERVAL):
                break
        return None

    def sync_once(self) -> None:
        """Tell the API which machines have ended, and the network what should exist; call it under the lock."""
        for ended in self._world.traffic.take_ended():
            self.mark_changed()
            if instance := find_instance(ended.instance):
                shut_down_from_inside(self._world, instance, ended)
            for subnet_id, visitor in self._world.visitors.items():
                if (visitor_name(subnet_id), visitor.boots) == (ended.instance, ended.boot):
                    visitor.runs = False
        self.run_due()
        self._ticks += 1
        if self._has_changed or self._ticks % TICKS_PER_PLAN == 0:
            self._has_changed = False
            self._world.traffic.apply(build_plan(self._world))

    def _run(self) -> None:
        while not self._world.traffic.why_not and not self._is_over.wait(TICK_INTERVAL):
            with self._lock:
                try:
                    self.sync_once()
                except Exception:
                    LOG.exception("the network could not be synchronised")
