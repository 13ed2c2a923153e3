"""The docs are tested: every command, option, key and figure that they name is real, and all of them are named."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel
from support.doc_pages import OTHER_PAGES, PAGES, README, ROOT, anchors, blocks, links, read, rows, section

from privatelink_lab import errors
from privatelink_lab.cli import plab
from privatelink_lab.commands import diagnosis, json_report
from privatelink_lab.config import Config, default_config, load
from privatelink_lab.events import Accepted, Event, Failed, Finished, Rejected, Started, Summary, Verified, Waiting
from privatelink_lab.local.api import faults
from privatelink_lab.resource import Phase
from privatelink_lab.why.cause import Stage

DOCS = ROOT / "docs"
COMMANDS_PAGE, CONFIG_PAGE, JSON_PAGE = DOCS / "commands.md", DOCS / "config.md", DOCS / "json.md"
EXAMPLE = ROOT / "config.example.yaml"
MOST_WORDS = 800  # of the README
SHARED = {"config", "local", "json", "quiet", "verbose", "yes"}  # options of several commands


def commands(group: click.Group = plab, prefix: str = "plab") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


COMMANDS = dict(commands())
OPTIONS = {
    name: [option for option in command.params if isinstance(option, click.Option)]
    for name, command in COMMANDS.items()
}


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every config key as `section.key`."""
    for name, field in model.model_fields.items():
        inner = [t for t in (field.annotation, *getattr(field.annotation, "__args__", ())) if isinstance(t, type)]
        sections = [t for t in inner if issubclass(t, BaseModel)]
        yield prefix + name
        for inner_model in sections:
            yield from keys(inner_model, f"{prefix}{name}.")


def first_cells(text: str) -> set[str]:
    """The first cells of the rows of all tables."""
    return {row[0] for row in rows(text)}


# The README.


def test_the_readme_is_short() -> None:
    """A newcomer reads the README in four minutes; everything else is in docs/."""
    assert len(read(README).split()) <= MOST_WORDS


def test_the_readme_leads_to_every_page() -> None:
    """The README links to every page in docs/, and to SECURITY.md and CONTRIBUTING.md."""
    wanted = {page.relative_to(ROOT).as_posix() for page in (*PAGES[1:], *OTHER_PAGES)}
    assert wanted <= {link.partition("#")[0] for link in links(README)}


@pytest.mark.parametrize("page", [*PAGES, *OTHER_PAGES], ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A relative link names a file that exists, and a heading in it."""
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


# The commands.


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_and_a_help_worth_reading(name: str) -> None:
    """A command is in the README and has a section; its help says more than its name, and every option what it does."""
    words = name.split()
    assert name in read(README) or (words[1] == "local" and f"`{words[2]}`" in read(README))
    assert section(COMMANDS_PAGE, name)
    command = COMMANDS[name]
    assert command.help
    assert len(command.help.split()) >= 8
    for option in OPTIONS[name]:
        assert option.help, f"{name} {option.opts}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_section_of_its_command(name: str) -> None:
    """A command's section names its options; those of several commands are named once, before all sections."""
    for option in OPTIONS[name]:
        text = section(COMMANDS_PAGE, "Options" if option.name in SHARED else name)
        assert f"`{option.opts[-1]}" in text, option.opts


def test_every_option_and_variable_in_the_tables_is_real() -> None:
    """The tables name every PLAB_ variable and no other, and no option that plab does not have."""
    text = read(COMMANDS_PAGE)
    options = [option for options in OPTIONS.values() for option in options]
    assert set(re.findall(r"`(PLAB_\w+)`", text)) == {option.envvar for option in options if option.envvar}
    named = {word for cell in first_cells(text) for word in re.findall(r"--[a-z-]+", cell)}
    assert named <= {word for option in options for word in option.opts}


def test_every_exit_code_is_documented() -> None:
    """The table of exit codes has those of all errors, 0, and that of a `down` that leaves something."""
    found = {getattr(error, "exit_code", 0) for error in vars(errors).values()}
    codes = {str(code) for code in found | {0, 3}}
    assert first_cells(section(COMMANDS_PAGE, "Exit codes")) - {"code"} == codes


def test_every_state_and_hop_is_documented() -> None:
    """`plab status` and the JSON explain every phase, and `plab verify` every hop."""
    phases = {*map(str, Phase), json_report.MISSING, json_report.THERE, "unknown"}
    assert first_cells(section(COMMANDS_PAGE, "plab status")) >= phases
    assert {phase for phase in phases if f"`{phase}`" not in section(JSON_PAGE, "`status`")} == set()
    hops = {*map(str, Stage), diagnosis.DNS, diagnosis.PATH, diagnosis.PROBE}
    assert first_cells(section(COMMANDS_PAGE, "plab verify")) >= hops


def test_every_fault_is_documented_with_its_settings() -> None:
    """The table of faults has every kind and the settings that it takes."""
    table = {row[0]: set(re.findall(r"`(\w+)`", row[-1])) for row in rows(section(DOCS / "local-aws.md", "Faults"))}
    assert {kind: table.get(kind) for kind in faults.KINDS} == {
        kind: set(taken) for kind, taken in faults.KINDS.items()
    }


# The config.


def test_every_config_key_is_in_the_example() -> None:
    """The example documents every key; docs/config.md is written from the models."""
    example = read(EXAMPLE)
    for key in keys(Config):
        assert re.search(rf"\b{key.rpartition('.')[2]}\b", example), key


def test_the_example_is_the_defaults() -> None:
    """The example loads, and says what a lab without a file gets; --local runs the same."""
    assert load(EXAMPLE) == default_config().model_copy(update={"region": "us-east-1"})
    assert set(yaml.safe_load(read(EXAMPLE))) == {"lab", "region", "provider", "consumers"}


def test_every_config_in_the_docs_loads(tmp_path: Path) -> None:
    """A config that a page shows is one that plab accepts."""
    shown = [block for page in PAGES for block in blocks(page, "yaml") if block.text.startswith("lab:")]
    assert shown
    for block in shown:
        (tmp_path / "plab.yaml").write_text(block.text)
        load(tmp_path / "plab.yaml")


# The JSON; tests/test_docs_json.py compares it with what plab prints.


@pytest.mark.parametrize("event", [Started, Waiting, Finished, Failed, Accepted, Rejected, Verified, Summary])
def test_every_event_and_its_keys_are_documented(event: type[Event]) -> None:
    """Every event has a section, with every key of it."""
    heading = next(
        line for line in read(JSON_PAGE).splitlines() if re.match(rf"#.*(`{event.event}`|The {event.event})", line)
    )
    documented = first_cells(section(JSON_PAGE, heading.lstrip("# ")))
    assert documented >= {field.name for field in fields(event)} - {"result"} | {"event"}


# All else.


def test_readme_and_ci_name_the_same_commands() -> None:
    """README names `make demo` and `make test` first; CI runs them and the checks."""
    first = re.findall(r"^make \w+", read(README), re.MULTILINE)
    assert first[:2] == ["make demo", "make test"]
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.findall(r"^make \w+", ci, re.MULTILINE) == ["make check", "make test", "make demo"]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_a_page_names_exists(name: str) -> None:
    """A reader opens a file that the page names and finds it, in the room that it names."""
    text = read(ROOT / name)
    files = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if ".venv" not in path.parts]
    names = re.findall(r"`([\w/]+\.py)`", text)
    assert names
    assert [name for name in names if not any(f"/{file}".endswith(f"/{name}") for file in files)] == []


def test_the_page_of_causes_is_made_of_the_table() -> None:
    """`make docs` writes docs/why.md: it has every cause, each with a mark for what the local AWS can show."""
    spec = importlib.util.spec_from_file_location("write_why", ROOT / "docs" / "write_why.py")
    assert spec is not None
    assert spec.loader is not None
    write_why = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(write_why)
    assert read(ROOT / "docs" / "why.md") == write_why.page()
