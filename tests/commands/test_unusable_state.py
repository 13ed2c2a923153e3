"""A state file that cannot be used, as a user meets it: one sentence, exit 1, the way on, and nothing is called."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.command_line import Run

from privatelink_lab import lock, state

Harm = Callable[[Path], None]


def cut(path: Path) -> None:
    """A file that ends in the middle."""
    path.write_bytes(path.read_bytes()[:100])


def changed(**fields: Any) -> Harm:
    """A file with other values."""

    def change(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def elsewhere(**fields: Any) -> Harm:
    """A file of another place."""

    def change(path: Path) -> None:
        data = json.loads(path.read_text())
        path.write_text(json.dumps(data | {"place": data["place"] | fields}))

    return change


def blocked(path: Path) -> None:
    """A file where the folder of the state should be."""
    shutil.rmtree(path.parent)
    path.parent.write_text("")


HERE = "account 123456789012, region us-east-1"
HARMS: dict[str, tuple[Harm, str]] = {
    "damaged": (cut, "test.json is damaged."),
    "newer": (changed(schema=4), "has schema 4; this plab writes 3."),
    "another lab's": (changed(lab="other"), "is of the lab 'other', not 'test'."),
    "another account's": (
        elsewhere(account="210987654321"),
        f"is of account 210987654321, region us-east-1; these credentials are of {HERE}.",
    ),
    "another region's": (
        elsewhere(region="eu-west-1"),
        f"is of account 123456789012, region eu-west-1; these credentials are of {HERE}.",
    ),
    "unreadable": (blocked, "cannot be read: Not a directory."),
}


@pytest.mark.parametrize("command", ["up", "down", "status", "connections", "verify"])
@pytest.mark.parametrize("harm", HARMS)
def test_it_is_refused(at_cloud: Cloud, run: Run, tmp_path: Path, harm: str, command: str) -> None:
    """Every command says what is wrong with it and exits 1; no change goes out, and nothing of the file is written."""
    path = tmp_path / ".plab" / "test.json"
    write_whole(path)
    do, words = HARMS[harm]
    do(path)
    before = path.read_bytes() if path.exists() else b""
    at_cloud.calls()
    ran = run(command, *(("-y",) if command == "down" else ()))
    assert ran.code == 1
    assert words in ran.err
    assert at_cloud.changes() == []
    assert (path.read_bytes() if path.exists() else b"") == before


def write_whole(path: Path) -> None:
    """The state file of a lab in this account and region that has nothing yet."""
    empty: dict[str, Any] = {name: {} for name in (*state.JOURNALS, "parties", "timeline")} | {"suspects": []}
    place = {"region": "us-east-1", "account": "123456789012", "server": None, "folder": ""}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"schema": 3, "lab": "test", "place": place, "since": ""} | empty))


def test_a_server_of_then_is_gone(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """A state of a local AWS that runs no more: everything in it is gone, exit 0, and `down` forgets it."""
    path = tmp_path / ".plab" / "test.json"
    write_whole(path)
    elsewhere(server="token of then")(path)
    for command in (("status",), ("down", "-y")):
        ran = run(*command)
        assert (ran.code, "No local AWS runs in this folder, so no lab is there" in ran.err) == (0, True)
    assert not path.exists()
    assert at_cloud.calls() == []


def test_a_live_holder_is_named(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`up`, `down` and `verify` beside a process that works on the lab: exit 1; who only reads goes on."""
    with lock.in_folder(tmp_path, "test"):
        for command in (("up",), ("down", "-y"), ("verify",)):
            ran = run(*command)
            assert (ran.code, "Another plab is at work on this lab: process" in ran.err) == (1, True)
        assert run("status").code == 0
    assert at_cloud.changes() == []
    (tmp_path / ".plab" / "test.lock").write_text("process 1 since 00:00:00\n")  # of one that was killed
    assert run("down", "-y").code == 0
