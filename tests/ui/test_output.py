"""What a command shows in a pipe, with --json and with --quiet: lines, tables, and each error once."""

from __future__ import annotations

import io
import json
import re

import pytest

from privatelink_lab.errors import PlabError
from privatelink_lab.events import Failed, Started, Waiting
from privatelink_lab.ui.output import Screen
from privatelink_lab.ui.rich_terminal import print_table

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/plab-privatelink-lab/0123456789abcdef"
KEY, STEP = "provider/vpc", "network"


# Tables.


def table(*rows: tuple[str, ...]) -> list[str]:
    """The lines of a table in a pipe."""
    stream = io.StringIO()
    print_table(stream, ("KEY", "ID", "DETAIL"), rows)
    return stream.getvalue().splitlines()


def test_a_table_in_a_pipe_is_as_wide_as_its_content() -> None:
    """No ARN is cut or folded, however long the cells beside it are; no colours, no blanks at the ends."""
    long = "a sentence of AWS's " * 50
    assert table(("provider/nlb", ARN, long.strip()), ("provider/vpc", "vpc-1", "")) == [
        f"KEY           {'ID':{len(ARN)}}  DETAIL",
        f"provider/nlb  {ARN}  {long.strip()}",
        "provider/vpc  vpc-1",
    ]


def test_brackets_in_a_table_are_text() -> None:
    """The table prints rich's markup as plain text."""
    assert table(("[red]x[/red]", ":smile:", "[/]"))[1].split() == ["[red]x[/red]", ":smile:", "[/]"]


def test_an_empty_table_has_its_heads() -> None:
    """A script finds the columns also when there is nothing."""
    assert table() == ["KEY  ID  DETAIL"]


# Which of them a command shows.


def outputs_of(capsys: pytest.CaptureFixture[str], **options: bool) -> tuple[str, str]:
    """What stdout and stderr get of a command that starts, says, warns and prints its data."""
    screen = Screen(json=options.get("json", False), quiet=options.get("quiet", False))
    screen.open_board([(STEP, KEY)])
    screen.show(Started(KEY, STEP, "create"))
    screen.say("a sentence")
    screen.close_board()
    screen.warn("warned")
    screen.data({"lab": "test"})
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_pipe_gets_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Results go to stdout, progress and messages go to stderr."""
    out, err = outputs_of(capsys)
    assert out == '{"lab": "test"}\n'
    assert err == "   0.0s  provider/vpc: creating\na sentence\nwarned\n"


def test_json_leaves_stderr_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every line on stdout is an object, and nothing else is printed."""
    out, err = outputs_of(capsys, json=True)
    assert [json.loads(line).get("event") for line in out.splitlines()] == ["started", None]
    assert err == ""


def test_quiet_still_warns(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet hides the progress, not what the user must know."""
    assert outputs_of(capsys, quiet=True) == ('{"lab": "test"}\n', "warned\n")


def test_the_error_of_an_event_is_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    """The errors of a result are those of its events; one that no event had is added, also another of the same key."""
    for quiet in (True, False):
        screen = Screen(quiet=quiet)
        screen.show(Started("a", "step", "delete", "id"))
        screen.show(Failed("a", "step", PlabError("a stays.", hint="plab down")))
        screen.show(Failed("a", "step", PlabError("a stays.", hint="plab down")))
        screen.show_errors({"a": PlabError("a stays.", hint="plab down"), "b": PlabError("No.")})
        screen.show_errors({"a": PlabError("Not now.")})
        err = capsys.readouterr().err
        lines = [line for line in err.splitlines() if not re.match(r" +\d+\.\ds  a: (deleting id|failed)$", line)]
        assert lines == ["Error: a stays.", "Hint: plab down", "Error: b: No.", "Error: a: Not now."]


def test_an_interrupt_loses_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """With --quiet the screen prints an error when it happens, so a run that is stopped later has printed it."""
    Screen(quiet=True).show(Failed("provider/vpc", "network", PlabError("No more VPCs.")))
    assert capsys.readouterr().err == "Error: provider/vpc: No more VPCs.\n"


# The board, on a terminal.


def test_the_board_appears_with_the_first_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """A refusal before anything happens leaves no empty board; NO_COLOR drops the colours and not the board."""
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Screen()
    screen.open_board([(STEP, KEY)])
    screen.say("lab test in account 1")
    assert terminal.getvalue() == "lab test in account 1\n"
    screen.show(Waiting(KEY, STEP, "vpc-1", "pending", 300.0))
    assert screen._live is not None
    screen._live._live.refresh()
    assert "provider/vpc pending (5 min at most)" in terminal.getvalue()
    screen.close_board()
    drawn = terminal.getvalue()
    assert "not finished" in drawn
    assert "\x1b[3" not in drawn


def test_a_board_that_never_began_leaves_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """After the command has closed it, a late event is a plain line."""
    screen = Screen()
    screen.open_board([(STEP, KEY)])
    screen.close_board()
    screen.show(Started(KEY, STEP, "create"))
    assert capsys.readouterr().err == "   0.0s  provider/vpc: creating\n"
