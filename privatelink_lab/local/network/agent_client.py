"""The server's end of the network: start the carrier, show it pictures, and remember what it tells."""

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
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from privatelink_lab.local.network.plan import Picture

LOG = logging.getLogger(__name__)
READY = 20.0  # seconds that the carrier may take to be ready
ANSWER = 5.0  # seconds that it may take to answer
PARTING = 5.0  # seconds that it may take to end
ENDED = "The network has ended."
KEPT = 65536  # bytes of console output that EC2 keeps


@dataclass(frozen=True)
class Ended:
    """A machine that ended by itself: `how` is power-off, restart or crash."""

    machine: str
    boot: int
    how: str


class NoTraffic:
    """A local AWS without packets: what is registered counts as well, and consoles stay empty."""

    def __init__(self, why_not: str = "This local AWS was started without a network.") -> None:
        self.why_not = why_not

    def stop(self) -> None:
        """Nothing runs."""

    def show(self, _: Picture) -> None:
        """Nothing comes of it."""

    def health(self, _: str) -> str:
        """Healthy: nobody can say otherwise."""
        return "healthy"

    def console(self, _: str) -> bytes:
        """Nothing: nobody writes."""
        return b""

    def ended(self) -> list[Ended]:
        """None ever."""
        return []

    def pid_namespace(self, _: str) -> int | None:
        """None ever."""

    def has_ended(self) -> bool:
        """It never was there."""
        return False


class Traffic:
    """The packets of one local AWS. `why_not` says why there are none, '' while there are; `process` carries them."""

    def __init__(self) -> None:
        self.why_not = "The network is starting."
        self._shown: Picture | None = None
        self._health: dict[str, str] = {}
        self._consoles: dict[str, bytes] = {}
        self._ended: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue[int | None]] = {}
        self._numbers = itertools.count(1)
        self._known = threading.Event()
        self._lock = threading.Lock()
        self._here, there = socket.socketpair()
        with there:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "privatelink_lab.local.network.agent_process"],
                stdin=there.fileno(),
                stdout=2,
                cwd="/",
            )
        self._thread = threading.Thread(target=self._listen, name="traffic", daemon=True)
        self._thread.start()

    def wait(self) -> Traffic | NoTraffic:
        """Itself once it is ready, or NoTraffic with the reason where the system allows none."""
        if not self._known.wait(READY):
            self.why_not = f"The network was not ready after {READY:.0f} seconds."
        if not self.why_not:
            return self
        self.stop()
        return NoTraffic(self.why_not)

    def stop(self) -> None:
        """End the carrier and everything in it."""
        self._here.shutdown(socket.SHUT_RDWR)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(PARTING)
        self.process.kill()
        self.process.wait()
        self._thread.join()
        self._here.close()

    def show(self, picture: Picture) -> None:
        """Let it be so, soon; nothing is sent when nothing has changed."""
        if self.why_not or picture == self._shown:
            return
        self._shown = picture
        with self._lock:
            self._health = {key: each for key, each in self._health.items() if key in picture.checks}
            self._consoles = {key: each for key, each in self._consoles.items() if key in picture.machines}
        self._send(picture=picture.as_json())

    def health(self, check: str) -> str:
        """`healthy` or `unhealthy`; '' before the first verdict. Nothing is well once the network has ended."""
        if self.why_not:
            return "unhealthy"
        with self._lock:
            return self._health.get(check, "")

    def console(self, machine: str) -> bytes:
        """The last 64 KiB that a machine wrote to its console."""
        with self._lock:
            return self._consoles.get(machine, b"")

    def ended(self) -> list[Ended]:
        """The machines that ended by themselves since the last call."""
        found = []
        with suppress(queue.Empty):
            while True:
                found.append(self._ended.get_nowait())
        return found

    def pid_namespace(self, machine: str) -> int | None:
        """The number of a running machine's PID namespace; None when there is none, or no answer within ANSWER."""
        number, answer = next(self._numbers), queue.SimpleQueue[int | None]()
        self._answers[number] = answer
        try:
            self._send(find=machine, ask=number)
            return answer.get(timeout=ANSWER)
        except queue.Empty:
            return None
        finally:
            del self._answers[number]

    def has_ended(self) -> bool:
        """Whether it was there, and is no more: nothing that ran in it will come back."""
        return self.why_not == ENDED

    def _send(self, **what: object) -> None:
        with suppress(OSError):  # it has ended, which `_listen` says
            self._here.sendall(json.dumps(what).encode() + b"\n")

    def _listen(self) -> None:
        try:
            with suppress(OSError), self._here.makefile("rb") as lines:
                for line in lines:
                    self._hear(json.loads(line))
        except (ValueError, LookupError):
            LOG.exception("the network said what nobody understands")
        self.why_not = self.why_not if self._known.is_set() and self.why_not else ENDED
        self._known.set()

    def _hear(self, heard: dict[str, Any]) -> None:
        if "ready" in heard or "refused" in heard:
            self.why_not = heard.get("refused", "")
            self._known.set()
        elif "health" in heard:
            with self._lock:
                self._health[heard["health"]] = heard["verdict"]
        elif "console" in heard:
            with self._lock:
                before = self._consoles.get(heard["console"], b"")
                self._consoles[heard["console"]] = (before + base64.b64decode(heard["data"]))[-KEPT:]
        elif "ended" in heard:
            self._ended.put(Ended(heard["ended"], heard["boot"], heard["how"]))
        elif heard["answer"] in self._answers:
            self._answers[heard["answer"]].put(heard["pid_namespace"])
