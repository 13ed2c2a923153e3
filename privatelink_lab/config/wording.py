"""The sentence about a mistake in the config: the value, the key, and what the user may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

IN_YAML = {  # pydantic names Python's types
    "model_type": "should be a mapping",
    "dict_type": "should be a mapping",
    "tuple_type": "should be a list",
}
LONGEST_VALUE = 60  # characters of a value that a message repeats

KeyPath = tuple[str | int, ...]  # the way to a value: ("consumers", 0, "name")


def value_text(value: Any) -> str:
    """A value of the file as text on one short line."""
    if value is None:
        return "empty"
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a very long number"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The known word that is most like this one, as the end of a sentence; '' where none is like it."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def key_text(path: KeyPath) -> str:
    """A key as text, such as `consumers[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return (text if text.isprintable() else ascii(text)) or "config"


def mistake_sentence(item: Any, keys_at: Callable[[KeyPath], Iterable[str]]) -> str:
    """The sentence for one of pydantic's errors, without the place; `keys_at` gives the known keys of a section."""
    if item["type"] == "extra_forbidden":
        return f"is not a known key{did_you_mean(str(item['loc'][-1]), keys_at(item['loc'][:-1]))}"
    if item["type"] == "missing":
        return "is missing"
    if item["type"] == "too_long":
        return f"has more than {item['ctx']['max_length']} entries"
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    text = IN_YAML.get(item["type"], text)
    if item["type"].endswith("_type") or item["type"] == "literal_error":
        return f"{text}, not {value_text(item['input'])}"
    return text
