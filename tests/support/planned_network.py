"""Small scenes of packets: who is there, what they do, and what they say on their consoles."""

from __future__ import annotations

import base64
import itertools
import textwrap
from dataclasses import dataclass, field

import pytest

from privatelink_lab.local.network.agent_client import Traffic
from privatelink_lab.local.network.plan import Check, Door, Machine, Picture, Target, Vpc
from support.patience import until

PROVIDER, CONSUMER, OTHER = "provider", "consumer", "other"
NODE, ENDPOINT = "10.0.0.4", "10.0.0.5"
SILENCE = 0.5  # seconds without an answer that are taken for none ever
_numbers = itertools.count(1)

SERVE = """
import os, socket, threading, time
listener = socket.create_server(("", 80), backlog=1024)
def each(work):
    while True:
        there, address = listener.accept()
        threading.Thread(target=work, args=(there, address), daemon=True).start()
"""
"""The start of a server's program: `each(work)` calls `work(socket, address)` for every client."""


def bash(text: str) -> str:
    """User data of a shell script."""
    return base64.b64encode(f"#!/bin/bash\n{textwrap.dedent(text)}".encode()).decode()


def python(text: str) -> str:
    """User data of a Python program that goes on in the background, and says what it prints on the console."""
    return bash(f"python3 - <<'END' >/dev/console 2>&1 &\n{textwrap.dedent(text)}\nEND\n")


@dataclass
class Scene:
    """A picture that grows; machines have fresh names, so that nothing of another test is seen."""

    traffic: Traffic
    machines: dict[str, Machine] = field(default_factory=dict)
    doors: dict[str, Door] = field(default_factory=dict)
    checks: dict[str, Check] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def add(self, vpc: str, address: str, script: str = "", boot: int = 1) -> str:
        """The name of a new machine."""
        name = f"i-{next(_numbers)}"
        host = f"ip-{address.replace('.', '-')}"
        self.machines[name] = Machine(vpc, f"{address}/24", "10.0.0.1", ("10.0.0.0/16",), host, boot, script)
        return name

    def target(self, address: str = "10.0.0.10", check: str = "check") -> Target:
        """A target in the provider's VPC, reached from the balancer's node."""
        return Target(check, PROVIDER, NODE, address, 80)

    def endpoint(self, *targets: Target, connected: bool = True, admits: tuple[str, ...] = ("10.0.0.0/16",)) -> None:
        """The endpoint's door in the consumer's VPC, as it is from now on, and the balancer's node behind it."""
        self.doors["node"] = Door(PROVIDER, NODE, 80, ("0.0.0.0/0",), connected=True, targets=targets)
        self.doors["endpoint"] = Door(CONSUMER, ENDPOINT, 80, admits, connected, targets or (self.target(),))

    def show(self) -> None:
        """Let it be so."""
        used = {each.vpc for each in self.machines.values()} | {each.vpc for each in self.doors.values()}
        vpcs = {key: Vpc(("10.0.0.1/24",), self.names) for key in used}
        self.traffic.show(Picture(vpcs, dict(self.machines), dict(self.doors), dict(self.checks)))

    def said(self, machine: str) -> str:
        """What it has written to its console."""
        return self.traffic.console(machine).decode()

    def says(self, machine: str, word: str) -> str:
        """Its console, as soon as that has a word in it."""
        try:
            until(lambda: word in self.said(machine), word)
        except AssertionError:
            pytest.fail(f"{machine} said only: {self.said(machine)!r}")
        return self.said(machine)
