"""One fixture `cloud` (the local AWS in this process), one `lab` on it; no account, no network, no real waiting."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.inventory import InventoriedAws

from privatelink_lab import engine
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.cli import main
from privatelink_lab.config import Config
from privatelink_lab.engine import Built, Removed
from privatelink_lab.events import Event
from privatelink_lab.lab import Lab
from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.client import parse_fault
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS

READS = ("Describe", "Get", "AssumeRole", "status")


class VirtualClock:
    """Time that passes only when somebody sleeps; plab and the local AWS share it.

    The command line has a real clock. Where that runs, time `flows` as well.
    """

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.flows = False
        self.sleeps = 0
        self.before_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time + (time.monotonic() if self.flows else 0)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.before_sleep()
        self.sleeps += 1
        self.time += seconds

    def wake(self) -> None:
        """Nobody really sleeps."""


@dataclass
class Cloud:
    """The local AWS and what a test needs around it."""

    aws: InventoriedAws
    clock: VirtualClock
    lines: list[str] = field(default_factory=list)
    always: list[dict[str, Any]] = field(default_factory=list)  # faults of the whole run
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

    def fail(self, action: str, status: int, code: str) -> None:
        """Let AWS refuse an action from now on."""
        refusal = {"kind": "error", "action": action, "status": status, "code": code}
        self.aws.choose_faults([*self.always, refusal])

    def heal(self) -> None:
        """Nothing goes wrong any more but what the whole run is to stand."""
        self.aws.choose_faults(self.always)

    def spread(self) -> None:
        """Let a minute pass, so that what a test has made itself is known everywhere."""
        self.clock.time += 60

    def calls(self) -> list[str]:
        """The API operations since the last look at them, in order."""
        lines, self.lines[:] = list(self.lines), []
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
            if found or seen.resources[key].made_by_plab
        }


def config_of(*consumers: Any, **values: Any) -> Config:
    """A config with these consumers (dicts; default: one called acme) and other values."""
    rows = consumers or ({"name": "acme"},)
    return Config.model_validate({"lab": "test", "region": "us-east-1"} | values | {"consumers": rows})


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the local AWS under the tests is like (`make strict`), and what only runs when somebody asks for it."""
    parser.addoption("--speed", type=float, default=0, help="speed of the fixture `cloud` (0: at once)")
    parser.addoption("--fault", action="append", default=[], help="a fault in it, as `plab local faults` takes it")
    parser.addoption("--aws", action="store_true", help="run the contract tests on real AWS; it costs money")
    parser.addoption("--moto", action="store_true", help="run the contract tests on plain moto, where they must fail")
    parser.addoption("--traffic", action="store_true", help="fail, not skip, where the system allows no packets")
    parser.addoption("--terraform", action="store_true", help="also let Terraform build and remove the lab")
    parser.addoption("--sweep", action="store_true", help="kill plab at every change, and run every trial")


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look through moto and botocore again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figure of `make sweep`: how often plab was struck, and what came of it."""
    reports = [each for outcome in ("passed", "failed") for each in terminalreporter.stats.get(outcome, [])]
    figures = [(name, count) for each in reports for name, count in each.user_properties]
    for name in dict.fromkeys(name for name, _ in figures):
        total = sum(count for each, count in figures if each == name)
        terminalreporter.write_line(f"{total} {name}: 0 leaked, 0 duplicated in those that passed")


def cloud_at(speed: float, faults: Iterable[str] = ()) -> Iterator[Cloud]:
    """A local AWS in this process, so many times as fast as AWS, with these faults."""
    clock = VirtualClock()
    lines: list[str] = []
    with InventoriedAws(AwsClock(speed=speed, wall=clock.now), log=lines.append) as server:
        lines.clear()
        cloud = Cloud(server, clock, lines, [parse_fault(each) for each in faults])
        cloud.heal()
        yield cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """The local AWS, at once, or as the command line asks."""
    yield from cloud_at(request.config.getoption("--speed"), request.config.getoption("--fault"))


@pytest.fixture
def slow_cloud() -> Iterator[Cloud]:
    """The local AWS at its usual speed: everything takes time, in virtual time."""
    yield from cloud_at(20)


@pytest.fixture
def real_pace_cloud() -> Iterator[Cloud]:
    """The local AWS that takes as long as AWS, in virtual time; a run is 1,500 calls."""
    yield from cloud_at(1)


@pytest.fixture
def lab(cloud: Cloud) -> Lab:
    """A lab with one consumer on `cloud`; nothing is built yet."""
    return cloud.lab()


@pytest.fixture(autouse=True)
def no_aws_of_the_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the machine's AWS settings, or plab's, unless it runs on real AWS."""
    if request.config.getoption("--aws"):
        return
    for name in list(os.environ):
        if name.startswith(("AWS_", "PLAB_")) or name in {"CI", "NO_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))


# The command line, in this process.

CONFIG = """\
lab: test
region: us-east-1
consumers:
  - name: acme
    accept: {accept}
"""


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """stdout, one JSON object per line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `plab` with these arguments in a scratch folder."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["plab", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def at_cloud(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """The environment of a stranger's tool: AWS_ENDPOINT_URL, keys, and a config file; no --local."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.aws.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.aws.secret_access_key)
    write_config(tmp_path)
    cloud.clock.flows = True
    return cloud


def write_config(folder: Path, accept: str = "auto", **replaced: str) -> None:
    """plab.yaml in `folder`."""
    text = CONFIG.format(accept=accept)
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / "plab.yaml").write_text(text, encoding="utf-8")
