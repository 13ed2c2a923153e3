"""Two plabs on one lab: the second one names the process that holds the lock, and no lock file is left behind."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.cloud import config_of

from privatelink_lab import lock, state
from privatelink_lab.aws import Address
from privatelink_lab.commands import Options
from privatelink_lab.commands.lab_session import Session
from privatelink_lab.errors import StateError
from privatelink_lab.state import Place
from privatelink_lab.ui.output import Screen

HERE = Place("us-east-1", "123456789012")
HOLD = """
import sys
from pathlib import Path
from privatelink_lab import lock

with lock.in_folder(Path(sys.argv[1]), "test"):
    print("held", flush=True)
    sys.stdin.read()
"""


def locks_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the machine's locks, in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder / "cache" / "plab" / "locks"


def file_in(folder: Path) -> Path:
    """The lock file of the lab `test`."""
    return state.path_of(folder, "test").with_suffix(".lock")


def test_a_live_process_holds_the_lock_and_a_dead_one_does_not(tmp_path: Path) -> None:
    """The second `up` names the process of the first; when that is killed the lab is free at once."""
    with subprocess.Popen(  # our own interpreter
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateError) as caught, lock.in_folder(tmp_path, "test"):
            pass
        words = rf"Another plab is at work on this lab: process {holder.pid} since \d\d:\d\d:\d\d\."
        assert re.fullmatch(words, caught.value.message)
        assert "Ctrl-C" in caught.value.hint
        with lock.in_folder(tmp_path, "other"):
            pass
        holder.kill()
        holder.wait()
        with lock.in_folder(tmp_path, "test"):
            pass


def test_a_lock_is_free_after_its_block(tmp_path: Path) -> None:
    """One run after the other takes the lock, also when one of them failed; nothing stays of it."""
    path = file_in(tmp_path)
    with pytest.raises(ZeroDivisionError), lock.in_folder(tmp_path, "test"):
        raise ZeroDivisionError
    with lock.in_folder(tmp_path, "test"), pytest.raises(StateError), lock.in_folder(tmp_path, "test"):
        pass
    with lock.in_folder(tmp_path, "test"):
        text = path.read_text(encoding="utf-8")
    assert re.fullmatch(rf"process {os.getpid()} since \d\d:\d\d:\d\d\n", text)
    assert not path.exists()


def test_a_lock_file_that_its_holder_has_just_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs never hold two files of one name: who locked the removed one opens again."""
    path: Path = file_in(tmp_path)
    found: list[int] = []
    real = fcntl.flock

    def remove_first(file: Any, how: int) -> None:
        real(file, how)
        found.append(path.stat().st_ino)
        if len(found) == 1:
            path.unlink()

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with lock.in_folder(tmp_path, "test"):
        assert path.exists()
    assert len(found) == 2


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """Where no lock file can be, one sentence says so."""
    (tmp_path / state.FOLDER).write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(StateError, match=r"lock file .* cannot be opened"), lock.in_folder(tmp_path, "test"):
        pass


def test_another_folder_is_no_other_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same user, account, region and name in a second folder: refused, with the first folder's path."""
    locks = locks_in(tmp_path, monkeypatch)
    there = tmp_path / "there"
    with lock.on_machine(HERE, "", "test", there):
        with pytest.raises(StateError, match=f"process {os.getpid()} since .* in {there}"):
            lock.on_machine(HERE, "", "test", tmp_path).__enter__()
        for place, url, lab in (
            (Place("us-east-2", HERE.account), "", "test"),
            (Place(HERE.region, "222222222222"), "", "test"),
            (HERE, "http://127.0.0.1:1", "test"),
            (HERE, "", "other"),
        ):
            with lock.on_machine(place, url, lab, tmp_path):
                pass
    assert list(locks.iterdir()) == []


def test_a_link_under_the_name_of_a_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link under the lock's name does not make plab write into another file."""
    locks = locks_in(tmp_path, monkeypatch)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    names: list[Path] = []
    with lock.on_machine(HERE, "", "test", tmp_path):
        names += locks.iterdir()
    names[0].symlink_to(victim)
    with pytest.raises(StateError, match="cannot be opened"):
        lock.on_machine(HERE, "", "test", tmp_path).__enter__()
    assert victim.read_text() == "precious"


def test_a_server_is_one_place_however_it_is_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--local` in one folder and AWS_ENDPOINT_URL in another lead to the same lock; a slash at its end is nothing."""
    locks_in(tmp_path, monkeypatch)
    local = Session(Options("up"), Screen(), tmp_path, config_of(), state.State("test"))
    local.address = Address("http://127.0.0.1:1", "id", "secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/")
    by_variable = Session(Options("up"), Screen(), tmp_path, config_of(), state.State("test"))
    with lock.on_machine(HERE, local.url, "test", tmp_path), pytest.raises(StateError):
        lock.on_machine(HERE, by_variable.url, "test", tmp_path).__enter__()


def test_a_machine_without_a_home_has_no_such_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container without a folder of the user: plab works there."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with lock.on_machine(HERE, "", "test", tmp_path), lock.on_machine(HERE, "", "test", tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o755])
def test_a_folder_of_locks_that_others_can_use_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    """Another user could hold or fill the files in it: one sentence says which folder."""
    locks = locks_in(tmp_path, monkeypatch)
    with lock.on_machine(HERE, "", "test", tmp_path):
        locks.chmod(mode)
    with pytest.raises(StateError, match="is not yours alone"):
        lock.on_machine(HERE, "", "test", tmp_path)


def test_what_a_lock_file_says_is_short(tmp_path: Path) -> None:
    """A file that somebody has filled does not fill the terminal."""
    path = file_in(tmp_path)
    with lock.in_folder(tmp_path, "test"):
        path.write_text("x" * 1_000_000)
        with pytest.raises(StateError) as caught, lock.in_folder(tmp_path, "test"):
            pass
    assert len(caught.value.message) < 1000
