"""The board: one row per step, computed from the events. Pure: the same events and time give the same rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from privatelink_lab.events import Event, Finished, KeyEvent, Started, Waiting, duration

TODO, BUSY, DONE, HELD, FAILED = "todo", "busy", "done", "held", "failed"
DOING = {
    "start": "starting",
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "accept": "accepting",
    "reject": "rejecting",
}


@dataclass(frozen=True)
class BoardRow:
    """One line: the step, its mark, the AWS states of its resources, seconds so far, and what it waits for."""

    step: str
    mark: str
    words: str
    seconds: float | None
    waits_for: str


@dataclass
class _StepState:
    keys: dict[str, tuple[str, str]] = field(default_factory=dict)  # the mark and the word of each
    began: float | None = None
    ended: float | None = None


class Board:
    """Takes events with `apply`, and gives `rows`. `plan` has the (step, key) pairs in order."""

    def __init__(self, plan: Iterable[tuple[str, str]]) -> None:
        self._steps: dict[str, _StepState] = {}
        for step, key in plan:
            self._steps.setdefault(step, _StepState()).keys[key] = (TODO, "")

    def apply(self, event: Event, now: float) -> None:
        """Take one event into account; `now` in seconds."""
        if not isinstance(event, KeyEvent):
            return
        state = self._steps.setdefault(event.step, _StepState())
        state.began = now if state.began is None else state.began
        state.keys[event.key] = _mark_and_word(event)
        over = all(mark not in {TODO, BUSY} for mark, _ in state.keys.values())
        state.ended = now if over else None

    def end(self) -> None:
        """Nothing is at work any more: what has not ended was not finished, or not tried."""
        for state in self._steps.values():
            state.keys = {
                key: (TODO, "not finished") if mark == BUSY else (mark, word)
                for key, (mark, word) in state.keys.items()
            }

    def rows(self, now: float) -> list[BoardRow]:
        """The rows at `now`, in the order of the steps."""
        return [_row(step, state, now) for step, state in self._steps.items()]


def _mark_and_word(event: KeyEvent) -> tuple[str, str]:
    match event:
        case Started():
            return BUSY, DOING.get(event.action, event.action)
        case Waiting():
            limit = f" ({duration(event.limit)} at most)" if event.limit and event.detail else ""
            return BUSY, f"{event.detail}{limit}"
        case Finished():
            return (HELD if event.phase == "held" else DONE), event.detail
    return FAILED, "failed"


def _row(step: str, state: _StepState, now: float) -> BoardRow:
    marks = [mark for mark, _ in state.keys.values()]
    end = now if state.ended is None else state.ended
    seconds = None if state.began is None else end - state.began
    busy = [f"{key} {word}".strip() for key, (mark, word) in state.keys.items() if mark == BUSY]
    return BoardRow(step, _mark(marks), _words(state), seconds, busy[0] if busy else "")


def _mark(marks: list[str]) -> str:
    for mark in (FAILED, BUSY, HELD):
        if mark in marks:
            return mark
    if TODO not in marks:
        return DONE
    return BUSY if DONE in marks else TODO


def _words(state: _StepState) -> str:
    """Each state once, with its count: `available x3, in place`."""
    words = [word for _, word in state.keys.values() if word]
    counts = {word: words.count(word) for word in words}
    return ", ".join(f"{word} x{count}" if count > 1 else word for word, count in counts.items())
