"""A run's timeline as bars: one row per key, the chain that decided how long it took in solid. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WIDTH = 40  # characters of the whole run
SOLID, LIGHT = ("█", "░"), ("#", "-")  # of the chain, of the others; and where the terminal has no such signs


def bars(timeline: Mapping[str, Any], *, unicode: bool, width: int = WIDTH) -> Iterator[tuple[str, str, str, str]]:
    """Rows of key, bar, seconds and what it waited for, in the order in which they began.

    `timeline` is the object that `status --timeline --json` prints.
    """
    in_chain, beside = SOLID if unicode else LIGHT
    whole = timeline["seconds"] or 1.0
    for span in sorted(timeline["spans"], key=lambda span: (span["began"], span["ended"] or whole)):
        ended = span["ended"]
        begin, end = (min(width, round(width * moment / whole)) for moment in (span["began"], ended or whole))
        sign = in_chain if span["key"] in timeline["chain"] else beside
        bar = " " * min(begin, width - 1) + sign * max(1, end - begin)
        seconds = "never ended" if ended is None else f"{ended - span['began']:.1f} s"
        yield span["key"], bar, seconds, f"after {span['after']}" if span["after"] else ""
