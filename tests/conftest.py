"""One fixture `cloud` (the local AWS in this process), one `lab` on it; no account, no network, no real waiting."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from support import aws_cli
from support.cloud import Cloud, cloud_at
from support.command_line import Ran, Run, write_config
from support.printed_commands import refusals

from privatelink_lab.cli.main import main
from privatelink_lab.engine import Built
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab

# The same examples each time, and no time limit for one: a machine may be busy.
hypothesis.settings.register_profile("plab", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("plab")


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the local AWS under the tests is like (`make strict`), and which tests run only on request."""
    parser.addoption("--speed", type=float, default=0, help="speed of the fixture `cloud` (0: at once)")
    parser.addoption("--fault", action="append", default=[], help="a fault in it, as `plab local faults` takes it")
    parser.addoption("--aws", action="store_true", help="run the contract tests on real AWS; it costs money")
    parser.addoption("--moto", action="store_true", help="run the contract tests on plain moto, where they must fail")
    parser.addoption("--traffic", action="store_true", help="fail, not skip, where the system allows no packets")
    parser.addoption("--terraform", action="store_true", help="also let Terraform build and remove the lab")
    parser.addoption("--aws-cli", action="store_true", help="also type what plab prints into the real AWS CLI")
    parser.addoption("--sweep", action="store_true", help="kill plab at every change, and run every trial")


def pytest_collection_finish() -> None:
    """Freeze what is loaded by now, so that the garbage collector does not scan moto and botocore again and again."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of `make sweep`: how often plab was killed or stopped, and what was leaked or duplicated."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    figures = [(name, count) for report in reports for name, count in report.user_properties]
    for name in dict.fromkeys(name for name, _ in figures):
        total = sum(count for figure, count in figures if figure == name)
        terminalreporter.write_line(f"{total} {name}: 0 leaked, 0 duplicated in those that passed")


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """The local AWS; without delays and faults, or with those of the command line."""
    yield from cloud_at(request.config.getoption("--speed"), request.config.getoption("--fault"))


@pytest.fixture
def slow_cloud() -> Iterator[Cloud]:
    """The local AWS at its usual speed: resources become ready after a while, in virtual time."""
    yield from cloud_at(20)


@pytest.fixture
def real_pace_cloud() -> Iterator[Cloud]:
    """The local AWS that takes as long as AWS, in virtual time; a run is 1,500 calls."""
    yield from cloud_at(1)


@pytest.fixture
def lab(cloud: Cloud) -> Lab:
    """A lab with one consumer on `cloud`; nothing is built yet."""
    return cloud.lab()


@pytest.fixture
def built(cloud: Cloud, lab: Lab) -> Built:
    """A whole lab on `cloud`; its calls are forgotten."""
    result = cloud.up(lab)
    assert result.exit_code == 0
    cloud.calls()
    return result


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


@pytest.fixture(autouse=True)
def advice_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever a test lets plab advise, the command line takes it as it stands."""
    refused: list[str] = []
    create = PlabError.__init__

    def check(error: PlabError, message: str, *, hint: str = "") -> None:
        refused.extend(refusals(f"{message}\n{hint}"))
        refused.extend(aws_cli.refusals(hint))
        create(error, message, hint=hint)

    monkeypatch.setattr(PlabError, "__init__", check)
    yield
    assert not refused


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
        assert not [*refusals(printed.out + printed.err), *aws_cli.refusals(printed.out + printed.err)]
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return call


@pytest.fixture
def at_cloud(cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cloud:
    """The environment of any AWS tool: AWS_ENDPOINT_URL, keys, and a config file; no --local."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.aws.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", cloud.aws.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", cloud.aws.secret_access_key)
    write_config(tmp_path)
    cloud.clock.flows = True
    return cloud
