"""The network in which packets are measured: a provider and two consumers, all with the same addresses."""

from __future__ import annotations

import base64
import itertools
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from privatelink_lab.local.network.agent_client import AgentClient
from privatelink_lab.local.network.plan import HealthCheck, InstancePlan, ListeningPort, NetworkPlan, Target, VpcPlan

PROVIDER, CONSUMER, OTHER = "provider", "consumer", "other"
NODE, ENDPOINT, SERVER, PROXIES, CLIENT = "10.0.0.4", "10.0.0.5", "10.0.0.10", ("10.0.0.11", "10.0.0.12"), "10.0.0.20"
PORT = 80
POLL_PAUSE = 0.02  # seconds between two reads of a console
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")  # per second
PROGRAMS = Path(__file__).with_name("instance_programs.py").read_text(encoding="utf-8")
HAPROXY = """
global
  maxconn 4096
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen hop
  bind :{port}
  server next {address}:{port}
"""


class TimedOut(Exception):
    """An expected event did not happen in time."""


@dataclass
class PacketNetwork:
    """The current plan of the network; `end` is when the whole run must be over, in seconds of time.monotonic()."""

    agent: AgentClient
    end: float
    instances: dict[str, InstancePlan] = field(default_factory=dict)
    ports: dict[str, ListeningPort] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def create(self) -> None:
        """Create a server behind a balancer, an endpoint, and another consumer's endpoint that is not accepted."""
        target = Target("check", PROVIDER, NODE, SERVER, PORT)
        self.ports["node"] = ListeningPort(PROVIDER, NODE, PORT, ("0.0.0.0/0",), connected=True, targets=(target,))
        self.ports["endpoint"] = replace(self.ports["node"], vpc=CONSUMER, address=ENDPOINT)
        self.ports["other"] = replace(self.ports["endpoint"], vpc=OTHER, connected=False)
        self.add_instance(PROVIDER, SERVER, program("serve"))
        self.wait_until(lambda: self.agent.health("check") == "healthy", "healthy server")

    def connect_other(self, *, connected: bool) -> None:
        """Accept the other consumer's connection, or reject it."""
        self.ports["other"] = replace(self.ports["other"], connected=connected)
        self.apply()

    def add_instance(self, vpc: str, address: str, script: str) -> str:
        """Start an instance with this user data; returns its name."""
        name = f"i-{next(self._numbers)}"
        data = base64.b64encode(script.encode()).decode()
        host = f"ip-{address.replace('.', '-')}"
        self.instances[name] = InstancePlan(vpc, f"{address}/24", "10.0.0.1", ("10.0.0.0/16",), host, 1, data)
        self.apply()
        return name

    def remove_instance(self, name: str) -> None:
        """Remove an instance, and wait until its address is free."""
        del self.instances[name]
        self.apply()
        self.wait_until(lambda: self.agent.pid_namespace(name) is None, f"end of {name}")

    def apply(self) -> None:
        """Send the plan to the agent."""
        vpcs = {key: VpcPlan(("10.0.0.1/24",)) for key in (PROVIDER, CONSUMER, OTHER)}
        check = HealthCheck(
            self.ports["node"].targets[0], interval=1, timeout=1, healthy_threshold=1, unhealthy_threshold=2
        )
        self.agent.apply(NetworkPlan(vpcs, dict(self.instances), dict(self.ports), {"check": check}))

    def values(self, name: str, key: str) -> list[Any]:
        """All values of `key` in the JSON lines on an instance's console, in order."""
        lines = self.agent.console(name).decode().splitlines(keepends=True)
        rows = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}\n")]
        return [row[key] for row in rows if key in row]

    def wait_for_value(self, name: str, key: str, count: int = 1) -> Any:
        """The newest value of `key` once there are `count` of them; raises TimedOut with the end of the console."""
        try:
            self.wait_until(lambda: len(self.values(name, key)) >= count, key)
        except TimedOut as error:
            raise TimedOut(f"{error} from {name}: {self.agent.console(name).decode()[-2000:]}") from None
        return self.values(name, key)[-1]

    def wait_until(self, condition: Callable[[], object], what: str, timeout: float = 30.0) -> None:
        """Return as soon as the condition is true; raises TimedOut after `timeout` seconds or at the end of the run."""
        end = min(self.end, time.monotonic() + timeout)
        while not condition():
            if time.monotonic() > end:
                raise TimedOut(f"no {what}")
            time.sleep(POLL_PAUSE)


def program(*arguments: str) -> str:
    """User data that runs `instance_programs.py` with these arguments and prints its output on the console."""
    return _user_data("programs.py", PROGRAMS, f"python3 /tmp/programs.py {' '.join(arguments)}")


def haproxy(address: str) -> str:
    """User data that runs HAProxy in TCP mode, which passes everything on to an address."""
    return _user_data("haproxy.cfg", HAPROXY.format(port=PORT, address=address), "haproxy -db -f /tmp/haproxy.cfg")


def _user_data(file: str, text: str, command: str) -> str:
    return f"#!/bin/bash\ncat >/tmp/{file} <<'END'\n{text}\nEND\n{command} >/dev/console 2>&1 &\n"


def processor_time() -> float:
    """Seconds of processor time that the descendants of this process have used so far."""
    used, parents = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(path.parent.name)
        parents[pid], used[pid] = int(fields[1]), (int(fields[11]) + int(fields[12])) / CLOCK_TICKS
    return sum(seconds for pid, seconds in used.items() if _is_descendant(pid, parents))


def _is_descendant(pid: int, parents: dict[int, int]) -> bool:
    while pid := parents.get(pid, 0):
        if parents.get(pid) == os.getpid():
            return True
    return False
