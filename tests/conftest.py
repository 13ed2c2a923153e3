"""One fixture `cloud` (the local AWS in this process), one `lab` on it; no account, no network, no real waiting."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from privatelink_lab import engine
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.config import Config
from privatelink_lab.engine import Built, Removed
from privatelink_lab.events import Event
from privatelink_lab.lab import Lab
from privatelink_lab.local.answers import Answer, error_answer
from privatelink_lab.local.clock import Clock
from privatelink_lab.local.guard import Refusal
from privatelink_lab.local.server import LocalAws
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS

READS = ("Describe", "Get", "AssumeRole", "status")


class VirtualClock:
    """Time that passes only when somebody sleeps; plab and the local AWS share it."""

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.sleeps = 0
        self.before_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.before_sleep()
        self.sleeps += 1
        self.time += seconds

    def wake(self) -> None:
        """Nobody really sleeps."""


class FaultyAws(LocalAws):
    """The local AWS with refusals that a test asks for: action -> (status, code), and a log of calls."""

    def __init__(self, clock: Clock) -> None:
        self.lines: list[str] = []
        self.faults: dict[str, tuple[int, str]] = {}
        super().__init__(clock, log=self.lines.append)

    def respond(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """A refusal if one is asked for, else the local AWS's answer."""
        for action, (status, code) in self.faults.items():
            if f"Action={action}&".encode() in body + b"&":
                self.lines.append(f"00:00:00 fault {action} {status}")
                service = "elasticloadbalancing" if b"2015-12-01" in body else "ec2"
                return error_answer(Refusal(status, code, f"No: {action}."), service)
        return super().respond(method, path, headers, body)


@dataclass
class Cloud:
    """The local AWS and what a test needs around it."""

    aws: FaultyAws
    clock: VirtualClock
    events: list[Event] = field(default_factory=list)

    @property
    def address(self) -> Address:
        """Where it answers, with its keys."""
        return Address(self.aws.url, self.aws.access_key_id, self.aws.secret_access_key)

    def account(self, role_arn: str | None = None) -> Account:
        """An account in it: its own, or a role's."""
        return connect(profile=None, role_arn=role_arn, region="us-east-1", address=self.address)

    def lab(self, config: Config | None = None, state: State | None = None, **overrides: Any) -> Lab:
        """A lab of that config on this cloud."""
        config = config or config_of()

        def reach(party: Party) -> Account:
            return connect(profile=party.profile, role_arn=party.role_arn, region=config.region, address=self.address)

        state = state or State(lab=config.lab)
        return Lab(config, state, reach, self.clock, self.events.append, **overrides)

    def up(self, lab: Lab, **options: Any) -> Built:
        """`plab up`."""
        return engine.up(lab, STEPS, **options)

    def down(self, lab: Lab) -> Removed:
        """`plab down`."""
        return engine.down(lab, STEPS, engine.survey(lab, STEPS))

    def calls(self) -> list[str]:
        """The API operations since the last look at them, in order."""
        lines, self.aws.lines[:] = list(self.aws.lines), []
        return [line.split()[2] for line in lines]

    def changes(self) -> list[str]:
        """The mutating operations since the last look at the calls."""
        return [call for call in self.calls() if not call.startswith(READS)]

    def phases(self, lab: Lab) -> dict[str, str]:
        """What a survey sees: key -> AWS's word; without what plab never makes and is not there."""
        seen = engine.survey(lab, STEPS)
        return {
            key: found[0].detail if found else "missing"
            for key, found in seen.found.items()
            if found or seen.resources[key].create
        }


def config_of(*consumers: Any, **values: Any) -> Config:
    """A config with these consumers (dicts; default: one called acme) and other values."""
    rows = consumers or ({"name": "acme"},)
    return Config.model_validate({"lab": "test", "region": "us-east-1", "settle": 0} | values | {"consumers": rows})


def _cloud(speed: float) -> Iterator[Cloud]:
    clock = VirtualClock()
    with FaultyAws(Clock(speed=speed, wall=clock.now)) as server:
        server.lines.clear()
        yield Cloud(server, clock)


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """The local AWS, at once."""
    yield from _cloud(0)


@pytest.fixture
def slow_cloud() -> Iterator[Cloud]:
    """The local AWS that takes as long as AWS, in virtual time."""
    yield from _cloud(1)


@pytest.fixture
def lab(cloud: Cloud) -> Lab:
    """A lab with one consumer on `cloud`; nothing is built yet."""
    return cloud.lab()


@pytest.fixture(autouse=True)
def no_aws_of_the_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the machine's AWS settings, or plab's."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "PLAB_")) or name in {"CI", "NO_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
