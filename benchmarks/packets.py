"""The cost of the relay: an endpoint and its balancer compared with a direct connection and with HAProxy, in one run.

It runs in namespaces of its own and ends within TIMEOUT seconds. Its figures say nothing about AWS's.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import dataclass
from statistics import median

from benchmarks.packet_network import (
    CLIENT,
    CONSUMER,
    ENDPOINT,
    OTHER,
    PROVIDER,
    PROXIES,
    SERVER,
    PacketNetwork,
    TimedOut,
    haproxy,
    processor_time,
    program,
)
from privatelink_lab.local.network.agent_client import AgentClient, NoAgent

TIMEOUT = 170.0  # seconds for the whole run
ROUNDS = 3  # of which the median counts; the paths take turns, so that a slow moment affects all of them
CONNECTIONS = 500
REJECTIONS = 3  # how often the other consumer is accepted and rejected meanwhile
DIRECT, PLAB, PROXY = "direct", "endpoint + balancer", "haproxy, 2 hops"


@dataclass(frozen=True)
class NetworkPath:
    """One path from a client to the server: the client's VPC, and the address that it connects to."""

    vpc: str
    host: str
    what: str


PATHS = {
    DIRECT: NetworkPath(PROVIDER, SERVER, "client and server in one VPC, nothing between them"),
    PLAB: NetworkPath(CONSUMER, ENDPOINT, "client in another VPC, through plab's relay: both in one hop"),
    PROXY: NetworkPath(PROVIDER, PROXIES[0], "all in one VPC, two instances with HAProxy in TCP mode between them"),
    "haproxy, 1 hop": NetworkPath(PROVIDER, PROXIES[1], "the same with one such instance"),
}
COLUMNS = {  # figure -> head and unit of its column
    "one": ("1 stream", "MB/s"),
    "eight": ("8 streams", "MB/s"),
    "p50": ("request", "p50 us"),
    "p99": ("request", "p99 us"),
    "halves": ("in 2 writes", "p50 us"),
    "connect": ("connection", "p50 us"),
    "connects": ("connections", "per s"),
    "processor": ("processor", "s per GB"),
}
Figures = dict[str, float]


def main() -> int:
    """Measure and print; 1 if a connection was dropped or refused, or an expected event did not happen."""
    agent = AgentClient().wait()
    if isinstance(agent, NoAgent):
        print(agent.why_not)
        return 1
    try:
        network = PacketNetwork(agent, time.monotonic() + TIMEOUT)
        network.create()
        _compare(network)
        return 0 if _hold_connections(network) else 1
    except TimedOut as error:
        print(f"The measurement failed: {error}")
        return 1
    finally:
        agent.stop()


# The comparison.


def _compare(network: PacketNetwork) -> None:
    paths = dict(PATHS)
    if shutil.which("haproxy"):
        _add_proxies(network)
    else:
        print("haproxy is not installed: left out.")
        paths = {name: path for name, path in PATHS.items() if not name.startswith("haproxy")}
    rounds = [{name: _measure(network, path) for name, path in paths.items()} for _ in range(ROUNDS)]
    _print_table({name: _medians([figures[name] for figures in rounds]) for name in paths})


def _add_proxies(network: PacketNetwork) -> None:
    for address, next_address in zip(PROXIES, (PROXIES[1], SERVER), strict=True):
        network.add_instance(PROVIDER, address, haproxy(next_address))


def _measure(network: PacketNetwork, path: NetworkPath) -> Figures:
    client = network.add_instance(path.vpc, CLIENT, program("measure", path.host))
    network.wait_for_value(client, "ready")
    before = processor_time()
    network.wait_for_value(client, "one")
    used = processor_time() - before
    network.wait_for_value(client, "connects")
    figures = {name: float(network.wait_for_value(client, name)) for name in COLUMNS if name != "processor"}
    figures["processor"] = used / network.wait_for_value(client, "one_bytes") * 1e9
    network.remove_instance(client)
    return figures


def _medians(rounds: list[Figures]) -> Figures:
    return {name: median(figures[name] for figures in rounds) for name in COLUMNS}


def _print_table(found: dict[str, Figures]) -> None:
    for name in found:
        print(f"{name}: {PATHS[name].what}")
    print(f"\nMedians of {ROUNDS}; processor is that of all processes, at 1 stream.\n")
    for heads in zip(*COLUMNS.values(), strict=True):
        _print_row("", heads)
    for name, figures in found.items():
        _print_row(name, [f"{figures[key]:.2f}" if key == "processor" else f"{figures[key]:,.0f}" for key in COLUMNS])
    for name in list(found)[1:]:
        _print_ratio(found, name, DIRECT)
    for name in list(found)[2:]:
        _print_ratio(found, PLAB, name)


def _print_ratio(found: dict[str, Figures], name: str, base: str) -> None:
    _print_row(f"{name} / {base}", [f"{found[name][key] / found[base][key]:.2f}" for key in COLUMNS])


def _print_row(name: str, cells: list[str] | tuple[str, ...]) -> None:
    print(f"{name:<38}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


# Many connections at once.


def _hold_connections(network: PacketNetwork) -> bool:
    """Whether all were accepted and still echo after the other consumer was accepted and rejected."""
    holder = network.add_instance(CONSUMER, CLIENT, program("hold", ENDPOINT, str(CONNECTIONS)))
    refused = network.wait_for_value(holder, "refused")
    network.wait_for_value(holder, "echo")
    other = network.add_instance(OTHER, CLIENT, program("reconnect", ENDPOINT))
    for number in range(REJECTIONS):
        for connected in (True, False):
            network.connect_other(connected=connected)
            network.wait_for_value(other, "connection", count=2 * number + (1 if connected else 2))
    echo = network.wait_for_value(holder, "echo", count=len(network.values(holder, "echo")) + 2)
    print(f"\n{CONNECTIONS} connections at once through endpoint + balancer: {refused} refused.")
    print(f"{echo} of them still echo after another consumer was accepted and rejected {REJECTIONS} times.")
    return bool(refused == 0 and echo == CONNECTIONS)


if __name__ == "__main__":
    sys.exit(main())
