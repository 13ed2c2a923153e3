"""What an instance can make the network write, keep open or wait for is bounded."""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from types import SimpleNamespace
from typing import Any

from support.timeouts import PATIENCE

from privatelink_lab.local.network import agent_client, health_checks, relay
from privatelink_lab.local.network.agent_client import AgentClient


def test_the_log_of_the_network_is_bounded() -> None:
    """User data that makes the agent complain without end fills no disk: so many lines a minute, and a count."""
    client, written = object.__new__(AgentClient), list[str]()
    client._log = written.append
    lines = b"accept: too many open files\n" * 5000 + b"x" * 100_000 + b"\n"
    client.process = SimpleNamespace(stdout=io.BytesIO(lines))  # type: ignore[assignment]
    client._copy_log()
    assert len(written) <= agent_client.LOG_LINES
    assert all(len(line) <= agent_client.LONGEST_LOG_LINE for line in written)


def test_a_health_check_reads_one_line_at_most() -> None:
    """A target that sends without a line end is unhealthy at once, and the other checks go on meanwhile."""
    ours, theirs = socket.socketpair()
    ended = threading.Event()

    def flood() -> None:
        with theirs:
            while not ended.is_set():
                try:
                    theirs.send(b"x" * 10)
                except OSError:
                    return

    sender = threading.Thread(target=flood)
    sender.start()
    try:
        with _Named(ours) as target:
            assert asyncio.run(_check(target)) is False
    finally:
        ended.set()
        sender.join()


class _Named(socket.socket):
    """A socket pair's end that has a peer's address, as a TCP connection has."""

    def __init__(self, of: socket.socket) -> None:
        super().__init__(of.family, of.type, of.proto, of.detach())
        self.setblocking(False)

    def getpeername(self) -> tuple[str, int]:
        """An address."""
        return ("10.0.0.1", 80)


async def _check(connection: socket.socket) -> bool:
    async with asyncio.timeout(PATIENCE):
        return await health_checks._answers_http(connection, "/", "200")


def test_a_port_passes_on_only_so_many_flows() -> None:
    """One client with thousands of connections leaves files for the other ports."""
    resets: list[str] = []
    of: Any = SimpleNamespace(flows=set(range(relay.MOST_FLOWS)))
    side = relay.ClientSide(of)
    side.reset = lambda: resets.append("reset")  # type: ignore[method-assign]
    transport: Any = SimpleNamespace()
    side.connection_made(transport)
    assert (resets, side in of.flows) == (["reset"], False)
