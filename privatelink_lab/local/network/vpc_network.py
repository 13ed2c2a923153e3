"""A VPC's network: a bridge in a network namespace of its own. The only module that imports pyroute2."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute

from privatelink_lab.local.network.system_calls import inside, new_network_namespace

_BRIDGE = "vpc"
_IGNORE_PINGS = Path("/proc/sys/net/ipv4/icmp_echo_ignore_all")  # of the namespace that is current
_numbers = itertools.count(1)


@asynccontextmanager
async def netlink(namespace: int) -> AsyncIterator[AsyncIPRoute]:
    """A netlink connection into a network namespace.

    pyroute2 creates its socket at the first use, when another namespace may be current; so it gets ours. It
    wants a datagram socket; netlink treats datagram and raw sockets alike.
    """
    with inside(namespace):
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE)
    async with AsyncIPRoute(fileno=connection.detach()) as route:
        yield route


class VpcBridge:
    """One VPC: instances are attached to the bridge, which has the addresses of routers, balancers and endpoints.

    No route leads out of it. Packets to other networks are dropped without an answer, as on AWS.
    """

    def __init__(self) -> None:
        self.namespace = new_network_namespace()
        self._bridge = 0
        self._addresses: set[str] = set()

    async def create(self) -> None:
        """Create the bridge in the namespace. Its addresses answer no ping, like AWS's."""
        self._ignore_pings()
        async with netlink(self.namespace) as route:
            await _set_up(route, "lo")
            await route.link("add", ifname=_BRIDGE, kind="bridge")
            self._bridge = await _set_up(route, _BRIDGE)
            await route.route("add", dst="0.0.0.0/0", type="blackhole")

    def _ignore_pings(self) -> None:
        with inside(self.namespace):
            _IGNORE_PINGS.write_text("1")

    async def set_addresses(self, addresses: Iterable[str]) -> None:
        """Give the bridge exactly these addresses, with prefix lengths: 10.0.0.1/24."""
        wanted = set(addresses)
        if wanted == self._addresses:
            return
        async with netlink(self.namespace) as route:
            for address in self._addresses - wanted:
                await route.addr("del", **self._on_bridge(address))
                self._addresses.discard(address)
            for address in wanted - self._addresses:
                await route.addr("replace", **self._on_bridge(address))
                self._addresses.add(address)

    def _on_bridge(self, text: str) -> dict[str, Any]:
        address, length = text.split("/")
        return {"index": self._bridge, "address": address, "prefixlen": int(length)}

    async def attach(self, address: str, router: str, vpc_cidrs: Iterable[str]) -> int:
        """The descriptor of a new network namespace with one interface on this bridge.

        `vpc_cidrs` are reached directly, everything else through the router.
        """
        namespace = new_network_namespace()
        try:
            await self._connect(namespace)
            await _configure(namespace, address, router, vpc_cidrs)
        except BaseException:
            os.close(namespace)
            raise
        return namespace

    async def _connect(self, namespace: int) -> None:
        name = f"port{next(_numbers)}"
        async with netlink(self.namespace) as route:
            await route.link("add", ifname=name, kind="veth", peer={"ifname": "eth0", "net_ns_fd": namespace})
            (index,) = await route.link_lookup(ifname=name)
            await route.link("set", index=index, master=self._bridge, state="up")

    def close(self) -> None:
        """Close the descriptor of the namespace, which ends with the last socket in it."""
        os.close(self.namespace)


_SCOPE_LINK = 253  # the scope of what is reached without a router


async def _configure(namespace: int, address: str, router: str, vpc_cidrs: Iterable[str]) -> None:
    async with netlink(namespace) as route:
        await _set_up(route, "lo")
        (index,) = await route.link_lookup(ifname="eth0")
        own, length = address.split("/")
        await route.addr("add", index=index, address=own, prefixlen=int(length))
        await route.link("set", index=index, state="up")
        for cidr in vpc_cidrs:
            await route.route("replace", dst=cidr, oif=index, scope=_SCOPE_LINK)
        await route.route("add", dst="0.0.0.0/0", gateway=router)


async def _set_up(route: AsyncIPRoute, name: str) -> int:
    """Set an interface's state to up; returns its index."""
    (index,) = await route.link_lookup(ifname=name)
    await route.link("set", index=index, state="up")
    return int(index)
