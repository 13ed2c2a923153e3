"""What a stranger wrote, made safe for a terminal: it is data, and never a command to the terminal."""

from __future__ import annotations

import json
import re

MOST = 4_000  # characters of one sentence
# Control characters but the newline, what turns, hides or breaks text (bidirectional marks, zero width, line and
# paragraph separators, tag characters), and halves of pairs.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def printable(text: str) -> str:
    """The text with an escape in place of what a terminal would obey or not show; newlines stay."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def in_json(data: object, *, unicode: bool = True) -> str:
    """JSON on one line, with an escape of JSON in place of what a terminal would obey or not show."""
    text = json.dumps(data, ensure_ascii=not unicode)
    return _UNSAFE.sub(lambda found: json.dumps(found[0])[1:-1], text)


def on_one_line(text: str) -> str:
    """The same for a cell or a row: newlines are spaces."""
    return printable(" ".join(text.splitlines()))


def shortened(text: str) -> str:
    """The same, and no longer than MOST characters; the end says how many are left out."""
    safe = printable(text)
    return safe if len(safe) <= MOST else f"{safe[:MOST]}... ({len(safe) - MOST} more characters)"
