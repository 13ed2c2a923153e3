"""The agent and its parts when something fails: nothing is lost or half done, and it is tried again."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from support.timeouts import PATIENCE

from privatelink_lab.local.network import agent, agent_client, health_checks, relay
from privatelink_lab.local.network.agent import Agent
from privatelink_lab.local.network.plan import HealthCheck, ListeningPort, NetworkPlan, Target, VpcPlan

TARGET = Target("check", "vpc-1", "127.0.0.1", "127.0.0.1", 80)
PLAN = NetworkPlan({"vpc-1": VpcPlan(("10.0.0.1/24",), {"name": ("10.0.0.4",)})})


class FailingBridge:
    """A bridge that cannot be created at first."""

    failures = 2

    def __init__(self) -> None:
        self.namespace, self.is_closed = 0, False

    async def create(self) -> None:
        """Fail while there are failures left."""
        if FailingBridge.failures:
            FailingBridge.failures -= 1
            raise OSError(errno.ENOMEM, "no memory")

    async def set_addresses(self, _: object) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Remember that it is closed."""
        self.is_closed = True


class WatchedAgent(Agent):
    """An agent that sets an event when a plan has been carried out."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch, cast("asyncio.StreamWriter", None))
        self.is_done = asyncio.Event()

    async def apply(self, plan: NetworkPlan) -> bool:
        """Apply the plan, and set the event."""
        if await super().apply(plan):
            self.is_done.set()
        return self.is_done.is_set()


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WatchedAgent:
    """An agent whose bridges fail twice."""
    monkeypatch.setattr(FailingBridge, "failures", 2)
    monkeypatch.setattr(agent, "VpcBridge", FailingBridge)
    return WatchedAgent(tmp_path)


def test_a_failure_is_tried_again_and_logged_once(
    watched: WatchedAgent, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The system had no memory for a moment: the agent carries out the plan later, including names."""
    monkeypatch.setattr(agent, "RETRY", 0.001)
    plans: asyncio.Queue[NetworkPlan] = asyncio.Queue()

    async def apply_plan() -> None:
        plans.put_nowait(PLAN)
        task = asyncio.get_running_loop().create_task(agent._apply_plans(watched, plans))
        async with asyncio.timeout(PATIENCE):
            await watched.is_done.wait()
        task.cancel()

    asyncio.run(apply_plan())
    assert (tmp_path / "hosts" / "vpc-1").read_text() == "127.0.0.1 localhost\n10.0.0.4 name\n"
    assert [record.message for record in caplog.records] == ["the setup of VPC vpc-1 failed"]


# A port that cannot be opened or changed. No namespaces: the loopback of this machine is the network.


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> list[OSError]:
    """The errors that the next packet filters fail with."""
    failures: list[OSError] = []

    @contextmanager
    def stay(_: int) -> Iterator[None]:
        yield

    def admit_only(_: socket.socket, networks: Any) -> None:
        list(networks)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(relay, "inside", stay)
    monkeypatch.setattr(health_checks, "inside", stay)
    monkeypatch.setattr(relay, "admit_only", admit_only)
    return failures


def listening_port(port: int, *, connected: bool = True) -> ListeningPort:
    """A listening port on the loopback."""
    return ListeningPort("vpc-1", "127.0.0.1", port, ("127.0.0.0/8",), connected=connected, targets=(TARGET,))


def free_port() -> int:
    """A port that is not in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_without_its_filter_a_port_is_not_opened(filters: list[OSError]) -> None:
    """There is no listener without a filter, and the address is free when it is tried again."""
    port = listening_port(free_port())
    filters.append(OSError(errno.EINVAL, "too long"))
    with pytest.raises(OSError, match="too long"):
        relay.Relay(port, lambda _: 0, lambda _: True)
    port_relay = relay.Relay(port, lambda _: 0, lambda _: True)
    filters.append(OSError(errno.EINVAL, "too long"))
    with pytest.raises(OSError, match="too long"):
        port_relay.change(listening_port(port.port, connected=False))
    assert port_relay.port == port  # so that the change is made when it is tried again
    port_relay._listener.close()


def test_a_client_in_the_queue_at_a_rejection_is_refused(filters: list[OSError]) -> None:
    """A client was in the listener's queue when the connection was rejected: no target sees it."""
    port_relay = relay.Relay(listening_port(free_port(), connected=False), lambda _: 0, lambda _: True)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(port_relay.connect(asyncio.Protocol()))
    port_relay._listener.close()


def test_a_health_check_without_a_descriptor_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has too many open files for a moment: the check counts it as no answer, and goes on."""

    @contextmanager
    def refuse(_: int) -> Iterator[None]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        yield

    monkeypatch.setattr(health_checks, "inside", refuse)
    assert asyncio.run(health_checks._passes(HealthCheck(TARGET, 1, 1, 2, 2), 0)) is False


# The agent's client.


def test_an_agent_that_is_not_understood_means_no_traffic(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The agent's messages are not JSON: there is no traffic, and the log says why."""

    class NonsenseAgent(subprocess.Popen[bytes]):
        def __init__(self, _: object, stdin: int, **more: object) -> None:
            super().__init__(["sh", "-c", "echo nonsense >&0; cat"], stdin=stdin)

    monkeypatch.setattr(subprocess, "Popen", NonsenseAgent)
    found = agent_client.AgentClient().wait()
    assert isinstance(found, agent_client.NoAgent)
    assert found.why_not == "The network has ended."
    assert "a message that is not understood" in caplog.text
