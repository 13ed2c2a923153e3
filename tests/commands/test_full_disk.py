"""A full disk or a read-only folder: `up` makes nothing that it cannot record, and `down` deletes all the same."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config


def no_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """No lock file can be opened."""
    plain = os.open

    def refuse(path: str | Path, *rest: Any, **more: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return plain(path, *rest, **more)

    monkeypatch.setattr("privatelink_lab.lock.os.open", refuse)


def no_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: no file can be made durable."""

    def refuse(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("privatelink_lab.text_file.os.fsync", refuse)


TROUBLES = {"no lock file": no_lock, "no room for the state": no_state}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_down_deletes_without_a_disk(
    at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """`down` says which file it cannot write, names the folder, deletes everything and ends with 0."""
    before = at_cloud.aws.inventory()
    write_config(tmp_path)
    assert run("up", "-q").code == 0
    with monkeypatch.context() as patched:
        TROUBLES[trouble](patched)
        ran = run("down", "-y", "-q")
    assert (ran.code, "Left: 0." in ran.out) == (0, True)
    assert "plab goes on without it." in ran.err
    assert ".plab" in ran.err or "/tmp" in ran.err  # noqa: S108  # the folder of a lock
    at_cloud.let_new_ids_propagate()
    assert at_cloud.aws.inventory() == before


@pytest.mark.parametrize("trouble", TROUBLES)
def test_up_makes_nothing_without_a_disk(
    at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """`up` stops with one sentence before it makes anything that it could not record."""
    before = at_cloud.aws.inventory()
    write_config(tmp_path)
    with monkeypatch.context() as patched:
        TROUBLES[trouble](patched)
        ran = run("up", "-q")
    assert ran.code == 1
    assert "cannot be" in ran.err
    assert "a defect of plab" not in ran.err
    assert at_cloud.aws.inventory() == before
