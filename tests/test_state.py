"""The state file: what survives a crash, a full disk, and a damaged file."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from privatelink_lab import state
from privatelink_lab.errors import StateError
from privatelink_lab.state import Party, Place, State
from privatelink_lab.timeline import Span, Timeline


def saved(folder: Path) -> State:
    """A state with something in every field, on disk."""
    full = State(
        lab="test",
        path=state.path_of(folder, "test"),
        place=Place("us-east-1", "123456789012", "token", folder="/lab"),
        since="2026-08-01T10:00:00Z",
        ids={"provider/vpc": "vpc-1"},
        created_at={"provider/vpc": 1.5},
        create_pending={"provider/subnet-1": 2.5},
        attempts={"provider/nlb": 2},
        lost_creates={"acme/vpc": 3.0},
        made={"vpc-1": {"plab:lab": "test"}},
        suspects=["vpc-2"],
        parties={"provider": Party(), "acme": Party("p", "arn:aws:iam::123456789012:role/r")},
        timeline=Timeline(
            "up",
            1.0,
            1.5,
            over=False,
            spans={"provider/vpc": Span(0.0, 1.25), "provider/nlb": Span(1.25, None, "provider/vpc")},
        ),
    )
    full.save()
    return full


def path_in(folder: Path) -> Path:
    """The state file of the lab `test`."""
    return state.path_of(folder, "test")


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """The next run knows everything that the last one knew."""
    full = saved(tmp_path)
    assert state.load(tmp_path, "test") == full


def test_without_a_file_a_lab_is_new(tmp_path: Path) -> None:
    """Without its file a lab has an empty state, and loading writes nothing."""
    assert state.load(tmp_path, "test") == State(lab="test", path=path_in(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """The file is 0600 and its folder 0700, also under a lax umask; no temporary file stays behind."""
    before = os.umask(0)
    try:
        saved(tmp_path)
    finally:
        os.umask(before)
    assert path_in(tmp_path).stat().st_mode & 0o777 == 0o600
    assert path_in(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in path_in(tmp_path).parent.iterdir()] == ["test.json"]


def test_a_state_without_a_path_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that lives in memory only stays there."""
    monkeypatch.chdir(tmp_path)
    memory = State(lab="test")
    memory.save()
    memory.archive()
    memory.forget(on_disk=True)
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_short_anywhere_is_damaged(tmp_path: Path) -> None:
    """After a crash of the disk the user reads that the file is damaged and how to go on without it."""
    saved(tmp_path)
    path = path_in(tmp_path)
    whole = path.read_bytes()
    for end in range(len(whole.rstrip())):
        path.write_bytes(whole[:end])
        with pytest.raises(StateError, match="is damaged") as caught:
            state.load(tmp_path, "test")
        assert caught.value.exit_code == 1
        assert f"mv {path} {path}.bad" in caught.value.hint
        assert "finds the lab by its tags" in caught.value.hint


@pytest.mark.parametrize("text", ["null", "5", '"test"', "[]", "{}", "[" * 100_000, "\0", '{"schema": 3}'])
def test_json_that_is_no_state_is_damaged(tmp_path: Path, text: str) -> None:
    """JSON of another program is a damaged state, not a traceback."""
    saved(tmp_path)
    path_in(tmp_path).write_text(text, encoding="utf-8")
    with pytest.raises(StateError, match="is damaged"):
        state.load(tmp_path, "test")


@pytest.mark.parametrize(
    "name",
    [
        "place",
        "ids",
        "created_at",
        "create_pending",
        "attempts",
        "lost_creates",
        "made",
        "suspects",
        "parties",
        "timeline",
    ],
)
@pytest.mark.parametrize("value", [[], 5, "x", {"x": {"nonsense": 1}, "nonsense": 1}])
def test_a_field_of_another_shape_is_damaged(tmp_path: Path, name: str, value: object) -> None:
    """A file that was edited by hand is damaged, unless its shape still fits."""
    saved(tmp_path)
    data = json.loads(path_in(tmp_path).read_text(encoding="utf-8")) | {name: value}
    path_in(tmp_path).write_text(json.dumps(data), encoding="utf-8")
    if name == "timeline" and value != 5:
        assert state.load(tmp_path, "test").timeline is None
    elif value == [] and name in {"place", "suspects"}:
        assert not getattr(state.load(tmp_path, "test"), name)
    else:
        with pytest.raises(StateError, match="is damaged"):
            state.load(tmp_path, "test")


def test_not_utf_8_is_damaged(tmp_path: Path) -> None:
    """A file full of rubbish is damaged, not a traceback."""
    saved(tmp_path)
    path_in(tmp_path).write_bytes(b"\xff" * 100)
    with pytest.raises(StateError, match="is damaged"):
        state.load(tmp_path, "test")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """An older plab does not overwrite what a newer one wrote; the user is sent to the newer one."""
    saved(tmp_path)
    path_in(tmp_path).write_text(json.dumps({"schema": 4, "lab": "test", "new": []}), encoding="utf-8")
    with pytest.raises(StateError, match=r"has schema 4; this plab writes 3\.") as caught:
        state.load(tmp_path, "test")
    assert caught.value.hint == "Use the plab that wrote it."


def test_another_labs_file_is_refused(tmp_path: Path) -> None:
    """A copied state file does not lead `down` to the other lab's resources."""
    saved(tmp_path)
    path_in(tmp_path).rename(state.path_of(tmp_path, "other"))
    with pytest.raises(StateError, match="is of the lab 'test', not 'other'"):
        state.load(tmp_path, "other")


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """A state that cannot be written stops the run before AWS is asked for more, and says so."""
    (tmp_path / state.FOLDER).write_text("a file where the folder should be", encoding="utf-8")
    with pytest.raises(StateError, match=r"cannot be written: File exists\.") as caught:
        saved(tmp_path)
    assert "Make the folder writable" in caught.value.hint
    with pytest.raises(StateError, match=r"cannot be read: Not a directory\."):
        state.load(tmp_path, "test")


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    """When the new state cannot take the old one's place, no half-written file is left beside it."""
    path_in(tmp_path).mkdir(parents=True)
    with pytest.raises(StateError, match=r"cannot be written: Is a directory\."):
        saved(tmp_path)
    assert [path.name for path in path_in(tmp_path).parent.iterdir()] == ["test.json"]


@pytest.mark.skipif(os.getuid() == 0, reason="root may write into any folder")
def test_a_read_only_folder_is_an_error(tmp_path: Path) -> None:
    """A read-only checkout is one sentence."""
    path_in(tmp_path).parent.mkdir(mode=0o500)
    with pytest.raises(StateError, match=r"cannot be written: Permission denied\."):
        saved(tmp_path)


def test_a_finished_lab_leaves_its_timeline(tmp_path: Path) -> None:
    """After `down` with nothing left only `<lab>.last.json` stays, with the timeline."""
    full = saved(tmp_path)
    assert full.timeline
    assert full.place
    full.archive()
    last = path_in(tmp_path).with_suffix(".last.json")
    assert list(last.parent.iterdir()) == [last]
    assert json.loads(last.read_text(encoding="utf-8")) == {
        "schema": 3,
        "lab": "test",
        "since": "2026-08-01T10:00:00Z",
        "place": asdict(full.place),
        "timeline": asdict(full.timeline),
    }
    assert last.stat().st_mode & 0o777 == 0o600
    assert state.last_timeline(tmp_path, "test") == full.timeline
    assert state.last_place(tmp_path, "test") == full.place
    full.archive()
    assert state.load(tmp_path, "test") == State(lab="test", path=path_in(tmp_path))


def test_what_is_gone_gets_a_new_life() -> None:
    """A resource that AWS no longer has loses its id and its intent, and its next create gets a new token."""
    lab = State(lab="test", create_pending={"provider/vpc": 1.0})
    lab.record_created("provider/vpc", "vpc-1", 2.0, {})
    assert (lab.ids, lab.created_at, lab.create_pending) == ({"provider/vpc": "vpc-1"}, {"provider/vpc": 2.0}, {})
    lab.create_pending["provider/vpc"] = 3.0
    lab.record_gone("provider/vpc")
    lab.record_gone("provider/vpc")
    assert (lab.ids, lab.created_at, lab.create_pending) == ({}, {}, {})
    assert lab.attempts == {"provider/vpc": 2}


def test_a_place_that_is_no_more_is_forgotten(tmp_path: Path) -> None:
    """When the local AWS died nothing of its lab is left, in memory or on disk."""
    full = saved(tmp_path)
    full.forget(on_disk=True)
    full.forget(on_disk=True)
    assert full == State(lab="test", path=path_in(tmp_path), parties=full.parties)
    assert list(path_in(tmp_path).parent.iterdir()) == []


def test_places_are_the_same_by_account_region_and_server() -> None:
    """Who started the server does not make it another place; another account, region or server does."""
    here = Place("us-east-1", "123456789012", "token")
    assert here.same_as(Place("us-east-1", "123456789012", "token", folder="/lab"))
    assert not here.same_as(Place("us-east-1", "123456789012"))
    assert not here.same_as(Place("us-east-2", "123456789012", "token"))
    assert not here.same_as(Place("us-east-1", "210987654321", "token"))
    assert here.name == "the local AWS ()"
    assert Place("us-east-1", "123456789012").name == "account 123456789012, region us-east-1"
