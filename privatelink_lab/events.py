"""What happens in a run, as frozen values: the engine emits them and `ui` shows them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from privatelink_lab.errors import PlabError


@dataclass(frozen=True)
class Event:
    """One moment of a run; `as_json` is the documented contract of `--json`."""

    event: ClassVar[str]

    def as_json(self) -> dict[str, Any]:
        """The event as JSON data: its name first, then its fields, errors as error objects."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"event": self.event} | {
            name: value.as_json() if isinstance(value, PlabError) else value for name, value in values.items()
        }


@dataclass(frozen=True)
class KeyEvent(Event):
    """What happens to one key: the events of the board."""

    key: str
    step: str


@dataclass(frozen=True)
class Started(KeyEvent):
    """A call is sent; `action` is create, update, delete, accept or reject."""

    event: ClassVar[str] = "started"
    action: str
    id: str = ""


@dataclass(frozen=True)
class Waiting(KeyEvent):
    """The key waits for AWS, or for another person; `detail` is AWS's own word.

    After `limit` seconds plab gives the wait up; None: it waits as long as it takes.
    """

    event: ClassVar[str] = "waiting"
    id: str
    detail: str
    limit: float | None = None


@dataclass(frozen=True)
class Finished(KeyEvent):
    """The key is as asked (`phase` ready or held), or gone (`phase` deleted)."""

    event: ClassVar[str] = "finished"
    id: str
    phase: str
    detail: str


@dataclass(frozen=True)
class Failed(KeyEvent):
    """The key has failed. What depends on it stops, and the rest goes on."""

    event: ClassVar[str] = "failed"
    error: PlabError


@dataclass(frozen=True)
class Explained(KeyEvent):
    """A wait is long: what the judge of `plab why` says of it, and the last lines of the server's console."""

    event: ClassVar[str] = "explained"
    text: str


@dataclass(frozen=True)
class Decided(Event):
    """A connection is as the provider decided; `owner` is the account of its endpoint."""

    endpoint: str
    owner: str
    consumer: str | None
    state: str


class Accepted(Decided):
    """A connection was accepted and is available."""

    event = "accepted"


class Rejected(Decided):
    """A connection was rejected or cut."""

    event = "rejected"


@dataclass(frozen=True)
class Ruled(Event):
    """What the rules say of a connection that waits; `reason` is a word that is never renamed."""

    event: ClassVar[str] = "ruled"
    endpoint: str
    owner: str
    region: str
    customer: str | None
    reason: str
    detail: str


@dataclass(frozen=True)
class Unanswered(Event):
    """No usable answer has come from a service of AWS for a minute; `error` is the last thing that went wrong there."""

    event: ClassVar[str] = "unanswered"
    source: str
    error: PlabError


@dataclass(frozen=True)
class Verified(Event):
    """What came back to a consumer from its endpoint.

    `hop` names the broken hop, and is None where none is broken; `fix` is the command that repairs it. `also` is what
    is true and lets packets pass. `addresses` have answered; an endpoint has one address per zone. The times are
    milliseconds: p50, max, and the times of all requests in order.
    """

    event: ClassVar[str] = "verified"
    consumer: str
    ok: bool
    addresses: list[str]
    status: int | None = None
    body: str | None = None
    connect_ms: dict[str, Any] | None = None
    total_ms: dict[str, Any] | None = None
    hop: str | None = None
    detail: str = ""
    fix: str = ""
    also: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Summary(Event):
    """The last event of every run; `result` is the command's report."""

    event: ClassVar[str] = "summary"
    command: str
    exit_code: int
    result: dict[str, Any]
    error: PlabError | None = None

    def as_json(self) -> dict[str, Any]:
        """As for every event; the result's keys stand beside `exit_code`, and `error` only where there is one."""
        data = super().as_json()
        del data["result"]
        if self.error is None:
            del data["error"]
        return data | self.result


Emit = Callable[[Event], None]


MINUTES_PER_DAY = 24 * 60


def duration(seconds: float) -> str:
    """So many seconds as a person reads them: `45 s`, `20 min`, `1 h 5 min`, `3 d 4 h`."""
    minutes = round(seconds / 60)
    if minutes >= 2 * MINUTES_PER_DAY:
        days, rest = divmod(minutes, MINUTES_PER_DAY)
        return f"{days} d {rest // 60} h"
    if seconds < 60 or (seconds < 100 and seconds % 60):  # noqa: PLR2004 (90 s says more than 2 min)
        return f"{seconds:.0f} s"
    hours, rest = divmod(minutes, 60)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{rest} min" if rest or not hours else "")))
