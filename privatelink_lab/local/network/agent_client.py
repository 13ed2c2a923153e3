"""The server's end of the agent: starts it, sends it plans, and keeps what it reports."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from privatelink_lab.local.network.plan import LONGEST_LINE, NetworkPlan

LOG = logging.getLogger(__name__)
READY_TIMEOUT = 20.0  # seconds until the agent is ready
RESPONSE_TIMEOUT = 5.0  # seconds until the agent responds
STOP_TIMEOUT = 5.0  # seconds until the agent has ended by itself
ENDED = "The network has ended."
LOG_LINES, LOG_PERIOD = 200, 60.0  # lines of the agent that are written in so many seconds
LONGEST_LOG_LINE = 2048  # bytes
CONSOLE_SIZE = 65536  # bytes of console output that EC2 keeps


@dataclass(frozen=True)
class InstanceEnded:
    """An instance that shut down, rebooted or crashed by itself: `how` is power-off, restart or crash."""

    instance: str
    boot: int
    how: str


class NoAgent:
    """A local AWS without packets: registered targets count as healthy, and consoles stay empty."""

    def __init__(self, why_not: str = "This local AWS was started without a network.") -> None:
        self.why_not = why_not

    def stop(self) -> None:
        """Do nothing: no process runs."""

    def apply(self, _: NetworkPlan) -> None:
        """Do nothing with the plan."""

    def health(self, _: str) -> str:
        """Healthy: there is no check that could fail."""
        return "healthy"

    def console(self, _: str) -> bytes:
        """Nothing: no instance writes."""
        return b""

    def take_ended(self) -> list[InstanceEnded]:
        """Always empty."""
        return []

    def pid_namespace(self, _: str) -> int | None:
        """Always None."""

    def has_ended(self) -> bool:
        """False: it never ran."""
        return False


class AgentClient:
    """Starts the agent, whose process is `process`. `why_not` says why no packets flow, and is '' while they do."""

    def __init__(self, log: Callable[[str], None] = LOG.warning) -> None:
        self.why_not = "The network is starting."
        self._log = log
        self._plan: NetworkPlan | None = None
        self._health: dict[str, str] = {}
        self._consoles: dict[str, bytes] = {}
        self._ended: queue.SimpleQueue[InstanceEnded] = queue.SimpleQueue()
        self._responses: dict[int, queue.SimpleQueue[int | None]] = {}
        self._numbers = itertools.count(1)
        self._is_decided = threading.Event()  # ready, refused or ended
        self._lock = threading.Lock()
        self._control, agents_end = socket.socketpair()
        command = [sys.executable, "-m", "privatelink_lab.local.network.agent_process"]
        with agents_end:
            self.process = subprocess.Popen(  # noqa: S603
                command, stdin=agents_end.fileno(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd="/"
            )
        self._thread = threading.Thread(target=self._receive, name="traffic", daemon=True)
        self._thread.start()
        self._log_thread = threading.Thread(target=self._copy_log, name="traffic log", daemon=True)
        self._log_thread.start()

    def _copy_log(self) -> None:
        """Write what the agent writes to the log, a bounded part of it: user data can make it write without end."""
        if self.process.stdout is None:
            return
        until, left, cut = 0.0, 0, 0
        while line := self.process.stdout.readline(LONGEST_LOG_LINE):
            if time.monotonic() >= until:
                if cut:
                    self._log(f"the network wrote {cut} more lines")
                until, left, cut = time.monotonic() + LOG_PERIOD, LOG_LINES, 0
            if left:
                left -= 1
                self._log(line.decode(errors="replace").rstrip("\n"))
            else:
                cut += 1
        self.process.stdout.close()

    def wait(self) -> AgentClient | NoAgent:
        """The client itself once the agent is ready, or NoAgent with the reason why the system allows none."""
        if not self._is_decided.wait(READY_TIMEOUT):
            self.why_not = f"The network was not ready after {READY_TIMEOUT:.0f} seconds."
        if not self.why_not:
            return self
        self.stop()
        return NoAgent(self.why_not)

    def stop(self) -> None:
        """End the agent and everything that runs in its network."""
        self._control.shutdown(socket.SHUT_RDWR)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_TIMEOUT)
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self._log_thread.join(STOP_TIMEOUT)
        self._control.close()

    def apply(self, plan: NetworkPlan) -> None:
        """Send the plan, which the agent then carries out; a plan that equals the last one is not sent."""
        if self.why_not or plan == self._plan:
            return
        self._plan = plan
        with self._lock:
            self._health = {key: state for key, state in self._health.items() if key in plan.checks}
            self._consoles = {key: text for key, text in self._consoles.items() if key in plan.instances}
        self._send(plan=asdict(plan))

    def health(self, check: str) -> str:
        """`healthy` or `unhealthy`; '' before the first result; `unhealthy` once the network has ended."""
        if self.why_not:
            return "unhealthy"
        with self._lock:
            return self._health.get(check, "")

    def console(self, instance: str) -> bytes:
        """The last 64 KiB that an instance wrote to its console."""
        with self._lock:
            return self._consoles.get(instance, b"")

    def take_ended(self) -> list[InstanceEnded]:
        """The instances that ended by themselves since the last call."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._ended.get_nowait())
        return found

    def pid_namespace(self, instance: str) -> int | None:
        """The inode of a running instance's PID namespace; None if it does not run or RESPONSE_TIMEOUT is over."""
        number, response = next(self._numbers), queue.SimpleQueue[int | None]()
        self._responses[number] = response
        try:
            self._send(find=instance, request=number)
            return response.get(timeout=RESPONSE_TIMEOUT)
        except queue.Empty:
            return None
        finally:
            del self._responses[number]

    def has_ended(self) -> bool:
        """Whether the agent ran and has ended: what ran in its network does not come back."""
        return self.why_not == ENDED

    def _send(self, **message: object) -> None:
        line = json.dumps(message).encode() + b"\n"
        if len(line) > LONGEST_LINE:  # the agent would end, and everything in the network with it
            self._log(f"a plan of {len(line)} bytes is too large for the network; it stays as it was")
            return
        with suppress(OSError):  # the agent has ended, which `_receive` finds out
            self._control.sendall(line)

    def _receive(self) -> None:
        try:
            with suppress(OSError), self._control.makefile("rb") as lines:
                for line in lines:
                    self._handle(json.loads(line))
        except (ValueError, LookupError):
            LOG.exception("the network agent sent a message that is not understood")
        self.why_not = self.why_not if self._is_decided.is_set() and self.why_not else ENDED
        self._is_decided.set()

    def _handle(self, message: dict[str, Any]) -> None:
        if "ready" in message or "refused" in message:
            self.why_not = message.get("refused", "")
            self._is_decided.set()
        elif "health" in message:
            with self._lock:
                self._health[message["health"]] = message["state"]
        elif "console" in message:
            with self._lock:
                before = self._consoles.get(message["console"], b"")
                self._consoles[message["console"]] = (before + base64.b64decode(message["data"]))[-CONSOLE_SIZE:]
        elif "ended" in message:
            self._ended.put(InstanceEnded(message["ended"], message["boot"], message["how"]))
        elif message["response"] in self._responses:
            self._responses[message["response"]].put(message["pid_namespace"])
