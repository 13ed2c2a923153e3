"""What a balancer or an endpoint does with a flow: accept it in one network, go on with it in another.

No route joins the two. A flow may be half-closed for as long as it likes, and its last bytes arrive.
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

from privatelink_lab.local.network.plan import Door, Target
from privatelink_lab.local.network.system_calls import admit_only, inside

BACKLOG = 4096
CONNECT = 10.0  # seconds that a target may take to answer
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: a close throws away what is unsent and says so

Namespace = Callable[[str], int]  # VPC id -> descriptor of its network


class Relay:
    """One door at work: its listener lives from its first moment to its last, and a packet filter says who is heard."""

    def __init__(self, door: Door, namespace: Namespace, healthy: Callable[[str], bool]) -> None:
        self._namespace = namespace
        self._healthy = healthy
        self._turn = itertools.count()
        self._flows: set[Flow] = set()
        self._server: asyncio.Server
        self._listener = _socket(namespace(door.vpc))
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind((door.address, door.port))
            self._filter(door)
        except OSError:
            self._listener.close()  # or the address would be taken when this is tried again
            raise
        self.door = door

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Flow(self), sock=self._listener, backlog=BACKLOG)

    def change(self, door: Door) -> None:
        """Let in, and send on, as `door` says now; flows stay, unless nobody is connected any more.

        Established flows outlive a change of security group rules, as tracked connections do on AWS.
        """
        before = self.door
        if (before.admits, before.connected, not before.targets) != (door.admits, door.connected, not door.targets):
            self._filter(door)
        self.door = door
        if not door.connected:
            self._cut()

    def close(self) -> None:
        """Stop listening, and cut what flows."""
        self._server.close()
        self._cut()

    def begin(self, flow: Flow) -> None:
        """A client is there."""
        self._flows.add(flow)

    def end(self, flow: Flow) -> None:
        """It is gone."""
        self._flows.discard(flow)

    async def connect(self, onwards: asyncio.Protocol) -> None:
        """Go on to the next target; raises OSError or TimeoutError when it does not answer."""
        if not self.door.connected:  # it knocked before a reject and was not answered yet
            raise ConnectionRefusedError
        target = self._next()
        there = _socket(self._namespace(target.vpc))
        try:
            there.bind((target.source, 0))
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(CONNECT):
                await loop.sock_connect(there, (target.address, target.port))
                await loop.create_connection(lambda: onwards, sock=there)
        except BaseException:
            there.close()
            raise

    def _next(self) -> Target:
        """One of the healthy targets in turn; of all of them when none is, as a balancer does that fails open."""
        well = [each for each in self.door.targets if self._healthy(each.check)]
        targets: Sequence[Target] = well or self.door.targets
        if not targets:
            raise ConnectionRefusedError
        return targets[next(self._turn) % len(targets)]

    def _filter(self, door: Door) -> None:
        opened = door.connected and door.targets
        networks = (IPv4Network(each) for each in door.admits) if opened else ()
        admit_only(self._listener, collapse_addresses(networks))

    def _cut(self) -> None:
        for flow in list(self._flows):
            flow.reset()


def _socket(namespace: int) -> socket.socket:
    """A TCP socket that lives in a network; asyncio sets TCP_NODELAY only where the protocol is said."""
    with inside(namespace):
        return socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)


class Side(asyncio.Protocol):
    """One end of a flow: what arrives here goes out at the `other` end."""

    def __init__(self) -> None:
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport; bytes wait until the other end is there."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass it on."""
        if self.other and self.other.transport:
            self.other.transport.write(data)

    def eof_received(self) -> bool:
        """Pass the end on, and keep the way back open until that has ended too."""
        self.ended = True
        if self.other and self.other.transport:
            with suppress(OSError, RuntimeError):  # it has just gone
                self.other.transport.write_eof()
            if self.other.ended:
                self.close()
                self.other.close()
        return True

    def pause_writing(self) -> None:
        """Our buffer is full: the other end reads no more."""
        if self.other and self.other.transport:
            with suppress(RuntimeError):
                self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        """Our buffer has room: the other end reads on."""
        if self.other and self.other.transport and not self.other.ended:
            with suppress(RuntimeError):
                self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """A reset is passed on as one; otherwise the other end sends what it has and closes."""
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
        """Close now and say so; what is buffered is lost."""
        if self.transport and not self.transport.is_closing():
            found: socket.socket | None = self.transport.get_extra_info("socket")
            if found:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()


class Flow(Side):
    """The client's end of a flow; it owns the way on to the target."""

    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay
        self._onwards: asyncio.Task[None] | None = None
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Go on to a target."""
        super().connection_made(transport)
        self._relay.begin(self)
        self._onwards = asyncio.get_running_loop().create_task(self._connect())

    def data_received(self, data: bytes) -> None:
        """Pass it on; what comes before the target has answered waits, and then no more is read.

        A pause in `connection_made` would be forgotten at once by Python before 3.11.4.
        """
        if self.other is None and self.transport:
            self._early += data
            self.transport.pause_reading()
        else:
            super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        """As either end; and the target is no longer waited for."""
        self._relay.end(self)
        if self._onwards:
            self._onwards.cancel()
        super().connection_lost(error)

    def reset(self) -> None:
        """Both ends at once."""
        super().reset()
        if self.other:
            self.other.reset()

    async def _connect(self) -> None:
        onwards = Side()
        onwards.other = self
        try:
            await self._relay.connect(onwards)
        except (OSError, TimeoutError, LookupError):  # the last: the target's VPC has just gone
            return
        finally:
            if onwards.transport is None:
                self.reset()
        self.other = onwards
        if self.transport is None or self.transport.is_closing() or not self._relay.door.connected:
            self.reset()
            onwards.reset()
            return
        super().data_received(self._early)
        self._early = b""
        if self.ended:
            self.eof_received()
        else:
            self.transport.resume_reading()
