"""A VPC's network: a bridge in a namespace of its own. The only module that knows pyroute2."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from pyroute2 import AsyncIPRoute

from privatelink_lab.local.network.system_calls import inside, new_network

_BRIDGE = "vpc"
_numbers = itertools.count(1)


@asynccontextmanager
async def netlink(namespace: int) -> AsyncIterator[AsyncIPRoute]:
    """A netlink connection into a network namespace.

    pyroute2 makes its socket when it is first used, which may be elsewhere; so it gets ours. It
    wants a datagram socket, which netlink gives as well as a raw one.
    """
    with inside(namespace):
        there = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE)
    async with AsyncIPRoute(fileno=there.detach()) as route:
        yield route


class Network:
    """One VPC: its machines hang on the bridge, and the bridge has the addresses of routers, balancers, endpoints.

    No route leads out of it. What is sent elsewhere is dropped without an answer, as on AWS.
    """

    def __init__(self) -> None:
        self.namespace = new_network()
        self._bridge = 0
        self._addresses: set[str] = set()

    async def open(self) -> None:
        """Make the bridge."""
        async with netlink(self.namespace) as route:
            await _switch_on(route, "lo")
            await route.link("add", ifname=_BRIDGE, kind="bridge")
            self._bridge = await _switch_on(route, _BRIDGE)
            await route.route("add", dst="0.0.0.0/0", type="blackhole")

    async def hold(self, addresses: Iterable[str]) -> None:
        """Have exactly these addresses (with their lengths: 10.0.0.1/24) on the bridge."""
        wanted = set(addresses)
        if wanted == self._addresses:
            return
        async with netlink(self.namespace) as route:
            for each in self._addresses - wanted:
                await route.addr("del", **self._at(each))
                self._addresses.discard(each)
            for each in wanted - self._addresses:
                await route.addr("replace", **self._at(each))
                self._addresses.add(each)

    def _at(self, text: str) -> dict[str, Any]:
        address, length = text.split("/")
        return {"index": self._bridge, "address": address, "prefixlen": int(length)}

    async def plug(self, address: str, router: str, reaches: Iterable[str]) -> int:
        """A new namespace with one interface on this network; returns its descriptor.

        `reaches` are the networks that are next door, everything else goes by way of the router.
        """
        machine = new_network()
        try:
            await self._connect(machine)
            await _settle_in(machine, address, router, reaches)
        except BaseException:
            os.close(machine)
            raise
        return machine

    async def _connect(self, machine: int) -> None:
        name = f"port{next(_numbers)}"
        async with netlink(self.namespace) as route:
            await route.link("add", ifname=name, kind="veth", peer={"ifname": "eth0", "net_ns_fd": machine})
            (port,) = await route.link_lookup(ifname=name)
            await route.link("set", index=port, master=self._bridge, state="up")

    def close(self) -> None:
        """Let go of the namespace; it ends with the last socket in it."""
        os.close(self.namespace)


_LINK = 253  # the scope of what needs no router


async def _settle_in(machine: int, address: str, router: str, reaches: Iterable[str]) -> None:
    async with netlink(machine) as route:
        await _switch_on(route, "lo")
        (port,) = await route.link_lookup(ifname="eth0")
        own, length = address.split("/")
        await route.addr("add", index=port, address=own, prefixlen=int(length))
        await route.link("set", index=port, state="up")
        for network in reaches:
            await route.route("replace", dst=network, oif=port, scope=_LINK)
        await route.route("add", dst="0.0.0.0/0", gateway=router)


async def _switch_on(route: AsyncIPRoute, name: str) -> int:
    (index,) = await route.link_lookup(ifname=name)
    await route.link("set", index=index, state="up")
    return int(index)
