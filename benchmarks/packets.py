"""What the relay costs: an endpoint and its balancer beside a direct connection and beside HAProxy, in one run.

Everything happens in namespaces of its own, and is over within LONGEST seconds. Says nothing about AWS's figures.
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
    HOPS,
    OTHER,
    PROVIDER,
    SERVER,
    Stage,
    Stuck,
    hop,
    processor,
    program,
)
from privatelink_lab.local.network.agent_client import NoTraffic, Traffic

LONGEST = 170.0  # seconds of the whole run
ROUNDS = 3  # of which the median counts; the ways take turns, so that a slow moment hits all of them
HELD = 500
TURNS = 3  # how often the other consumer is accepted and rejected meanwhile
DIRECT, PLAB, PROXY = "direct", "endpoint + balancer", "haproxy, 2 hops"


@dataclass(frozen=True)
class Way:
    """One way from a client to the server: where the client stands, and the address that it speaks to."""

    vpc: str
    host: str
    what: str


WAYS = {
    DIRECT: Way(PROVIDER, SERVER, "client and server in one VPC, nothing between them"),
    PLAB: Way(CONSUMER, ENDPOINT, "client in another VPC, through plab's relay: both in one hop"),
    PROXY: Way(PROVIDER, HOPS[0], "all in one VPC, two machines with HAProxy in TCP mode between them"),
    "haproxy, 1 hop": Way(PROVIDER, HOPS[1], "the same with one such machine"),
}
COLUMNS = {  # what a client or we measure -> its head and its unit
    "one": ("1 stream", "MB/s"),
    "eight": ("8 streams", "MB/s"),
    "p50": ("request", "p50 us"),
    "p99": ("request", "p99 us"),
    "halves": ("in 2 writes", "p50 us"),
    "visit": ("connection", "p50 us"),
    "visits": ("connections", "per s"),
    "processor": ("processor", "s per GB"),
}
Figures = dict[str, float]


def main() -> int:
    """Measure and print; 1 when a connection was dropped or refused, or something never came."""
    traffic = Traffic().wait()
    if isinstance(traffic, NoTraffic):
        print(traffic.why_not)
        return 1
    try:
        stage = Stage(traffic, time.monotonic() + LONGEST)
        stage.set()
        _compare(stage)
        return 0 if _hold(stage) else 1
    except Stuck as error:
        print(f"It came to nothing: {error}")
        return 1
    finally:
        traffic.stop()


# The comparison.


def _compare(stage: Stage) -> None:
    ways = dict(WAYS)
    if shutil.which("haproxy"):
        _enter_hops(stage)
    else:
        print("haproxy is not installed: left out.")
        ways = {name: way for name, way in WAYS.items() if not name.startswith("haproxy")}
    rounds = [{name: _measure(stage, way) for name, way in ways.items()} for _ in range(ROUNDS)]
    _print_table({name: _middle([each[name] for each in rounds]) for name in ways})


def _enter_hops(stage: Stage) -> None:
    for here, onwards in zip(HOPS, (HOPS[1], SERVER), strict=True):
        stage.enter(PROVIDER, here, hop(onwards))


def _measure(stage: Stage, way: Way) -> Figures:
    client = stage.enter(way.vpc, CLIENT, program("measure", way.host))
    stage.hear(client, "ready")
    before = processor()
    stage.hear(client, "one")
    spent = processor() - before
    stage.hear(client, "visits")
    figures = {each: float(stage.hear(client, each)) for each in COLUMNS if each != "processor"}
    figures["processor"] = spent / stage.hear(client, "one_bytes") * 1e9
    stage.leave(client)
    return figures


def _middle(rounds: list[Figures]) -> Figures:
    return {key: median(each[key] for each in rounds) for key in COLUMNS}


def _print_table(found: dict[str, Figures]) -> None:
    for name in found:
        print(f"{name}: {WAYS[name].what}")
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
    print(f"{name:<38}" + "".join(f"{each:>12}" for each in cells), flush=True)


# Many connections at once.


def _hold(stage: Stage) -> bool:
    """Whether all of them were taken and still echo after the other consumer came and went."""
    holder = stage.enter(CONSUMER, CLIENT, program("hold", ENDPOINT, str(HELD)))
    refused = stage.hear(holder, "refused")
    stage.hear(holder, "echo")
    other = stage.enter(OTHER, CLIENT, program("knock", ENDPOINT))
    for turn in range(TURNS):
        for connected in (True, False):
            stage.connect_other(connected=connected)
            stage.hear(other, "came", times=2 * turn + (1 if connected else 2))
    echo = stage.hear(holder, "echo", times=len(stage.said(holder, "echo")) + 2)
    print(f"\n{HELD} connections at once through endpoint + balancer: {refused} refused.")
    print(f"{echo} of them still echo after another consumer was accepted and rejected {TURNS} times.")
    return bool(refused == 0 and echo == HELD)


if __name__ == "__main__":
    sys.exit(main())
