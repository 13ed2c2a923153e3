"""A table that fits into a window and cuts no cell: what is optional goes first, then cells move below. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Sequence

GAP = 2  # characters between two columns, and before what stands below
Part = tuple[str, int | None]  # a text, and the column that it belongs to; None for blanks
Line = list[Part]
Row = Sequence[str]


def laid_out(
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    width: int,
    optional: Collection[str] = (),
    is_important: Callable[[Row], bool] = lambda _: False,
    length: Callable[[str], int] = len,
) -> list[Line]:
    """The lines of a table in a window of `width` characters: heads, rows, and a sentence on what is left out.

    An `optional` column is left out where most rows would not fit with it; an important row has its cell below. A cell
    that does not fit beside the others stands below them, and is never cut. `length` says how wide a text is.
    """
    shown = list(range(len(columns)))
    for number in [number for number in shown if columns[number] in optional]:
        widths = _widths(columns, rows, shown, length)
        if 2 * sum(_fits(row, shown, widths, width, length) for row in rows) < len(rows):
            shown.remove(number)
    widths = _widths(columns, rows, shown, length)
    lines = _lines(columns, shown, widths, width, length)
    for row in rows:
        lines += _lines(row, shown, widths, width, length)
        for number in sorted(set(range(len(columns))) - set(shown)) if is_important(row) else ():
            lines += [[(" " * GAP, None), (text, number)] for text in textwrap.wrap(row[number], max(20, width - GAP))]
    if hidden := [columns[number] for number in range(len(columns)) if number not in shown]:
        lines.append([(f"A wider window also shows {', '.join(hidden)}.", None)])
    return lines


def _widths(columns: Sequence[str], rows: Sequence[Row], shown: list[int], length: Callable[[str], int]) -> list[int]:
    """Of each shown column but the last, which needs no blanks behind it."""
    return [max(length(row[number]) for row in (columns, *rows)) for number in shown[:-1]]


def _fits(row: Row, shown: list[int], widths: list[int], width: int, length: Callable[[str], int]) -> bool:
    return sum(widths) + GAP * len(widths) + length(row[shown[-1]]) <= width


def _lines(row: Row, shown: list[int], widths: list[int], width: int, length: Callable[[str], int]) -> list[Line]:
    lines: list[Line] = [[]]
    at = 0
    for number, column in zip(shown, [*widths, 0], strict=True):
        text = row[number]
        if lines[-1] and at + length(text) > width:
            lines.append([(" " * GAP, None)])
            at = GAP
        blanks = max(0, column - length(text)) + GAP
        lines[-1] += [(text, number), (" " * blanks, None)]
        at += length(text) + blanks
    return lines
