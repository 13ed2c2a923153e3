"""A network of packets that a test plans: its instances, what they run, and what they print on their consoles."""

from __future__ import annotations

import base64
import itertools
import textwrap
from dataclasses import dataclass, field

import pytest

from privatelink_lab.local.network.agent_client import AgentClient
from privatelink_lab.local.network.plan import HealthCheck, InstancePlan, ListeningPort, NetworkPlan, Target, VpcPlan
from support.timeouts import until

PROVIDER, CONSUMER, OTHER = "provider", "consumer", "other"
NODE, ENDPOINT = "10.0.0.4", "10.0.0.5"
SILENCE = 0.5  # seconds without an answer after which a test takes it that none will come
_numbers = itertools.count(1)

SERVER = """
import os, socket, threading, time
listener = socket.create_server(("", 80), backlog=1024)
def serve(work):
    while True:
        connection, address = listener.accept()
        threading.Thread(target=work, args=(connection, address), daemon=True).start()
"""
"""The beginning of a server's program: `serve(work)` calls `work(connection, address)` for every client."""


def bash(text: str) -> str:
    """User data that runs a shell script."""
    return base64.b64encode(f"#!/bin/bash\n{textwrap.dedent(text)}".encode()).decode()


def python(text: str) -> str:
    """User data that runs a Python program in the background, with its output on the console."""
    return bash(f"python3 - <<'END' >/dev/console 2>&1 &\n{textwrap.dedent(text)}\nEND\n")


@dataclass
class PlannedNetwork:
    """A plan that grows. Instances get new names, so that no test sees the instances of another."""

    agent: AgentClient
    instances: dict[str, InstancePlan] = field(default_factory=dict)
    ports: dict[str, ListeningPort] = field(default_factory=dict)
    checks: dict[str, HealthCheck] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add_instance(self, vpc: str, address: str, user_data: str = "", boot: int = 1) -> str:
        """Add an instance to the plan; returns its name."""
        name = f"i-{next(_numbers)}"
        host = f"ip-{address.replace('.', '-')}"
        self.instances[name] = InstancePlan(vpc, f"{address}/24", "10.0.0.1", ("10.0.0.0/16",), host, boot, user_data)
        return name

    def target(self, address: str = "10.0.0.10", check: str = "check") -> Target:
        """A target in the provider's VPC, behind the balancer."""
        return Target(check, PROVIDER, NODE, address, 80)

    def set_endpoint(
        self, *targets: Target, connected: bool = True, allowed_cidrs: tuple[str, ...] = ("10.0.0.0/16",)
    ) -> None:
        """Set the ports of the endpoint in the consumer's VPC and of the balancer behind it."""
        self.ports["node"] = ListeningPort(PROVIDER, NODE, 80, ("0.0.0.0/0",), connected=True, targets=targets)
        self.ports["endpoint"] = ListeningPort(
            CONSUMER, ENDPOINT, 80, allowed_cidrs, connected, targets or (self.target(),)
        )

    def apply(self) -> None:
        """Send the plan to the agent."""
        used = {instance.vpc for instance in self.instances.values()} | {port.vpc for port in self.ports.values()}
        vpcs = {key: VpcPlan(("10.0.0.1/24",), self.names) for key in used}
        self.agent.apply(NetworkPlan(vpcs, dict(self.instances), dict(self.ports), dict(self.checks)))

    def console(self, instance: str) -> str:
        """What an instance has written to its console."""
        return self.agent.console(instance).decode()

    def wait_for_output(self, instance: str, text: str) -> str:
        """What an instance has written to its console, as soon as this text is in it."""
        try:
            until(lambda: text in self.console(instance), text)
        except AssertionError:
            pytest.fail(f"{instance} wrote only: {self.console(instance)!r}")
        return self.console(instance)
