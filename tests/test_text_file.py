"""A config or a state that is no plain text file: one sentence, at once, and never a traceback."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from privatelink_lab import state
from privatelink_lab.config import load
from privatelink_lab.errors import StateError, UsageError
from privatelink_lab.text_file import MOST, read_text, write_own_text

Make = Callable[[Path], object]

FILES: dict[str, tuple[Make, str]] = {
    "too big": (lambda path: path.write_bytes(b"# " + b"x" * MOST), "more than 1 MiB"),
    "a pipe without a writer": (os.mkfifo, "not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
    "UTF-16": (lambda path: path.write_bytes("lab: demo".encode("utf-16")), "UTF-16; save it as UTF-8"),
    "Latin-1": (lambda path: path.write_bytes("lab: dém\n".encode("latin-1")), "not UTF-8 (byte 6)"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_config_of_another_kind_is_named(tmp_path: Path, kind: str) -> None:
    """Plab ends with 2 and says what the file is."""
    make, words = FILES[kind]
    make(tmp_path / "plab.yaml")
    with pytest.raises(UsageError) as caught:
        load(tmp_path / "plab.yaml")
    assert words in str(caught.value)


@pytest.mark.parametrize("kind", FILES)
def test_a_state_of_another_kind_is_damaged(tmp_path: Path, kind: str) -> None:
    """Plab says that the state file is damaged, and how to go on without it."""
    path = state.path_of(tmp_path, "test")
    path.parent.mkdir()
    FILES[kind][0](path)
    with pytest.raises(StateError, match="is damaged"):
        state.load(tmp_path, "test")


def test_what_a_windows_editor_writes_is_read(tmp_path: Path) -> None:
    """A byte order mark and CRLF are no mistakes."""
    (tmp_path / "plab.yaml").write_bytes(b"\xef\xbb\xbflab: demo\r\nregion: us-east-1\r\n")
    assert load(tmp_path / "plab.yaml").lab == "demo"
    assert read_text(tmp_path / "plab.yaml").startswith("lab")


@pytest.mark.parametrize(("journal", "value"), [("ids", 7), ("created_at", "now"), ("attempts", 1.5), ("ids", None)])
def test_a_state_with_other_types_is_damaged(tmp_path: Path, journal: str, value: object) -> None:
    """A file that another program has changed is named, and is no defect of plab."""
    kept = state.State("test", state.path_of(tmp_path, "test"))
    getattr(kept, journal)["acme/vpc"] = value
    kept.save()
    with pytest.raises(StateError, match="is damaged"):
        state.load(tmp_path, "test")


def test_what_a_killed_process_left_of_a_write_goes_with_the_next_one(tmp_path: Path) -> None:
    """A kill in the middle of a write leaves its draft, once: afterwards the folder has the file alone."""
    file = tmp_path / "state.json"
    for _ in range(2):
        killed = os.fork()
        if not killed:
            setattr(os, "fsync", lambda _: os.kill(os.getpid(), signal.SIGKILL))  # noqa: B010
            write_own_text(file, "half")
        os.waitpid(killed, 0)
    assert len(list(tmp_path.iterdir())) == 1
    write_own_text(file, "whole")
    assert [(path.name, path.stat().st_mode & 0o777) for path in tmp_path.iterdir()] == [("state.json", 0o600)]
    assert read_text(file) == "whole"
