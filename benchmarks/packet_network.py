"""Two consumers and a provider, all with the same addresses, and who stands in them while packets are measured."""

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

from privatelink_lab.local.network.agent_client import Traffic
from privatelink_lab.local.network.plan import Check, Door, Machine, Picture, Target, Vpc

PROVIDER, CONSUMER, OTHER = "provider", "consumer", "other"
NODE, ENDPOINT, SERVER, HOPS, CLIENT = "10.0.0.4", "10.0.0.5", "10.0.0.10", ("10.0.0.11", "10.0.0.12"), "10.0.0.20"
PORT = 80
LOOK = 0.02  # seconds between two looks at a console
TICK = os.sysconf("SC_CLK_TCK")
LOAD = Path(__file__).with_name("instance_programs.py").read_text(encoding="utf-8")
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
  server next {onwards}:{port}
"""


class Stuck(Exception):
    """What was waited for did not happen."""


@dataclass
class Stage:
    """What is there now; `end` is when the whole run has to be over, in time.monotonic's seconds."""

    traffic: Traffic
    end: float
    machines: dict[str, Machine] = field(default_factory=dict)
    doors: dict[str, Door] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def set(self) -> None:
        """A server behind a balancer's node, an endpoint that leads to it, and another consumer's that does not yet."""
        target = Target("check", PROVIDER, NODE, SERVER, PORT)
        self.doors["node"] = Door(PROVIDER, NODE, PORT, ("0.0.0.0/0",), connected=True, targets=(target,))
        self.doors["endpoint"] = replace(self.doors["node"], vpc=CONSUMER, address=ENDPOINT)
        self.doors["other"] = replace(self.doors["endpoint"], vpc=OTHER, connected=False)
        self.enter(PROVIDER, SERVER, program("serve"))
        self.until(lambda: self.traffic.health("check") == "healthy", "healthy server")

    def connect_other(self, *, connected: bool) -> None:
        """Accept the other consumer's connection, or reject it."""
        self.doors["other"] = replace(self.doors["other"], connected=connected)
        self.show()

    def enter(self, vpc: str, address: str, script: str) -> str:
        """The name of a new machine that runs this."""
        name = f"i-{next(self._numbers)}"
        data = base64.b64encode(script.encode()).decode()
        host = f"ip-{address.replace('.', '-')}"
        self.machines[name] = Machine(vpc, f"{address}/24", "10.0.0.1", ("10.0.0.0/16",), host, 1, data)
        self.show()
        return name

    def leave(self, name: str) -> None:
        """The machine is no longer needed; its address is free once that has come true."""
        del self.machines[name]
        self.show()
        self.until(lambda: self.traffic.pid_namespace(name) is None, f"end of {name}")

    def show(self) -> None:
        """Let it be so."""
        vpcs = {key: Vpc(("10.0.0.1/24",)) for key in (PROVIDER, CONSUMER, OTHER)}
        check = Check(self.doors["node"].targets[0], interval=1, timeout=1, healthy=1, unhealthy=2)
        self.traffic.show(Picture(vpcs, dict(self.machines), dict(self.doors), {"check": check}))

    def said(self, name: str, word: str) -> list[Any]:
        """What a machine has said about this, in order."""
        lines = self.traffic.console(name).decode().splitlines(keepends=True)
        said = [json.loads(each) for each in lines if each.startswith("{") and each.endswith("}\n")]
        return [each[word] for each in said if word in each]

    def hear(self, name: str, word: str, times: int = 1) -> Any:
        """The newest that a machine says about this, once it has said so many; raises Stuck with what it said."""
        try:
            self.until(lambda: len(self.said(name, word)) >= times, word)
        except Stuck as error:
            raise Stuck(f"{error} from {name}: {self.traffic.console(name).decode()[-2000:]}") from None
        return self.said(name, word)[-1]

    def until(self, look: Callable[[], object], what: str, within: float = 30.0) -> None:
        """Return as soon as `look` is true; other processes are at work, so this looks again and again."""
        end = min(self.end, time.monotonic() + within)
        while not look():
            if time.monotonic() > end:
                raise Stuck(f"no {what}")
            time.sleep(LOOK)


def program(*words: str) -> str:
    """User data that runs `load.py` with these words, and says what it says on the console."""
    return _script("instance_programs.py", LOAD, f"python3 /tmp/load.py {' '.join(words)}")


def hop(onwards: str) -> str:
    """User data of HAProxy in TCP mode that sends everything on to an address."""
    return _script("hop.cfg", HAPROXY.format(port=PORT, onwards=onwards), "haproxy -db -f /tmp/hop.cfg")


def _script(file: str, text: str, command: str) -> str:
    return f"#!/bin/bash\ncat >/tmp/{file} <<'END'\n{text}\nEND\n{command} >/dev/console 2>&1 &\n"


def processor() -> float:
    """Seconds of processor time that all processes which this one has started have used so far."""
    spent, parents = {}, {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = each.read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        number = int(each.parent.name)
        parents[number], spent[number] = int(words[1]), (int(words[11]) + int(words[12])) / TICK
    return sum(seconds for number, seconds in spent.items() if _is_ours(number, parents))


def _is_ours(number: int, parents: dict[int, int]) -> bool:
    while number := parents.get(number, 0):
        if parents.get(number) == os.getpid():
            return True
    return False
