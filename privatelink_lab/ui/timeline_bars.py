"""A run's timeline as bars: one row per key, with solid bars for the chain that decided its length. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

WIDEST, NARROWEST = 40, 10  # characters of a bar as long as the run
HEADS = ("KEY", "WHEN", "SECONDS", "WAITED FOR")
GAP = 2  # characters between two columns
UNICODE, ASCII = ("█", "░"), ("#", "-")  # bars of the chain, and of all other keys


def fitted(
    timeline: Mapping[str, Any], *, unicode: bool, columns: int
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Heads and rows that fit into `columns` characters: with shorter bars, and without the last column if need be."""
    rows = list(bars(timeline, unicode=unicode, width=WIDEST))
    widths = [max(map(len, column)) + GAP for column in zip(HEADS, *rows, strict=True)]
    for count in (4, 3):
        width = columns - sum(widths[:count]) + widths[1] - GAP
        if width >= WIDEST / 2 or count == 3:  # noqa: PLR2004  # all four columns, or the first three
            break
    width = max(NARROWEST, min(WIDEST, width))
    return HEADS[:count], [row[:count] for row in bars(timeline, unicode=unicode, width=width)]


def bars(timeline: Mapping[str, Any], *, unicode: bool, width: int) -> Iterator[tuple[str, str, str, str]]:
    """Rows of key, bar, seconds and the key that it waited for, in the order in which the keys began.

    `timeline` is the object that `status --timeline --json` prints.
    """
    in_chain, beside = UNICODE if unicode else ASCII
    whole = timeline["seconds"] or 1.0
    for span in sorted(timeline["spans"], key=lambda span: (span["began"], span["ended"] or whole)):
        ended = span["ended"]
        begin, end = (min(width, round(width * moment / whole)) for moment in (span["began"], ended or whole))
        sign = in_chain if span["key"] in timeline["chain"] else beside
        bar = " " * min(begin, width - 1) + sign * max(1, end - begin)
        seconds = "not ended" if ended is None else f"{ended - span['began']:.1f} s"
        yield span["key"], bar, seconds, f"after {span['after']}" if span["after"] else ""
