"""What a stranger wrote reaches a terminal as text: nothing turns, hides or obeys."""

from __future__ import annotations

import io
import json

import pytest

from privatelink_lab import tags
from privatelink_lab.errors import AwsError
from privatelink_lab.events import Failed, Waiting
from privatelink_lab.printable import MOST, on_one_line, printable, shortened
from privatelink_lab.ui.output import Screen
from privatelink_lab.ui.rich_terminal import print_table

EVIL = [
    ("red \x1b[31m", "red \\x1b[31m"),
    ("title \x1b]0;x\x07", "title \\x1b]0;x\\x07"),
    ("back\x08\x08", "back\\x08\\x08"),
    ("return\rLeft: 0.", "return\\rLeft: 0."),
    ("C1 \x9b31m", "C1 \\x9b31m"),
    ("turned \u202e0 :tfeL", "turned \\u202e0 :tfeL"),
    ("hidden \u200b\u2066", "hidden \\u200b\\u2066"),
    ("half \ud83d", "half \\ud83d"),
    ("tab\t", "tab\\t"),
    ("line\u2028Left: 0.", "line\\u2028Left: 0."),
    ("tagged \U000e0041", "tagged \\U000e0041"),
    ("soft\xad", "soft\\xad"),
]
GOOD = ["Grüße, 世界", "it's {braces} [brackets]", "two\nlines"]


@pytest.mark.parametrize(("written", "shown"), EVIL)
def test_what_a_terminal_would_obey_is_shown(written: str, shown: str) -> None:
    """A control character in a tag, a description or an error is read as its escape."""
    assert printable(written) == shown
    assert written not in AwsError(written, code="Code", operation="Op", hint=written).as_text("key")


@pytest.mark.parametrize("text", GOOD)
def test_other_text_stays(text: str) -> None:
    """Words of any language stay as they are."""
    assert printable(text) == text


def test_a_cell_has_one_line() -> None:
    """A newline in a name breaks no table."""
    assert on_one_line("a\nb\r\nc") == "a b c"


def test_a_page_is_cut_and_says_so() -> None:
    """A whole HTML page as a message fills no screen."""
    assert shortened("x" * (MOST + 5)).endswith("... (5 more characters)")


@pytest.mark.parametrize(("written", "shown"), EVIL)
def test_every_way_to_the_terminal_is_safe(capsys: pytest.CaptureFixture[str], written: str, shown: str) -> None:
    """Sentences, events, errors and tables: the bytes of the stranger never reach the terminal."""
    screen = Screen()
    screen.out(written)
    screen.say(written)
    screen.warn(written)
    screen.show(Waiting("acme/vpc", "network", "vpc-1", written))
    screen.show(Failed("acme/vpc", "network", AwsError(written, code="Code", operation="Op")))
    table = io.StringIO()
    print_table(table, ["NAME"], [[written]])
    text = "".join(capsys.readouterr()) + table.getvalue()
    assert written.strip() not in text.replace(shown, "")
    assert shown in text


@pytest.mark.parametrize(("written", "shown"), EVIL)
def test_json_is_safe_too(capsys: pytest.CaptureFixture[str], written: str, shown: str) -> None:
    """A terminal obeys nothing that --json prints, and a program reads exactly what the stranger wrote."""
    Screen(json=True).data({"name": written})
    out = capsys.readouterr().out
    assert written not in out
    assert json.loads(out) == {"name": written}


def test_a_strangers_line_end_makes_no_line_of_plab() -> None:
    """A tag, a code or a message of AWS stays on the line of the sentence that has it."""
    forged = "x\nLeft: 0.\nHint: run this"
    error = AwsError(forged, code=forged, operation="Op")
    assert "\n" not in str(error)
    assert tags.of({"Tags": [{"Key": "plab:key", "Value": forged}]}) == {"plab:key": "x Left: 0. Hint: run this"}
