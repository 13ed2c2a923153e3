"""What plab prints can be typed: the command line takes each command as it stands, and the next step works."""

from __future__ import annotations

import ast
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from support import aws_cli, printed_commands
from support.cloud import Cloud
from support.command_line import Ran, Run, write_config

import privatelink_lab

PACKAGE = Path(privatelink_lab.__file__).parent


def literals(path: Path) -> Iterator[str]:
    """Each text of a module; where a value comes in stands its name, and a docstring is no text."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "VALUE" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts | statements:
            yield node.value


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_command_in_a_text_of_the_program_is_one(path: Path) -> None:
    """Also a sentence that no test lets plab print: after `plab up` stands no word that is not an option of it."""
    assert [refused for text in literals(path) for refused in printed_commands.refusals(text)] == []


@pytest.mark.parametrize(
    ("text", "commands", "is_taken"),
    [
        ("Next: plab verify -c 'my, lab.yaml' | plab down", ["plab verify -c 'my, lab.yaml'", "plab down"], True),
        ("Continue: plab up --local. Or plab down", ["plab up --local", "plab down"], True),
        ('"next": ["plab accept acme", "plab status"]', ["plab accept acme", "plab status"], True),
        ("It ends with `plab local stop`.", ["plab local stop"], True),
        ("Run plab down again.", ["plab down again"], False),
        ("plab local begin", ["plab local begin"], False),
        ("plab up --replace", ["plab up --replace"], False),
        ("plab puts the tags back", [], True),
        ("it is in privatelink-lab up there", [], True),
    ],
)
def test_the_test_knows_a_command(text: str, commands: list[str], *, is_taken: bool) -> None:
    """It finds where a command ends in a sentence, and refuses what the command line refuses."""
    assert printed_commands.commands_in(text) == commands
    assert (not printed_commands.refusals(text)) is is_taken


@pytest.mark.parametrize(
    ("command", "is_known"),
    [
        ("aws ec2 delete-subnet --subnet-id subnet-1 --region us-east-1", True),
        ("aws sts get-caller-identity", True),
        ("aws ec2 delete-subnet --id subnet-1", False),
        ("aws ec2 delete-subnet", False),
        ("aws ec2 remove-subnet --subnet-id subnet-1", False),
    ],
)
def test_the_test_knows_a_command_of_the_aws_cli(command: str, *, is_known: bool) -> None:
    """It refuses an operation or an option that AWS's own models do not have."""
    assert (not aws_cli.refusals(command)) is is_known


def test_a_life_of_a_lab_by_what_plab_prints(
    at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user who types only what the last output names accepts, rejects, repairs and removes a lab, with `-c FILE`."""
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", lambda *_, **__: True)
    write_config(tmp_path, "manual")
    (tmp_path / "plab.yaml").rename(tmp_path / "my lab.yaml")
    ran = run("up", "-c", "my lab.yaml", "-q")
    ran = _typed(run, ran, "accept acme")
    ran = _typed(run, ran, "connections")
    ran = run("reject", "acme", "-c", "my lab.yaml")
    ran = _typed(run, ran, "up --replace acme/endpoint")
    ran = _typed(run, ran, "accept acme")
    _typed(run, run("up", "-c", "my lab.yaml"), "status")
    _typed(run, run("up", "-c", "my lab.yaml"), "down")
    assert at_cloud.aws.inventory() == {}


def _typed(run: Run, ran: Ran, wanted: str) -> Ran:
    """How the command ends that the last output names so."""
    commands = set(printed_commands.commands_in(ran.out + ran.err))
    [command] = {command for command in commands if set(wanted.split()) <= set(shlex.split(command))}
    ran = run(*shlex.split(command)[1:])
    assert ran.code == 0, (command, ran)
    return ran
