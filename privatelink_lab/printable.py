"""What a stranger wrote, made safe for a terminal: it is data, and never a command to the terminal."""

from __future__ import annotations

import re

MOST = 4_000  # characters of one sentence
# Control characters but the newline, what turns or hides text (bidirectional marks, zero width), and halves of pairs.
_UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with an escape in place of what a terminal would obey or not show; newlines stay."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def on_one_line(text: str) -> str:
    """The same for a cell or a row: newlines are spaces."""
    return printable(" ".join(text.splitlines()))


def shortened(text: str) -> str:
    """The same, and no longer than MOST characters; the end says how many are left out."""
    safe = printable(text)
    return safe if len(safe) <= MOST else f"{safe[:MOST]}... ({len(safe) - MOST} more characters)"
