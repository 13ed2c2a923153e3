"""The hint about the missing extra: a command that installs what is missing, where this plab runs."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shlex
import sys
from pathlib import Path

import pytest

from privatelink_lab.missing_extra import install_command

WRITTEN = {  # how the builders of packages write it
    "double quotes": ["boto3<2", 'moto[ec2,elbv2]<5.3,>=5.2.5; extra == "local"', 'ruff; extra == "dev"'],
    "single quotes": ["boto3<2", "moto[ec2,elbv2]<5.3,>=5.2.5 ; extra == 'local'", "ruff ; extra == 'dev'"],
    "with a system": ["boto3<2", 'moto[ec2,elbv2]<5.3,>=5.2.5; (sys_platform == "linux") and extra == "local"'],
}
MOTO = "moto[ec2,elbv2]<5.3,>=5.2.5"


@pytest.mark.parametrize("requires", WRITTEN.values(), ids=WRITTEN)
def test_it_names_the_packages_of_the_extra(monkeypatch: pytest.MonkeyPatch, requires: list[str]) -> None:
    """However the package was built, the command has the packages of the extra and no others."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: requires)
    assert shlex.split(install_command())[-1] == MOTO
    assert "boto3" not in install_command()
    assert "ruff" not in install_command()


def test_it_names_moto_here() -> None:
    """The plab that runs these tests names what its own extra requires."""
    assert "moto[" in install_command()


@pytest.mark.parametrize(
    ("marker", "pip", "begins"),
    [
        (None, True, [sys.executable, "-m", "pip", "install"]),
        ("pipx_metadata.json", True, ["pipx", "inject", "privatelink-lab"]),
        (None, False, ["uv", "pip", "install", "--python", sys.executable]),
    ],
    ids=["pip", "pipx", "uv"],
)
def test_it_fits_what_installed_plab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, marker: str | None, begins: list[str], *, pip: bool
) -> None:
    """pip, pipx and uv: the command is one that the user has."""
    if marker:
        (tmp_path / marker).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if pip else None)
    assert shlex.split(install_command())[: len(begins)] == begins
