"""A run's timeline as bars: one row per key, the chain that decided how long it took in solid. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WIDEST, NARROWEST = 40, 10  # characters of the whole run
HEADS = ("KEY", "WHEN", "SECONDS", "WAITED FOR")
GAP = 2  # characters between two columns
SOLID, LIGHT = ("█", "░"), ("#", "-")  # of the chain, of the others; and where the terminal has no such signs


def fitted(
    timeline: Mapping[str, Any], *, unicode: bool, columns: int
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows that fit into so many columns: shorter bars, and without what was waited for if need be."""
    rows = list(bars(timeline, unicode=unicode, width=WIDEST))
    taken = [max(map(len, column)) + GAP for column in zip(HEADS, *rows, strict=True)]
    for count in (4, 3):
        width = columns - sum(taken[:count]) + taken[1] - GAP
        if width >= WIDEST / 2 or count == 3:  # noqa: PLR2004  # all four columns, or the first three
            break
    width = max(NARROWEST, min(WIDEST, width))
    return HEADS[:count], [row[:count] for row in bars(timeline, unicode=unicode, width=width)]


def bars(timeline: Mapping[str, Any], *, unicode: bool, width: int) -> Iterator[tuple[str, str, str, str]]:
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
        seconds = "not ended" if ended is None else f"{ended - span['began']:.1f} s"
        yield span["key"], bar, seconds, f"after {span['after']}" if span["after"] else ""
