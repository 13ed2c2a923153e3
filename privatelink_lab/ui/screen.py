"""Which way to show things: a live board on a terminal, plain lines in a pipe, JSON for a program, or nothing.

stdout is data, stderr is talk. `CI` and `NO_COLOR` count as a pipe.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from privatelink_lab.events import Event
from privatelink_lab.ui.bars import fitted
from privatelink_lab.ui.lines import JsonLines, PlainLines, Silence

if TYPE_CHECKING:
    from privatelink_lab.ui.live import LiveBoard


class Screen:
    """Everything that one command shows."""

    def __init__(self, *, json: bool = False, quiet: bool = False) -> None:
        self.json = json
        self.quiet = quiet
        self._live: LiveBoard | None = None
        began = time.monotonic()
        self._lines: JsonLines | PlainLines | Silence = PlainLines(sys.stderr, began, time.monotonic)
        if json:
            self._lines = JsonLines(sys.stdout)
        elif quiet:
            self._lines = Silence()

    def open_board(self, plan: Iterable[tuple[str, str]]) -> None:
        """Show the live board of these (step, key) pairs, where a person watches a terminal."""
        plain = (
            os.environ.get("CI") or "NO_COLOR" in os.environ or os.environ.get("TERM", "dumb") in {"dumb", "unknown"}
        )
        if self.json or self.quiet or not sys.stderr.isatty() or plain:
            return
        from privatelink_lab.ui.live import LiveBoard  # rich costs a tenth of a second: only where it draws

        self._live = LiveBoard(sys.stderr, plan)

    def close_board(self) -> None:
        """Leave the board's last state on the terminal and stop drawing."""
        if self._live:
            self._live.stop()
            self._live = None

    def tell(self, event: Event) -> None:
        """Show one event."""
        if self._live:
            self._live.tell(event)
        else:
            self._lines.tell(event)

    def say(self, text: str) -> None:
        """Talk to the person, unless there is none."""
        if self.json or self.quiet:
            return
        if self._live:
            self._live.say(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Say something that also --quiet must not hide; with --json the summary carries it."""
        if not self.json:
            print(text, file=sys.stderr, flush=True)

    def out(self, text: str) -> None:
        """Write data for a person to stdout."""
        print(text, flush=True)

    def data(self, data: dict[str, Any]) -> None:
        """Write one JSON object to stdout."""
        JsonLines(sys.stdout).write(data)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Write a table to stdout."""
        from privatelink_lab.ui.live import print_table

        print_table(sys.stdout, columns, rows)

    def bars(self, timeline: dict[str, Any]) -> None:
        """Write a run's timeline to stdout."""
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        so_far = "" if timeline["over"] else " so far: it was stopped, or is still at work"
        print(f"{timeline['command']}, {timeline['began']}: {timeline['seconds']:.1f} s{so_far}.", flush=True)
        self.table(*fitted(timeline, unicode=unicode, columns=columns))
        print(f"The chain that decides it: {' -> '.join(timeline['chain'])}", flush=True)
