"""The agent: changes the network piece by piece until it is as the last plan says, and reports what happens there.

It speaks lines of JSON over a socket. It receives `{"plan": ...}` and `{"find": instance, "request": N}`; it sends
`{"health": check, "state"}`, `{"console": instance, "data"}` (base64), `{"ended": instance, "boot", "how"}`
and `{"response": N, "pid_namespace"}`. When the socket is closed, the agent ends and all that it created with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import socket
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from privatelink_lab.local.network.health_checks import HEALTHY, run_health_check
from privatelink_lab.local.network.instance_limits import CHECK_INTERVAL, Usage, Usages
from privatelink_lab.local.network.plan import (
    LONGEST_LINE,
    HealthCheck,
    InstancePlan,
    ListeningPort,
    NetworkPlan,
    VpcPlan,
)
from privatelink_lab.local.network.relay import Relay
from privatelink_lab.local.network.running_instance import RunningInstance
from privatelink_lab.local.network.vpc_network import VpcBridge

LOG = logging.getLogger(__name__)
RETRY = 1.0  # seconds until what failed is tried again


class Agent:
    """Everything that exists in the network, by the ids of the plan."""

    def __init__(self, scratch: Path, writer: asyncio.StreamWriter) -> None:
        self._scratch = scratch
        self._writer = writer
        self._bridges: dict[str, VpcBridge] = {}
        self._names: dict[str, Mapping[str, Sequence[str]]] = {}
        self._relays: dict[str, Relay] = {}
        self._instances: dict[str, RunningInstance] = {}
        self._checks: dict[str, tuple[HealthCheck, asyncio.Task[None]]] = {}
        self._health: dict[str, str] = {}
        self._failed: dict[str, Exception] = {}  # of the last plan
        (scratch / "hosts").mkdir()
        (scratch / "instances").mkdir()
        (scratch / "root").mkdir()

    def send(self, **message: object) -> None:
        """Send one line to the server."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    def pid_namespace(self, key: str) -> int | None:
        """The inode of an instance's PID namespace, by which the host finds it; None while it does not run."""
        instance = self._instances.get(key)
        if instance is None or instance.pid is None:
            return None
        with suppress(OSError):  # it has just ended
            return Path(f"/proc/{instance.pid}/ns/pid").stat().st_ino
        return None

    async def apply(self, plan: NetworkPlan) -> bool:
        """Remove what is no longer in the plan, then create what is; returns whether all of it succeeded.

        A failure is logged once, however often it is tried again.
        """
        failed, self._failed = self._failed, {}
        await self._try("the removal of what is not in the plan", self._remove(plan))
        await self._try("the creation of what is in the plan", self._create(plan))
        for name in self._failed.keys() - failed.keys():
            LOG.error("%s failed", name, exc_info=self._failed[name])
        return not self._failed

    async def _try(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Do a part of the work; when it fails, the other parts go on."""
        try:
            await work
        except Exception as error:  # noqa: BLE001
            self._failed[name] = error

    # Removal.

    async def _remove(self, plan: NetworkPlan) -> None:
        await self._remove_ports(plan.ports)
        self._remove_checks(plan.checks)
        await self._remove_instances(plan.instances)
        for key in self._bridges.keys() - plan.vpcs.keys():
            self._bridges.pop(key).close()
            (self._scratch / "hosts" / key).unlink(missing_ok=True)
            self._names.pop(key, None)

    async def _remove_ports(self, ports: Mapping[str, ListeningPort]) -> None:
        for key in list(self._relays):
            now, wanted = self._relays[key].port, ports.get(key)
            if wanted is None or (now.vpc, now.address, now.port) != (wanted.vpc, wanted.address, wanted.port):
                self._relays.pop(key).close()
        await asyncio.sleep(0)  # asyncio closes the sockets in its next round

    def _remove_checks(self, checks: Mapping[str, HealthCheck]) -> None:
        for key in list(self._checks):
            if checks.get(key) != self._checks[key][0]:
                _, task = self._checks.pop(key)
                task.cancel()
                self._health.pop(key, None)

    async def _remove_instances(self, instances: Mapping[str, InstancePlan]) -> None:
        for key, running in list(self._instances.items()):
            wanted = instances.get(key)
            if wanted is None:
                del self._instances[key]  # first: a removal that fails must not be tried for ever
                await self._try(f"the removal of instance {key}", running.remove())
            elif running.boot and running.boot != wanted.boot:
                await running.stop()

    # Creation and change.

    async def _create(self, plan: NetworkPlan) -> None:
        for key, vpc in plan.vpcs.items():
            ports = (port for port in plan.ports.values() if port.vpc == key)
            await self._try(f"the setup of VPC {key}", self._ensure_vpc(key, vpc, ports))
        for key, port in plan.ports.items():
            await self._try(f"the setup of port {key}", self._ensure_port(key, port))
        for key, instance in plan.instances.items():
            await self._try(f"the setup of instance {key}", self._ensure_instance(key, instance))
        for key, check in plan.checks.items():
            if key not in self._checks and check.target.vpc in self._bridges:
                self._checks[key] = check, asyncio.get_running_loop().create_task(self._check_health(key, check))

    async def _ensure_vpc(self, key: str, vpc: VpcPlan, ports: Iterable[ListeningPort]) -> None:
        if key not in self._bridges:
            bridge = VpcBridge()
            try:
                await bridge.create()
                (self._scratch / "hosts" / key).touch()
            except BaseException:
                bridge.close()
                raise
            self._bridges[key] = bridge
        await self._bridges[key].set_addresses({*vpc.routers, *(f"{port.address}/32" for port in ports)})
        if self._names.get(key) != vpc.names:
            # Written in place: the instances' mounts would still show the old file after a replace.
            lines = [f"{address} {name}\n" for name in sorted(vpc.names) for address in vpc.names[name]]
            (self._scratch / "hosts" / key).write_text("".join(["127.0.0.1 localhost\n", *lines]))
            self._names[key] = vpc.names

    async def _ensure_port(self, key: str, port: ListeningPort) -> None:
        if key in self._relays:
            self._relays[key].change(port)
            return
        relay = Relay(port, lambda vpc: self._bridges[vpc].namespace, lambda check: self._health.get(check) == HEALTHY)
        await relay.open()
        self._relays[key] = relay

    async def _ensure_instance(self, key: str, instance: InstancePlan) -> None:
        if key not in self._instances:
            self._instances[key] = RunningInstance(
                self._scratch / "instances" / key,
                on_output=lambda data: self.send(console=key, data=base64.b64encode(data).decode()),
                on_end=lambda boot, how: self.send(ended=key, boot=boot, how=how),
            )
        running = self._instances[key]
        if instance.boot and running.boot != instance.boot:
            bridge = self._bridges[instance.vpc]
            network = await bridge.attach(instance.address, instance.router, instance.vpc_cidrs)
            hosts = self._scratch / "hosts" / instance.vpc
            running.start(instance, network, root=self._scratch / "root", hosts=hosts)

    # Limits.

    async def watch_limits(self) -> None:
        """End the instances that use too much, as long as the agent runs.

        The guard stands outside of what it guards: nothing in an instance can slow it, stop it or change its limits.
        """
        usages = Usages()
        while True:
            used = usages.now()
            for key, running in list(self._instances.items()):
                namespace = self.pid_namespace(key)
                if namespace and (excess := used.get(namespace, Usage()).excess):
                    running.end(excess)
            await asyncio.sleep(CHECK_INTERVAL)

    # Health.

    async def _check_health(self, key: str, check: HealthCheck) -> None:
        def report(state: str) -> None:
            self._health[key] = state
            self.send(health=key, state=state)

        await run_health_check(check, self._bridges[check.target.vpc].namespace, report)


async def run(scratch: Path, control: socket.socket) -> None:
    """Serve the control socket until it is closed."""
    reader, writer = await asyncio.open_connection(sock=control, limit=LONGEST_LINE)
    agent = Agent(scratch, writer)
    agent.send(ready=True)
    plans: asyncio.Queue[NetworkPlan] = asyncio.Queue()
    tasks = [asyncio.create_task(_apply_plans(agent, plans)), asyncio.create_task(agent.watch_limits())]
    while line := await reader.readline():
        message = json.loads(line)
        if "plan" in message:
            plans.put_nowait(NetworkPlan.read(message["plan"]))
        else:
            agent.send(response=message["request"], pid_namespace=agent.pid_namespace(message["find"]))
    for task in tasks:
        task.cancel()


async def _apply_plans(agent: Agent, plans: asyncio.Queue[NetworkPlan]) -> None:
    """Apply the newest plan, leave out older ones that came meanwhile, and try again after a failure."""
    plan, is_done = NetworkPlan(), True
    while True:
        with suppress(TimeoutError):
            plan = await asyncio.wait_for(plans.get(), None if is_done else RETRY)
        while not plans.empty():
            plan = plans.get_nowait()
        is_done = await agent.apply(plan)
