"""The shell blocks of the docs: every command in them is real, and what needs no AWS really runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import botocore.session
import click
import pytest
from botocore import xform_name
from support.doc_pages import OTHER_PAGES, PAGES, ROOT, Block, blocks, shell_commands
from support.timeouts import PATIENCE

from privatelink_lab.cli import plab

BIN = Path(sys.executable).parent
HELP = ["-h", "--help"]
PACKETS = "packets"  # the one thing that a block may need and that a machine may have
BLOCKS = [block for page in (*PAGES, *OTHER_PAGES) for block in blocks(page)]
STORIES = [page for page in PAGES if any(block.needs in {"", PACKETS} for block in blocks(page))]

# The commands of a block.


def parse_plab(words: Sequence[str]) -> None:
    """Parse a command line of plab as click does, and run nothing."""
    command: click.Command = plab
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        assert rest[0] in command.commands, f"plab has no command {rest[0]}"
        command = command.commands[rest.pop(0)]
    if rest or command is not plab:
        try:
            command.make_context(command.name, rest, parent=click.Context(plab, help_option_names=HELP))
        except click.exceptions.Exit:  # --help, --version
            return


def find_make_target(words: Sequence[str]) -> None:
    """Find the target in the Makefile."""
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(words) <= set(targets)


def find_aws_operation(words: Sequence[str]) -> None:
    """Find the operation of a command of the AWS CLI in botocore's model, and its options among the parameters."""
    if words[0] in {"configure", "sso"}:  # they are the CLI's own
        return
    model = botocore.session.get_session().get_service_model(words[0])
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    assert words[1] in operations, f"{words[0]} has no operation {words[1]}"
    shape = model.operation_model(operations[words[1]]).input_shape
    known = {xform_name(name, "-") for name in (shape.members if shape else ())}
    known |= {"query", "output", "region", "profile", "endpoint-url"}
    options = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
    assert options <= known


CHECKS: dict[str, Callable[[Sequence[str]], None]] = {
    "plab": parse_plab,
    "make": find_make_target,
    "aws": find_aws_operation,
}
OTHER_PROGRAMS = {
    *(".", "cd", "eval", "export", "mkdir", "source"),
    *("cat", "curl", "git", "pip", "pipx", "python3", "sed", "tail", "terraform", "uv"),
}


def check(text: str) -> None:
    """Check every command of a shell text; raises AssertionError or UsageError."""
    for program, *words in shell_commands(text):
        if program in CHECKS:
            CHECKS[program](words)
        else:
            assert program in OTHER_PROGRAMS or program.startswith(".venv/bin/"), f"a typing mistake? {program}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_command_in_a_shell_block_is_real(block: Block) -> None:
    """The parser of plab takes it, the Makefile has the target, and AWS has the operation with these parameters."""
    assert list(shell_commands(block.text))
    check(block.text)


@pytest.mark.parametrize(
    "text",
    [
        "plb up",
        "plab upp",
        "plab up --lokal",
        "plab accept --requests 3",
        "plab verify --requests many",
        'eval "$(plab local statu)"',
        "cd lab && plab down --no",
        "make demos",
        "aws ec2 describe-vpc-endpoint",
        "aws ec2 describe-vpcs --filter Name=x",
    ],
)
def test_a_command_that_is_not_real_is_found(text: str) -> None:
    """A typing mistake in the docs does not pass."""
    with pytest.raises((AssertionError, click.UsageError)):
        check(text)


def test_a_block_that_needs_something_says_it_in_known_words() -> None:
    """A misspelt mark would keep a block from running for ever: `needs: packets` runs where packets flow."""
    assert {block.needs for block in BLOCKS if PACKETS[:4] in block.needs.lower()} <= {PACKETS}
    for page in (*PAGES, *OTHER_PAGES):
        marks = re.findall(r"^<!-- *needs.*$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(marks) == len([block for block in blocks(page) if block.needs]), page


# The stories.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """`~/lab` of a new user, with a local AWS without delays; every local AWS below it ends with the test."""
    made = tmp_path / "lab"
    made.mkdir()
    (made / ".venv").symlink_to(sys.prefix)  # for `. .venv/bin/activate`
    plab_in(made, "local", "start", "--speed", "0")
    yield made
    for server in tmp_path.rglob(".plab/local.json"):
        plab_in(server.parents[1], "local", "stop")


def plab_in(folder: Path, *words: str) -> str:
    """What a command prints on stdout."""
    return subprocess.run(
        [BIN / "plab", *words], cwd=folder, stdout=subprocess.PIPE, text=True, timeout=PATIENCE, check=True
    ).stdout


@pytest.mark.parametrize("page", STORIES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run_one_after_the_other(page: Path, folder: Path) -> None:
    """A reader who copies all blocks of a page into one shell sees no error; `-y` is said for them."""
    runs = {""}
    if json.loads(plab_in(folder, "local", "status", "--json"))["traffic"]:
        runs.add(PACKETS)
    story = folder.parent / "story.sh"
    story.write_text("".join(f": {block}\n{block.text}" for block in blocks(page) if block.needs in runs))
    ran = subprocess.run(
        ["/bin/sh", "-eux", story],
        cwd=folder,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}", "PLAB_YES": "1", "PLAB_SPEED": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "Traceback" not in ran.stdout
