"""The live board on a terminal, and the tables of the reports. The only module that knows rich."""

from __future__ import annotations

import os
import termios
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import IO

from rich.cells import cell_len
from rich.console import Console, ConsoleRenderable, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from privatelink_lab.events import Event
from privatelink_lab.printable import on_one_line
from privatelink_lab.ui.board import BUSY, DONE, FAILED, HELD, TODO, Board
from privatelink_lab.ui.table_layout import laid_out

MARKS = {  # in Unicode and in ASCII, and the style
    TODO: ("·", ".", "dim"),
    BUSY: ("●", "*", "cyan"),
    DONE: ("✓", "+", "green"),
    HELD: ("◆", "=", "yellow"),
    FAILED: ("✗", "x", "red"),
}
WIDE = 100_000  # characters: in a pipe, no cell moves
NO_STYLES: Mapping[str, Mapping[str, str]] = {}


class LiveBoard:
    """One live line per step on a terminal. Call `stop` before anything else prints."""

    def __init__(self, stream: IO[str], plan: Iterable[tuple[str, str]]) -> None:
        self._board = Board(plan)
        self._lock = threading.Lock()
        self._console = Console(file=stream, highlight=False)
        self._live = Live(
            get_renderable=self._render, console=self._console, refresh_per_second=8, redirect_stdout=False
        )
        self._echo = _quiet_control_characters(stream)
        self._live.start()

    def show(self, event: Event) -> None:
        """Show the event on the board."""
        with self._lock:
            self._board.apply(event, time.monotonic())

    def say(self, text: str, *, style: str = "") -> None:
        """Print a text above the board."""
        self._live.console.print(Text(text, style=style), soft_wrap=True)

    def end(self) -> None:
        """Show that nothing is at work any more."""
        with self._lock:
            self._board.end()

    def stop(self) -> None:
        """Draw the last state, and stop using the terminal."""
        self._live.stop()
        if self._echo:
            self._echo()

    def _render(self) -> ConsoleRenderable:
        with self._lock:
            rows = self._board.rows(time.monotonic())
        table = Table.grid(padding=(0, 1), expand=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column()  # the only column that shrinks in a narrow window
        unicode = (self._console.encoding or "").lower().startswith("utf")
        for row in rows:
            sign, ascii_sign, style = MARKS[row.mark]
            mark = Text(sign if unicode else ascii_sign, style=style)
            seconds = "" if row.seconds is None else f"{row.seconds:.0f}s"
            words = Text(on_one_line(row.waits_for or row.words), no_wrap=True, overflow="ellipsis")
            table.add_row(mark, Text(row.step), Text(seconds, style="dim"), words)
        return Group(table)


def _quiet_control_characters(stream: IO[str]) -> Callable[[], None] | None:
    """Let the terminal write no `^C` into the board, whose rows would no longer fit; returns what undoes it."""
    try:
        descriptor = stream.fileno()
        before = termios.tcgetattr(descriptor)
        changed = [*before]
        changed[3] &= ~termios.ECHOCTL
        termios.tcsetattr(descriptor, termios.TCSANOW, changed)
    except (OSError, ValueError, termios.error):  # no terminal, or a test's
        return None
    return lambda: termios.tcsetattr(descriptor, termios.TCSANOW, before)


def print_table(
    stream: IO[str],
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    optional: Collection[str] = (),
    styles: Mapping[str, Mapping[str, str]] = NO_STYLES,
    important: Callable[[Sequence[str]], bool] = lambda _: False,
) -> None:
    """Write a table: in a pipe as wide as its content, on a terminal laid out for the window.

    `styles` says for a column how each of its words looks. An `important` row keeps its optional cells.
    """
    terminal = stream.isatty()
    console = Console(file=stream, highlight=False, no_color="NO_COLOR" in os.environ)
    cells = [[on_one_line(cell) for cell in row] for row in rows]
    width = console.width if terminal else WIDE
    lines = laid_out(
        columns,
        cells,
        width=width,
        optional=optional,
        is_important=important,
        length=cell_len,
    )
    for number, line in enumerate(lines):
        text = Text()
        for part, column in line:
            style = "bold" if number == 0 else styles.get("" if column is None else columns[column], {}).get(part, "")
            text.append(part, style if terminal else "")
        text.rstrip()
        console.print(text, soft_wrap=True)
