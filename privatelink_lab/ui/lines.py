"""Plain lines for a pipe, JSON lines for a program: one per change, never per tick."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import IO, Any

from privatelink_lab.events import Accepted, Event, Failed, Finished, Rejected, Started, Waiting
from privatelink_lab.ui.board import DOING


class PlainLines:
    """One line per change on `stream`: seconds, step, key, AWS's word."""

    def __init__(self, stream: IO[str], began: float, now: Callable[[], float]) -> None:
        self._stream, self._began, self._now = stream, began, now

    def tell(self, event: Event) -> None:
        """Write the event's line, if a person wants one."""
        said = _said(event)
        if said:
            print(f"{self._now() - self._began:6.1f}s  {said}", file=self._stream, flush=True)


def _said(event: Event) -> str:
    match event:
        case Started():
            return f"{event.key}: {DOING.get(event.action, event.action)} {event.id}".rstrip()
        case Waiting():
            return f"{event.key}: {event.detail}" if event.detail else ""
        case Finished():
            return f"{event.key}: {event.detail}  {event.id}".rstrip()
        case Failed():
            return f"{event.key}: FAILED: {event.error}"
        case Accepted() | Rejected():
            return f"{event.endpoint} of account {event.owner}: {event.state}"
    return ""


class JsonLines:
    """One JSON object per event on `stream`."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def tell(self, event: Event) -> None:
        """Write the event."""
        self.write(event.as_json())

    def write(self, data: dict[str, Any]) -> None:
        """Write one object on one line."""
        print(json.dumps(data, ensure_ascii=False), file=self._stream, flush=True)


class Silence:
    """For --quiet: only the summary, which the screen prints."""

    def tell(self, event: Event) -> None:
        """Say nothing."""
