"""Plain lines for a pipe: one for each change, none for a poll that shows no change."""

from __future__ import annotations

from privatelink_lab.events import Decided, Event, Failed, Finished, Started, Waiting
from privatelink_lab.ui.board import DOING


def plain_text(event: Event) -> str:
    """The text of an event, without its error, which the screen shows; '' for an event that only programs need."""
    match event:
        case Started():
            return f"{event.key}: {DOING.get(event.action, event.action)} {event.id}".rstrip()
        case Waiting():
            return f"{event.key}: {event.detail}" if event.detail else ""
        case Finished():
            return f"{event.key}: {event.detail}  {event.id}".rstrip()
        case Failed():
            return f"{event.key}: failed"
        case Decided():
            return f"{event.endpoint} of account {event.owner}: {event.state}"
    return ""
