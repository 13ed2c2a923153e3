"""How a command shows things: as a live board on a terminal, plain lines in a pipe, JSON, or with errors only.

Results go to stdout, all else to stderr. With `CI` a terminal counts as a pipe.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from privatelink_lab.errors import AccountError, PlabError
from privatelink_lab.events import Event, Explained, Failed, KeyEvent, Unanswered
from privatelink_lab.printable import in_json, printable
from privatelink_lab.ui.plain_lines import plain_text
from privatelink_lab.ui.timeline_bars import ASCII, UNICODE, fitted

if TYPE_CHECKING:
    from privatelink_lab.ui.rich_terminal import LiveBoard


def _as_it_is(text: str) -> str:
    return text


class Screen:
    """All output of one command. `advise` completes the commands in hints and sentences, so that they can be typed."""

    def __init__(self, *, json: bool = False, quiet: bool = False, advise: Callable[[str], str] = _as_it_is) -> None:
        self.json = json
        self.quiet = quiet
        self.advise = advise
        self._live: LiveBoard | None = None
        self._plan: list[tuple[str, str]] = []  # of the board that is not drawn yet
        self._began = time.monotonic()
        self._written_errors: set[str] = set()

    def open_board(self, plan: Iterable[tuple[str, str]]) -> None:
        """Show the live board of these (step, key) pairs from their first event on, if stderr is a terminal.

        So a refusal that comes first leaves no empty board.
        """
        plain = os.environ.get("CI") or os.environ.get("TERM", "dumb") in {"dumb", "unknown"}
        if self.json or self.quiet or not sys.stderr.isatty() or plain:
            return
        self._plan = list(plan)

    def _draw(self, event: Event) -> LiveBoard | None:
        if not self._live and isinstance(event, KeyEvent) and event.key in {key for _, key in self._plan}:
            from privatelink_lab.ui.rich_terminal import LiveBoard  # rich takes 0.1 s to load: only when it draws

            self._live, self._plan = LiveBoard(sys.stderr, self._plan), []
        return self._live

    def close_board(self) -> None:
        """Stop drawing; the board's last state stays on the terminal."""
        self._plan = []
        if self._live:
            self._live.end()
            self._live.stop()
            self._live = None

    def show(self, event: Event) -> None:
        """Show one event. With --quiet this shows only the error of a failure."""
        if error := getattr(event, "error", None):
            error.hint = self.advise(error.hint)
        if self.json:
            self.data(event.as_json())
        elif live := self._draw(event):
            live.show(event)
            if isinstance(event, Unanswered | Explained):
                self.say(plain_text(event))
        elif text := plain_text(event):
            self.say(f"{time.monotonic() - self._began:6.1f}s  {text}")
        if isinstance(event, Failed):
            self.show_errors({event.key: event.error})

    def show_errors(self, errors: Mapping[str, PlabError]) -> None:
        """Show errors by key, but no error twice in a run; with --json the events and the summary have them."""
        for error in errors.values():
            error.hint = self.advise(error.hint)
        # What is wrong with the credentials is no matter of one resource, and is said once.
        texts = [error.as_text("" if isinstance(error, AccountError) else key) for key, error in errors.items()]
        for text in dict.fromkeys(texts) if not self.json else ():
            if text in self._written_errors:
                continue
            self._written_errors.add(text)
            if self._live:
                self._live.say(text, style="red")
            else:
                print(text, file=sys.stderr, flush=True)

    def say(self, text: str) -> None:
        """Print a sentence for a person: not with --quiet, and not with --json."""
        if self.json or self.quiet:
            return
        if self._live:
            self._live.say(printable(self.advise(text)))
        else:
            print(printable(self.advise(text)), file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Print a sentence for a person, also with --quiet; not with --json, where the summary has it."""
        if not self.json:
            print(printable(self.advise(text)), file=sys.stderr, flush=True)

    def out(self, text: str) -> None:
        """Print a part of the result to stdout."""
        print(printable(self.advise(text)), flush=True)

    def document(self, text: str) -> None:
        """Print what somebody else reads, in another folder: no command in it gets the options of this one."""
        print(printable(text), flush=True)

    def data(self, data: dict[str, Any]) -> None:
        """Print one JSON object to stdout, on one line."""
        unicode = (sys.stdout.encoding or "utf-8").lower().startswith("utf")
        print(in_json(data, unicode=unicode), flush=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]], **looks: Any) -> None:
        """Print a table to stdout; `looks` as `print_table` has them."""
        from privatelink_lab.ui.rich_terminal import print_table

        print_table(sys.stdout, columns, rows, **looks)

    def bars(self, timeline: dict[str, Any]) -> None:
        """Print a run's timeline to stdout."""
        unicode = (sys.stdout.encoding or "").lower().startswith("utf")
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else sys.maxsize
        so_far = "" if timeline["over"] else " so far: the run was stopped, or has not ended yet"
        self.out(f"{timeline['command']}, {timeline['began']}: {timeline['seconds']:.1f} s{so_far}.")
        self.table(*fitted(timeline, unicode=unicode, columns=columns))
        decides, beside = UNICODE if unicode else ASCII
        self.out(f"{decides} decided how long the run took; {beside} went on beside it.")
        self.out(f"The chain that decides it: {' -> '.join(timeline['chain'])}")
