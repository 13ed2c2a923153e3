"""The carrier and its parts where something fails: nothing is lost, nothing half done, and it is tried again."""

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
from support.patience import PATIENCE

from privatelink_lab.local.network import agent as carrier
from privatelink_lab.local.network import agent_client as link
from privatelink_lab.local.network import health_checks as health
from privatelink_lab.local.network import relay
from privatelink_lab.local.network.agent import Carrier
from privatelink_lab.local.network.plan import Check, Door, Picture, Target, Vpc

TARGET = Target("check", "vpc-1", "127.0.0.1", "127.0.0.1", 80)
DOOR = Door("vpc-1", "127.0.0.1", 0, ("127.0.0.0/8",), connected=True, targets=(TARGET,))
PICTURE = Picture({"vpc-1": Vpc(("10.0.0.1/24",), {"name": ("10.0.0.4",)})})


class Network:
    """A network that cannot be opened at first."""

    refusals = 2

    def __init__(self) -> None:
        self.namespace, self.is_closed = 0, False

    async def open(self) -> None:
        """Refuse, as long as there are refusals left."""
        if Network.refusals:
            Network.refusals -= 1
            raise OSError(errno.ENOMEM, "no memory")

    async def hold(self, _: object) -> None:
        """Have them."""

    def close(self) -> None:
        """It is gone."""
        self.is_closed = True


class Watched(Carrier):
    """A carrier that says when a picture is real."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(scratch, cast("asyncio.StreamWriter", None))
        self.is_done = asyncio.Event()

    async def become(self, picture: Picture) -> bool:
        """As any carrier."""
        if await super().become(picture):
            self.is_done.set()
        return self.is_done.is_set()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """A carrier whose networks fail twice."""
    monkeypatch.setattr(Network, "refusals", 2)
    monkeypatch.setattr(carrier, "Network", Network)
    return Watched(tmp_path)


def test_what_could_not_be_made_is_tried_again_and_logged_once(
    made: Watched, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """The system had no memory for a moment: the same picture becomes real without a new one, names and all."""
    monkeypatch.setattr(carrier, "AGAIN", 0.001)
    pictures: asyncio.Queue[Picture] = asyncio.Queue()

    async def paint() -> None:
        pictures.put_nowait(PICTURE)
        task = asyncio.get_running_loop().create_task(carrier._paint(made, pictures))
        async with asyncio.timeout(PATIENCE):
            await made.is_done.wait()
        task.cancel()

    asyncio.run(paint())
    assert (tmp_path / "hosts" / "vpc-1").read_text() == "127.0.0.1 localhost\n10.0.0.4 name\n"
    assert [record.message for record in caplog.records] == ["network vpc-1 could not be made"]


# A door that cannot be made or changed. No namespaces: this machine's loopback is the network.


@pytest.fixture
def filters(monkeypatch: pytest.MonkeyPatch) -> list[OSError]:
    """What the next packet filters fail with."""
    failures: list[OSError] = []

    @contextmanager
    def here(_: int) -> Iterator[None]:
        yield

    def admit_only(_: socket.socket, networks: Any) -> None:
        list(networks)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(relay, "inside", here)
    monkeypatch.setattr(health, "inside", here)
    monkeypatch.setattr(relay, "admit_only", admit_only)
    return failures


def door_at(port: int, *, connected: bool = True) -> Door:
    """The door at a port of the loopback."""
    return Door("vpc-1", "127.0.0.1", port, ("127.0.0.0/8",), connected=connected, targets=(TARGET,))


def free_port() -> int:
    """A port that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def test_a_door_without_its_filter_is_no_door(filters: list[OSError]) -> None:
    """No filter, no listener; and the address is free when it is tried again."""
    door = door_at(free_port())
    filters.append(OSError(errno.EINVAL, "too long"))
    with pytest.raises(OSError, match="too long"):
        relay.Relay(door, lambda _: 0, lambda _: True)
    made = relay.Relay(door, lambda _: 0, lambda _: True)
    filters.append(OSError(errno.EINVAL, "too long"))
    with pytest.raises(OSError, match="too long"):
        made.change(door_at(door.port, connected=False))
    assert made.door == door  # so that the change is made when it is tried again
    made._listener.close()


def test_who_knocked_before_a_rejection_is_not_let_through(filters: list[OSError]) -> None:
    """It was in the queue of the listener when the connection was rejected: no target hears of it."""
    made = relay.Relay(door_at(free_port(), connected=False), lambda _: 0, lambda _: True)
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(made.connect(asyncio.Protocol()))
    made._listener.close()


def test_a_health_check_without_a_descriptor_is_a_failed_check(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has too many open files for a moment: the check goes on, and counts it as no answer."""

    @contextmanager
    def refuse(_: int) -> Iterator[None]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        yield

    monkeypatch.setattr(health, "inside", refuse)
    assert asyncio.run(health._is_well(Check(TARGET, 1, 1, 2, 2), 0)) is False


# The server's end.


def test_a_carrier_that_is_not_understood_carries_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its words are no JSON: there is no traffic, and the log says why."""

    class Carrier(subprocess.Popen[bytes]):
        def __init__(self, _: object, stdin: int, **more: object) -> None:
            super().__init__(["sh", "-c", "echo nonsense >&0; cat"], stdin=stdin)

    monkeypatch.setattr(subprocess, "Popen", Carrier)
    found = link.Traffic().wait()
    assert isinstance(found, link.NoTraffic)
    assert found.why_not == "The network has ended."
    assert "what nobody understands" in caplog.text
