"""The lines of `-v`: each call to AWS above the live board, and those that change something in bold."""

from __future__ import annotations

import logging
import os
import sys

from privatelink_lab.printable import on_one_line

BOLD, PLAIN = "\x1b[1m", "\x1b[0m"


class CallLines(logging.Handler):
    """Writes to what `sys.stderr` is at that moment: a live board puts itself in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        text = on_one_line(record.getMessage())
        if record.levelno > logging.DEBUG and sys.stderr.isatty() and "NO_COLOR" not in os.environ:
            text = f"{BOLD}{text}{PLAIN}"
        print(text, file=sys.stderr)
