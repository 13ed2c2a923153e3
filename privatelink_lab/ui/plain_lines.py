"""Plain lines for a pipe: one for each change, none for a poll that shows no change."""

from __future__ import annotations

from privatelink_lab.events import Decided, Event, Explained, Failed, Finished, Ruled, Started, Unanswered, Waiting
from privatelink_lab.ui.board import DOING


def plain_text(event: Event) -> str:
    """The text of an event, without its error, which the screen shows; '' for an event that only programs need."""
    match event:
        case Started():
            text = f"{event.key}: {DOING.get(event.action, event.action)} {event.id}".rstrip()
        case Waiting():
            text = f"{event.key}: {event.detail}" if event.detail else ""
        case Finished():
            text = f"{event.key}: {event.detail}  {event.id}".rstrip()
        case Failed():
            text = f"{event.key}: failed"
        case Explained():
            text = f"{event.key}: {event.text}"
        case Unanswered():
            text = f"{event.source} has given no usable answer for a minute: {event.error}"
        case Ruled():
            text = f"{event.endpoint} of account {event.owner}: {event.reason} ({event.detail})"
        case Decided():
            text = f"{event.endpoint} of account {event.owner}: {event.state}"
        case _:
            text = ""
    return text
