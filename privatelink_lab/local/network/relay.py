"""What a balancer or an endpoint does with a flow: accept it in one VPC, and pass it on to a target in another.

No route joins the two VPCs. A flow may stay half-closed without limit, and its last bytes arrive.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, collapse_addresses
from typing import cast

from privatelink_lab.local.network.plan import ListeningPort, Target
from privatelink_lab.local.network.system_calls import admit_only, inside

BACKLOG = 4096
MOST_FLOWS = 1000  # open ones of one port
CONNECT_TIMEOUT = 10.0  # seconds until a target has answered
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close drops unsent bytes and sends a reset

Namespace = Callable[[str], int]  # VPC id -> descriptor of its network


class Relay:
    """The relay of one listening port: a listener, and a packet filter for the networks that it admits."""

    def __init__(self, port: ListeningPort, namespace: Namespace, healthy: Callable[[str], bool]) -> None:
        self._namespace = namespace
        self._healthy = healthy
        self._turn = itertools.count()
        self.flows: set[ClientSide] = set()  # open ones
        self._server: asyncio.Server
        self._listener = _socket(namespace(port.vpc))
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((port.address, port.port))
            self._filter(port)
        except OSError:
            self._listener.close()  # else the address is still in use when this is tried again
            raise
        self.port = port

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: ClientSide(self), sock=self._listener, backlog=BACKLOG)

    def change(self, port: ListeningPort) -> None:
        """Filter and relay as `port` says from now on; open flows stay unless it is no longer connected.

        Open flows survive a change of security group rules, as tracked connections do on AWS.
        """
        if _filter_of(port) != _filter_of(self.port):
            self._filter(port)
        self.port = port
        if not port.connected:
            self._reset_flows()

    def close(self) -> None:
        """Stop listening, and reset open flows."""
        self._server.close()
        self._reset_flows()

    async def connect(self, target_side: asyncio.Protocol) -> None:
        """Connect to the next target; raises OSError or TimeoutError when it does not answer."""
        if not self.port.connected:  # the client was waiting in the listener's queue during a reject
            raise ConnectionRefusedError
        target = self._next_target()
        connection = _socket(self._namespace(target.vpc))
        try:
            connection.bind((target.source, 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await loop.sock_connect(connection, (target.address, target.port))
                await loop.create_connection(lambda: target_side, sock=connection)
        except BaseException:
            connection.close()
            raise

    def _next_target(self) -> Target:
        """The next healthy target in turn; the next of all targets if none is healthy, since a balancer fails open."""
        healthy = [target for target in self.port.targets if self._healthy(target.check)]
        targets: Sequence[Target] = healthy or self.port.targets
        if not targets:
            raise ConnectionRefusedError
        return targets[next(self._turn) % len(targets)]

    def _filter(self, port: ListeningPort) -> None:
        admit_only(self._listener, collapse_addresses(map(IPv4Network, _filter_of(port))))

    def _reset_flows(self) -> None:
        for flow in list(self.flows):
            flow.reset()


def _filter_of(port: ListeningPort) -> Sequence[str]:
    """The networks that a port admits; none while it is not connected or has no target."""
    return port.allowed_cidrs if port.connected and port.targets else ()


def _socket(namespace: int) -> socket.socket:
    """A TCP socket in a network namespace; asyncio sets TCP_NODELAY only if the protocol is given."""
    with inside(namespace):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)


class FlowSide(asyncio.Protocol):
    """One side of a flow: bytes that arrive here are sent by the `other` side."""

    def __init__(self) -> None:
        self.other: FlowSide | None = None
        self.transport: asyncio.Transport | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Send them from the other side."""
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the end on, and keep the other direction open until it has ended too."""
        self.ended = True
        if self.other and self.other.transport:
            with suppress(OSError, RuntimeError):  # it has just been closed
                self.other.transport.write_eof()
            if self.other.ended:
                self.close()
                self.other.close()
        return True

    def pause_writing(self) -> None:
        """Stop reading on the other side: the buffer of this one is full."""
        if self.other and self.other.transport:
            with suppress(RuntimeError):
                self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on at the other side: the buffer of this one has room again."""
        if self.other and self.other.transport and not self.other.ended:
            with suppress(RuntimeError):
                self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """After a reset the other side is reset too; otherwise it sends what it has and closes."""
        if self.other is None:
            return
        if error is None:
            self.other.close()
        else:
            self.other.reset()

    def close(self) -> None:
        """Send what is buffered, then close."""
        if self.transport:
            self.transport.close()

    def reset(self) -> None:
        """Send a reset and close now; buffered bytes are lost."""
        if self.transport and not self.transport.is_closing():
            connection: socket.socket | None = self.transport.get_extra_info("socket")
            if connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


class ClientSide(FlowSide):
    """The client's side of a flow; it opens the connection to the target."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._connecting: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to connect to a target."""
        super().connection_made(transport)
        if len(self._relay.flows) >= MOST_FLOWS:  # each takes two of the files that all ports share
            self.reset()
            return
        self._relay.flows.add(self)
        self._connecting = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        """Send them from the other side. Until the target has answered they are kept, and reading is paused.

        Python before 3.11.4 undoes a pause in `connection_made` at once, so the pause is here.
        """
        if self.other is None and self.transport:
            self._early += data
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """End the flow as on either side, and stop connecting to the target."""
        self._relay.flows.discard(self)
        if self._connecting:
            self._connecting.cancel()
        super().connection_lost(error)

    def reset(self) -> None:
        """Reset both sides."""
        super().reset()
        if self.other:
            self.other.reset()

    async def _connect(self) -> None:
        target_side = FlowSide()
        target_side.other = self
        try:
            await self._relay.connect(target_side)
        except (OSError, TimeoutError, LookupError):  # LookupError: the target's VPC has just been removed
            return
        finally:
            if target_side.transport is None:
                self.reset()
        self.other = target_side
        if self.transport is None or self.transport.is_closing() or not self._relay.port.connected:
            self.reset()
            target_side.reset()
            return
        super().data_received(self._early)
        self._early = b""
        if self.ended:
            self.eof_received()
        else:
            self.transport.resume_reading()
