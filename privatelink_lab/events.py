"""What happened, as frozen values: the engine emits them, `ui` shows them, nothing else prints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from privatelink_lab.errors import PlabError


@dataclass(frozen=True)
class Event:
    """One moment; `as_json` is the documented contract of `--json`."""

    event: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """The event as JSON data: its name first, then its fields, errors as error objects."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"event": self.event} | {
            name: value.as_json() if isinstance(value, PlabError) else value for name, value in values.items()
        }


@dataclass(frozen=True)
class Started(Event):
    """A call goes out: `action` is create, update, delete, accept or reject."""

    event: ClassVar[str] = "started"
    key: str
    step: str
    action: str
    id: str = ""


@dataclass(frozen=True)
class Waiting(Event):
    """AWS, or somebody else, is at work; `detail` is AWS's own word."""

    event: ClassVar[str] = "waiting"
    key: str
    step: str
    id: str
    detail: str


@dataclass(frozen=True)
class Finished(Event):
    """The key is as asked (`phase` ready, held) or gone (`phase` deleted)."""

    event: ClassVar[str] = "finished"
    key: str
    step: str
    id: str
    phase: str
    detail: str


@dataclass(frozen=True)
class Failed(Event):
    """The key will not get there; what needs it stops, the rest goes on."""

    event: ClassVar[str] = "failed"
    key: str
    step: str
    error: PlabError


@dataclass(frozen=True)
class Accepted(Event):
    """A connection was admitted and is available."""

    event: ClassVar[str] = "accepted"
    endpoint: str
    owner: str
    consumer: str | None
    state: str


@dataclass(frozen=True)
class Rejected(Event):
    """A connection was refused or cut."""

    event: ClassVar[str] = "rejected"
    endpoint: str
    owner: str
    consumer: str | None
    state: str


@dataclass(frozen=True)
class Verified(Event):
    """What came back to a consumer from its endpoint; `hop` names what is broken, None where nothing is.

    `addresses` are those that answered: one in each zone of the endpoint. The times are milliseconds: p50, max, and
    those of each request in order.
    """

    event: ClassVar[str] = "verified"
    consumer: str
    ok: bool
    addresses: list[str]
    status: int | None
    body: str | None
    connect_ms: dict[str, Any] | None
    total_ms: dict[str, Any] | None
    hop: str | None
    detail: str


@dataclass(frozen=True)
class Summary(Event):
    """The last event of every run; `result` holds what the command reports."""

    event: ClassVar[str] = "summary"
    command: str
    exit_code: int
    result: dict[str, Any]
    error: PlabError | None = None

    def as_json(self) -> dict[str, Any]:
        """As every event, with the result's keys beside `exit_code` and no empty error."""
        data = super().as_json()
        del data["result"]
        if self.error is None:
            del data["error"]
        return data | self.result


Emit = Callable[[Event], None]
