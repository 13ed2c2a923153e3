"""The docs are tested: every command, option, key and figure that they name is real, and all of them are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel

from privatelink_lab.cli import plab
from privatelink_lab.config import Config, default_config, load
from privatelink_lab.events import Accepted, Failed, Finished, Rejected, Started, Summary, Verified, Waiting

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "config.example.yaml"


def commands(group: click.Group = plab, prefix: str = "plab") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands())


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every config key as `section.key`."""
    for name, field in model.model_fields.items():
        inner = [t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(t, type)]
        sections = [t for t in inner if issubclass(t, BaseModel)]
        yield prefix + name
        for section in sections:
            yield from keys(section, f"{prefix}{name}.")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_readme_and_has_a_help_worth_reading(name: str) -> None:
    """A command stands in the README; its help says more than its name, and each option says what it does."""
    assert name in README
    command = COMMANDS[name]
    assert command.help
    assert len(command.help.split()) >= 8
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts}"


def test_every_option_and_variable_is_in_the_readme() -> None:
    """No option and no PLAB_ variable is a secret."""
    for name, command in COMMANDS.items():
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.opts[-1] in README, f"{name} {option.opts}"
                assert not isinstance(option.envvar, str) or option.envvar in README


def test_every_config_key_is_in_the_example_and_in_the_readme() -> None:
    """The example documents every key, and the README names it."""
    example = EXAMPLE.read_text(encoding="utf-8")
    for key in keys(Config):
        last = key.rpartition(".")[2]
        assert re.search(rf"\b{last}\b", example), key
        assert re.search(rf"\b{last}\b", README), key


def test_the_example_is_the_defaults() -> None:
    """The example loads, and says what a lab without a file gets; --local runs the same."""
    assert load(EXAMPLE) == default_config().model_copy(update={"region": "us-east-1"})
    assert set(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))) == {"lab", "region", "provider", "consumers"}


def test_every_event_key_is_in_the_readme() -> None:
    """The event table of the README has every event and every key of it."""
    for event in (Started, Waiting, Finished, Failed, Accepted, Rejected, Verified, Summary):
        assert f"`{event.event}`" in README
        for field in fields(event):
            assert f"`{field.name}`" in README or field.name == "result", f"{event.event}.{field.name}"


def test_readme_and_ci_name_the_same_commands() -> None:
    """README names `make demo` and `make test` first; CI runs them and the checks."""
    first = re.findall(r"^make \w+", README, re.MULTILINE)
    assert first[:2] == ["make demo", "make test"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make \w+", ci, re.MULTILINE) == ["make check", "make test", "make demo"]


def test_the_actions_in_the_readme_are_the_calls_in_the_code() -> None:
    """The permission list has every API action that the steps call, and no other."""
    package = ROOT / "privatelink_lab"
    files = [path for path in package.rglob("*.py") if "local" not in path.relative_to(package).parts]
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    called = {camel(word) for word in re.findall(r"(?:ec2|elbv2|ssm|sts)\.([a-z0-9_]+)\(", code)}
    called |= {camel(word) for word in re.findall(r'"(describe_[a-z_]+)"', code)}
    section = README[README.index("## What the credentials must be allowed") : README.index("## More")]
    listed = set(re.findall(r"\b((?:[A-Z][a-z]+){2,}s?)\b", section))
    implied = {"CreateTags", "AddTags", "AssumeRole", "CreateServiceLinkedRole"}  # what tags, roles and AWS itself need
    assert called <= listed | implied
    assert listed - implied <= called


def camel(operation: str) -> str:
    """`create_vpc` as AWS spells it."""
    return "".join(part.capitalize() for part in operation.split("_"))


def test_every_file_that_contributing_names_exists() -> None:
    """A reader of CONTRIBUTING opens a file that it names and finds it, in the room that it names."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
    names = re.findall(r"`([\w/]+\.py)`", text)
    assert names
    assert [name for name in names if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []
