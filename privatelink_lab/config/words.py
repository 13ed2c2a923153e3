"""How a mistake is said: values, keys and near misses, in a reader's words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

SHOWN = 60  # characters of a value that a message repeats

Where = tuple[str | int, ...]  # where a value stands: ("consumers", 0, "name")


def shown(value: Any) -> str:
    """A value of the file on one short line."""
    if value is None:
        return "empty"
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a very long number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The nearest of the known words as the end of a sentence, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def dotted(path: Where) -> str:
    """`consumers[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return (text if text.isprintable() else ascii(text)) or "config"
