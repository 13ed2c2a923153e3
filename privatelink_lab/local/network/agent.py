"""The carrier: makes the last picture that it was shown real, piece by piece, and tells what happens.

It speaks lines of JSON over a socket. It hears `{"picture": ...}` and `{"find": machine, "ask": N}`; it says
`{"health": check, "verdict"}`, `{"console": machine, "data"}` (base64), `{"ended": machine, "boot", "how"}`
and `{"answer": N, "pid_namespace"}`. When the socket ends, so does the carrier, and with it all that it made.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
from collections.abc import Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from privatelink_lab.local.network.bridges import Network
from privatelink_lab.local.network.health_checks import HEALTHY, watch
from privatelink_lab.local.network.plan import Check, Door, Machine, Picture, Vpc
from privatelink_lab.local.network.relay import Relay
from privatelink_lab.local.network.running_instance import RunningMachine

LOG = logging.getLogger(__name__)
AGAIN = 1.0  # seconds until what could not be made is tried again
LONGEST = 1 << 26  # bytes of one line: a picture of some 100,000 things


class Carrier:
    """Everything that there is, by the ids of the picture."""

    def __init__(self, scratch: Path, writer: asyncio.StreamWriter) -> None:
        self._scratch = scratch
        self._writer = writer
        self._networks: dict[str, Network] = {}
        self._names: dict[str, Mapping[str, tuple[str, ...]]] = {}
        self._relays: dict[str, Relay] = {}
        self._machines: dict[str, RunningMachine] = {}
        self._checks: dict[str, tuple[Check, asyncio.Task[None]]] = {}
        self._verdicts: dict[str, str] = {}
        self._failed: dict[str, Exception] = {}  # of the last picture
        (scratch / "hosts").mkdir()
        (scratch / "machines").mkdir()
        (scratch / "root").mkdir()

    def tell(self, **what: object) -> None:
        """Say one line to the server."""
        self._writer.write(json.dumps(what).encode() + b"\n")

    def find(self, machine: str) -> int | None:
        """The number of a machine's PID namespace, which the host knows it by; None while it does not run."""
        running = self._machines.get(machine)
        if running is None or running.pid is None:
            return None
        return Path(f"/proc/{running.pid}/ns/pid").stat().st_ino

    async def become(self, picture: Picture) -> bool:
        """Make it real: first what goes, then what comes; whether all of it is. What cannot be made is logged once."""
        failed, self._failed = self._failed, {}
        await self._try("what goes", self._drop(picture))
        await self._try("what comes", self._make(picture))
        for what in self._failed.keys() - failed.keys():
            LOG.error("%s could not be made", what, exc_info=self._failed[what])
        return not self._failed

    async def _try(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """One thing that fails does not keep the others from being made."""
        try:
            await work
        except Exception as error:  # noqa: BLE001
            self._failed[what] = error

    # What goes.

    async def _drop(self, picture: Picture) -> None:
        await self._drop_doors(picture.doors)
        self._drop_checks(picture.checks)
        await self._drop_machines(picture.machines)
        for gone in self._networks.keys() - picture.vpcs.keys():
            self._networks.pop(gone).close()
            (self._scratch / "hosts" / gone).unlink(missing_ok=True)
            self._names.pop(gone, None)

    async def _drop_doors(self, doors: Mapping[str, Door]) -> None:
        for key in list(self._relays):
            here, there = self._relays[key].door, doors.get(key)
            if there is None or (here.vpc, here.address, here.port) != (there.vpc, there.address, there.port):
                self._relays.pop(key).close()
        await asyncio.sleep(0)  # closed sockets leave in the next round

    def _drop_checks(self, checks: Mapping[str, Check]) -> None:
        for key in list(self._checks):
            if checks.get(key) != self._checks[key][0]:
                _, task = self._checks.pop(key)
                task.cancel()
                self._verdicts.pop(key, None)

    async def _drop_machines(self, machines: Mapping[str, Machine]) -> None:
        for key, running in list(self._machines.items()):
            wanted = machines.get(key)
            if wanted is None:
                del self._machines[key]  # first: what cannot be removed must not be tried for ever
                await self._try(f"end of machine {key}", running.remove())
            elif running.boot and running.boot != wanted.boot:
                await running.stop()

    # What comes.

    async def _make(self, picture: Picture) -> None:
        for key, vpc in picture.vpcs.items():
            doors = (each for each in picture.doors.values() if each.vpc == key)
            await self._try(f"network {key}", self._be_network(key, vpc, doors))
        for key, door in picture.doors.items():
            await self._try(f"door {key}", self._be_door(key, door))
        for key, machine in picture.machines.items():
            await self._try(f"machine {key}", self._be_machine(key, machine))
        for key, check in picture.checks.items():
            if key not in self._checks and check.target.vpc in self._networks:
                self._checks[key] = check, asyncio.get_running_loop().create_task(self._watch(key, check))

    async def _be_network(self, key: str, vpc: Vpc, doors: Iterable[Door]) -> None:
        if key not in self._networks:
            network = Network()
            try:
                await network.open()
                (self._scratch / "hosts" / key).touch()
            except BaseException:
                network.close()
                raise
            self._networks[key] = network
        await self._networks[key].hold({*vpc.routers, *(f"{each.address}/32" for each in doors)})
        if self._names.get(key) != vpc.names:
            # In place: a file that is put over the old one would not be seen through the mounts of it.
            (self._scratch / "hosts" / key).write_text(hosts_file(vpc.names))
            self._names[key] = vpc.names

    async def _be_door(self, key: str, door: Door) -> None:
        if key in self._relays:
            self._relays[key].change(door)
            return
        relay = Relay(door, lambda vpc: self._networks[vpc].namespace, self._is_healthy)
        await relay.open()
        self._relays[key] = relay

    async def _be_machine(self, key: str, machine: Machine) -> None:
        if key not in self._machines:
            self._machines[key] = RunningMachine(
                self._scratch / "machines" / key,
                on_output=lambda data: self.tell(console=key, data=base64.b64encode(data).decode()),
                on_end=lambda boot, how: self.tell(ended=key, boot=boot, how=how),
            )
        running = self._machines[key]
        if machine.boot and running.boot != machine.boot:
            network = await self._networks[machine.vpc].plug(machine.address, machine.router, machine.reaches)
            hosts = self._scratch / "hosts" / machine.vpc
            running.start(machine, network, root=self._scratch / "root", hosts=hosts)

    # Health.

    def _is_healthy(self, check: str) -> bool:
        return self._verdicts.get(check) == HEALTHY

    async def _watch(self, key: str, check: Check) -> None:
        def report(verdict: str) -> None:
            self._verdicts[key] = verdict
            self.tell(health=key, verdict=verdict)

        await watch(check, self._networks[check.target.vpc].namespace, report)


def hosts_file(names: Mapping[str, tuple[str, ...]]) -> str:
    """The text of a hosts file: a name may have several addresses."""
    lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name in sorted(names) for address in names[name])]
    return "\n".join(lines) + "\n"


async def carry(scratch: Path, control: socket.socket) -> None:
    """Serve the control socket until it ends."""
    reader, writer = await asyncio.open_connection(sock=control, limit=LONGEST)
    carrier = Carrier(scratch, writer)
    carrier.tell(ready=True)
    pictures: asyncio.Queue[Picture] = asyncio.Queue()
    painter = asyncio.get_running_loop().create_task(_paint(carrier, pictures))
    while line := await reader.readline():
        heard = json.loads(line)
        if "picture" in heard:
            pictures.put_nowait(Picture.read(heard["picture"]))
        else:
            carrier.tell(answer=heard["ask"], pid_namespace=carrier.find(heard["find"]))
    painter.cancel()


async def _paint(carrier: Carrier, pictures: asyncio.Queue[Picture]) -> None:
    """One picture after the other, of those that came meanwhile only the last; and that one again until it is real."""
    picture, is_real = Picture(), True
    while True:
        with suppress(TimeoutError):
            picture = await asyncio.wait_for(pictures.get(), None if is_real else AGAIN)
        while not pictures.empty():
            picture = pictures.get_nowait()
        is_real = await carrier.become(picture)
