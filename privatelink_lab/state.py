"""The state file: a cache and a journal beside the config. The tags in AWS are the truth.

`.plab/<lab>.json`, mode 0600, written atomically (draft, fsync, replace) before and after each wave of creates;
a write error is an error. A lost file costs one snapshot and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from privatelink_lab.errors import AwsError, StateError, Unwritable
from privatelink_lab.text_file import read_text, write_own_text
from privatelink_lab.timeline import Timeline

SCHEMA = 3
FOLDER = ".plab"
LOST_CREATE_PERIOD = 3600.0  # seconds in which the effect of a lost create may still appear
LOCAL_REGION = "us-east-1"  # of a local AWS, unless the config says another one
UNREADABLE = (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError)
JOURNALS: dict[str, type | tuple[type, ...]] = {
    "ids": str,
    "created_at": (int, float),
    "create_pending": (int, float),
    "sent_at": (int, float),
    "attempts": int,
    "lost_creates": (int, float),
    "made": dict,
    "refusals": dict,
    "intents": list,
}


@dataclass(frozen=True)
class Place:
    """Where a lab lives: the region, and which account or local server (and of which folder) answers there."""

    region: str
    account: str
    server: str | None = None  # the local server's token; None: AWS
    folder: str = ""  # of the local server

    @property
    def name(self) -> str:
        """In words: the account and region, or the local AWS."""
        here = "" if self.region == LOCAL_REGION else f", {self.region}"
        return (
            f"the local AWS ({self.folder}{here})" if self.server else f"account {self.account}, region {self.region}"
        )

    def same_as(self, other: Place) -> bool:
        """Whether both mean the same account, region and server."""
        return (self.region, self.account, self.server) == (other.region, other.account, other.server)


@dataclass(frozen=True)
class Party:
    """How to reach one party's account again, for a teardown after the config forgot it."""

    profile: str | None = None
    role_arn: str | None = None


@dataclass
class State:
    """What one lab remembers between runs; only the engine's loop changes it."""

    lab: str
    path: Path | None = None
    place: Place | None = None
    since: str = ""
    expires: str = ""  # RFC 3339 in UTC; '' for a lab that does not end by itself
    ids: dict[str, str] = field(default_factory=dict)  # key -> id, from our own create calls
    created_at: dict[str, float] = field(default_factory=dict)  # key -> epoch seconds; no snapshot has shown it yet
    create_pending: dict[str, float] = field(default_factory=dict)  # key -> epoch seconds; a create without an answer
    sent_at: dict[str, float] = field(default_factory=dict)  # key -> epoch seconds; its own create, as its tag says it
    attempts: dict[str, int] = field(default_factory=dict)  # key -> how many of it are gone
    lost_creates: dict[str, float] = field(default_factory=dict)  # key -> epoch seconds; without answer and effect
    made: dict[str, dict[str, str]] = field(default_factory=dict)  # id -> its tags of plab
    intents: dict[str, list[str]] = field(default_factory=dict)  # key -> what its update is about to make, by name
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)  # key -> what AWS said of its last call
    suspects: list[str] = field(default_factory=list)  # ids that agree with their tags, and that this lab did not make
    parties: dict[str, Party] = field(default_factory=dict)
    timeline: Timeline | None = None  # of the last run that changed anything
    warn: Callable[[str], None] | None = None  # told once when the disk refuses; without it that is an error

    def record_pending(self, key: str, now: float) -> None:
        """Note a create that goes out now; one that was lost goes out as it was."""
        self.create_pending[key] = now
        if not (key in self.sent_at and self.is_lost(key, now)):
            self.sent_at[key] = now

    def is_lost(self, key: str, now: float) -> bool:
        """Whether a create of the key has had no answer and no effect, so recently that this may still appear."""
        return 0 <= now - self.lost_creates.get(key, now + 1) < LOST_CREATE_PERIOD

    def record_created(self, key: str, id_: str, now: float, tags: Mapping[str, str]) -> None:
        """Note the answer to a create, and the tags that it was asked to give."""
        self.create_pending.pop(key, None)
        self.refusals.pop(key, None)
        self.ids[key], self.created_at[key] = id_, now
        self.record_tags(id_, tags)

    def record_seen(self, key: str, id_: str) -> None:
        """Note that a snapshot has shown the id under a key: from now on its absence means that it is gone."""
        self.create_pending.pop(key, None)
        self.created_at.pop(key, None)
        self.refusals.pop(key, None)
        self.ids.setdefault(key, id_)

    def record_refused(self, key: str, error: AwsError) -> None:
        """Note AWS's refusal of the call that makes or changes a resource: `plab why` judges it."""
        self.refusals[key] = {"operation": error.operation, "code": error.code, "message": error.message}

    def record_tags(self, id_: str, tags: Mapping[str, str]) -> None:
        """Note the tags of what this lab has made; a rule or a registration has none."""
        if tags:
            self.made[id_] = dict(tags)

    def record_lost(self, key: str, now: float) -> None:
        """Note that a create had no answer and has shown no effect: what appears soon is ours all the same."""
        if self.create_pending.pop(key, None) is not None:
            self.lost_creates[key] = now

    def record_suspects(self, ids: Iterable[str]) -> None:
        """Note what bears the tags of this lab and was not made by it."""
        self.suspects = sorted({*self.suspects, *ids})

    def record_gone(self, key: str) -> None:
        """Note that what a create made is gone: the next create gets a new token."""
        self.ids.pop(key, None)
        self.created_at.pop(key, None)
        self.create_pending.pop(key, None)
        self.sent_at.pop(key, None)
        self.attempts[key] = self.attempts.get(key, 0) + 1

    def forget(self, *, on_disk: bool) -> None:
        """Drop everything: the place that held the lab is gone. Only a command that holds the lock does so on disk."""
        fresh = State(lab=self.lab, path=self.path, parties=self.parties)  # how to reach them has not changed
        vars(self).update(vars(fresh))
        if self.path and on_disk:
            self.path.unlink(missing_ok=True)

    def save(self) -> None:
        """Write the file; raises Unwritable when the disk refuses. Without a path (tests) nothing is written.

        A `down` sets `warn`: it goes on deleting without a file.
        """
        if self.path is None:
            return
        data = self._as_dict()
        del data["path"], data["warn"]
        try:
            _write(self.path, data)
        except Unwritable as error:
            if self.warn is None:
                raise
            self.warn(f"{error} plab goes on without it.")
            self.path = None

    def _as_dict(self) -> dict[str, Any]:
        return asdict(replace(self, warn=None))

    def without_file(self) -> State:
        """A copy that is never written to disk."""
        return replace(self, path=None)

    def archive(self) -> None:
        """Remove the file of a lab that is gone; where it was and its timeline stay as `<lab>.last.json`.

        A disk that refuses this keeps an old file: the next run finds nothing of it in AWS.
        """
        if self.path is None:
            return
        kept = self._as_dict()
        with suppress(Unwritable, OSError):
            if self.timeline:  # else what an earlier run has left stays
                _write(_last_path_of(self.path), {name: kept[name] for name in ("lab", "since", "place", "timeline")})
            self.path.unlink(missing_ok=True)


def path_of(folder: Path, lab: str) -> Path:
    """Where the state of `lab` lies when its config lies in `folder`."""
    return folder / FOLDER / f"{lab}.json"


def _last_path_of(path: Path) -> Path:
    return path.with_suffix(".last.json")


def last_timeline(folder: Path, lab: str) -> Timeline | None:
    """The timeline of the last run of a lab that is gone; None where there is none that can be read."""
    try:
        return Timeline.of(_last(folder, lab)["timeline"])
    except UNREADABLE:
        return None


def last_place(folder: Path, lab: str) -> Place | None:
    """Where a lab that is gone was; None where nothing says so."""
    try:
        return Place(**_last(folder, lab)["place"])
    except UNREADABLE:
        return None


def _last(folder: Path, lab: str) -> Any:
    return json.loads(_last_path_of(path_of(folder, lab)).read_text(encoding="utf-8"))


def load(folder: Path, lab: str) -> State:
    """The state of `lab`, or a new one when there is none.

    Raises StateError for a damaged file, another lab's, or one that a newer plab wrote.
    """
    path = path_of(folder, lab)
    try:
        state = _state_of(json.loads(read_text(path)), path)
    except FileNotFoundError:
        return State(lab=lab, path=path)
    except OSError as error:
        raise StateError(f"The state file {path} cannot be read: {error.strerror}.") from None
    except UNREADABLE:
        raise StateError(
            f"The state file {path} is damaged.",
            hint=f"Move it away (mv {path} {path}.bad) and run the command again: plab finds the lab by its tags.",
        ) from None
    if state.lab != lab:
        raise StateError(f"The state file {path} is of the lab {state.lab!r}, not {lab!r}.")
    return state


def _state_of(data: dict[str, Any], path: Path) -> State:
    schema = data.pop("schema")
    if schema != SCHEMA:
        raise StateError(
            f"The state file {path} has schema {schema}; this plab writes {SCHEMA}.", hint="Use the plab that wrote it."
        )
    place, timeline = data.pop("place"), data.pop("timeline")
    data = {"refusals": {}, "intents": {}, "sent_at": {}} | data  # a state of before
    for journal, type_ in JOURNALS.items():
        if not all(isinstance(value, type_) for value in data[journal].values()):
            raise TypeError(journal)
    if not (isinstance(data["suspects"], list) and all(isinstance(id_, str) for id_ in data["suspects"])):
        raise TypeError("suspects")
    return State(
        path=path,
        place=Place(**place) if place else None,
        parties={name: Party(**party) for name, party in data.pop("parties").items()},
        timeline=Timeline.of(timeline) if timeline and "command" in timeline else None,  # for show only
        **data,
    )


def _write(path: Path, data: dict[str, Any]) -> None:
    """Write `data` atomically into a file that only its owner may read; raises StateError when that fails."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_own_text(path, json.dumps({"schema": SCHEMA} | data, indent=1) + "\n")
    except OSError as error:
        raise Unwritable(
            f"The state file {path} cannot be written: {error.strerror}.",
            hint="Make the folder writable; what exists in AWS is tagged, so the next run finds it.",
        ) from None
