"""The commands of the AWS CLI that plab prints, typed into a shell with the real AWS CLI (with --aws-cli)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privatelink_lab.local import launch

INSTALL = 600.0  # seconds that pip may take
SECONDS = 300.0  # seconds that a command may take


@pytest.fixture
def aws(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of an AWS CLI in an environment of its own."""
    if not request.config.getoption("--aws-cli"):
        pytest.skip("needs --aws-cli")
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=INSTALL)
    pip = [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "awscli"]
    subprocess.run(pip, check=True, timeout=INSTALL)
    return venv / "bin"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose local AWS ends with the test."""
    path = tmp_path / "lab"
    path.mkdir()
    yield path
    launch.stop(path / ".plab")


def test_what_down_advises_works_as_printed(aws: Path, folder: Path) -> None:
    """A guest holds the VPC: the hint of `plab down`, typed as it stands, removes the guest and then the lab."""
    places = f"{aws}:{Path(sys.executable).parent}:{os.environ['PATH']}"

    def shell(line: str) -> subprocess.CompletedProcess[str]:
        words = ["bash", "-c", line]
        environment = {"PATH": places, "HOME": str(folder), "PLAB_YES": "1"}
        return subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )

    assert shell("plab local start --speed 0 && plab up --local").returncode == 0
    vpc = (
        "$(aws ec2 describe-vpcs --filters Name=tag:plab:key,Values=provider/vpc --query 'Vpcs[0].VpcId' --output text)"
    )
    guest = f"aws ec2 create-security-group --group-name guest --description guest --vpc-id {vpc}"
    assert shell(f'eval "$(plab local status)" && {guest}').returncode == 0
    held = shell("plab down")
    assert held.returncode == 3, held
    [hint] = [line for line in held.stderr.splitlines() if line.startswith("Hint: That is not of plab.")]
    command = hint.partition("If nobody needs it: ")[2]
    assert command.startswith('eval "$(plab local status)" && aws ec2 delete-security-group')
    ended = shell(command)
    assert ended.returncode == 0, (command, ended)
    assert "Left: 0." in ended.stdout
