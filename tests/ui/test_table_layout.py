"""A table in a window: no id is cut or folded; what is optional goes first, then cells move below."""

from __future__ import annotations

import pytest

from privatelink_lab.ui.table_layout import laid_out

HEADS = ("KEY", "STATE", "DETAIL", "ID")
NLB = ("provider/nlb", "ready", "active", "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/lab/1")
VPC = ("provider/vpc", "ready", "available", "vpc-0123456789abcdef0")
BAD = ("acme/endpoint", "failed", "rejected by its provider, who has to be asked", "vpce-0123456789abcdef0")


def lines(width: int, *rows: tuple[str, ...]) -> list[str]:
    """The table as text, with DETAIL optional and what has failed important."""
    table = laid_out(HEADS, rows, width=width, optional=["DETAIL"], is_important=lambda row: row[1] == "failed")
    return ["".join(text for text, _ in line).rstrip() for line in table]


def test_a_wide_window_has_one_line_per_row() -> None:
    """At 120 columns everything stands beside each other."""
    assert lines(120, VPC, NLB) == [
        "KEY           STATE  DETAIL     ID",
        "provider/vpc  ready  available  vpc-0123456789abcdef0",
        f"provider/nlb  ready  active     {NLB[3]}",
    ]


def test_what_does_not_fit_stands_below() -> None:
    """At 60 columns the ARN of one row has a line of its own, and the others keep theirs."""
    assert lines(60, VPC, NLB) == [
        "KEY           STATE  DETAIL     ID",
        "provider/vpc  ready  available  vpc-0123456789abcdef0",
        "provider/nlb  ready  active",
        f"  {NLB[3]}",
    ]


def test_what_is_optional_goes_first_but_not_where_it_matters() -> None:
    """At 50 columns the details go; that of a failed row stands below, broken between words."""
    assert lines(50, VPC, BAD) == [
        "KEY            STATE   ID",
        "provider/vpc   ready   vpc-0123456789abcdef0",
        "acme/endpoint  failed  vpce-0123456789abcdef0",
        "  rejected by its provider, who has to be asked",
        "A wider window also shows DETAIL.",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
def test_no_cell_but_a_detail_is_cut_at_any_width(width: int) -> None:
    """Key, state and id of every row are whole on one line, however narrow the window."""
    text = lines(width, VPC, NLB, BAD)
    for row in (VPC, NLB, BAD):
        for cell in (row[0], row[1], row[3]):
            assert any(cell in line for line in text), cell
