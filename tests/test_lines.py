"""Plain lines for a pipe, JSON lines for a program, and tables that can be cut with awk."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from privatelink_lab import events
from privatelink_lab.errors import AccountError, AwsError, ConfigError, LostAnswer, PlabError
from privatelink_lab.events import Accepted, Event, Failed, Finished, Rejected, Started, Summary, Verified, Waiting
from privatelink_lab.ui.lines import PlainLines, write_json
from privatelink_lab.ui.live import print_table
from privatelink_lab.ui.screen import Screen

ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/plab-privatelink-lab/0123456789abcdef"
REFUSED = AwsError(
    "You are not authorized", code="UnauthorizedOperation", operation="CreateVpc", request_id="r-1", hint="Allow it."
)
KEY, STEP = "provider/vpc", "network"


def plain(*told: Event) -> list[str]:
    """The plain lines of these events, each one and a quarter seconds after the last."""
    stream, times = io.StringIO(), iter(range(100))
    lines = PlainLines(stream, 10.0, lambda: 10.0 + 1.25 * next(times))
    for event in told:
        lines.tell(event)
    return stream.getvalue().splitlines()


PLAIN = [
    (Started(KEY, STEP, "create"), "provider/vpc: creating"),
    (Started(KEY, STEP, "delete", "vpc-1"), "provider/vpc: deleting vpc-1"),
    (Started(KEY, STEP, "dance"), "provider/vpc: dance"),
    (Waiting(KEY, STEP, "vpc-1", "pending"), "provider/vpc: pending"),
    (Finished(KEY, STEP, "vpc-1", "ready", "available"), "provider/vpc: available  vpc-1"),
    (Finished(KEY, STEP, "", "deleted", "deleted"), "provider/vpc: deleted"),
    (Failed(KEY, STEP, REFUSED), "provider/vpc: failed"),
    (Accepted("vpce-1", "123456789012", "acme", "available"), "vpce-1 of account 123456789012: available"),
    (Rejected("vpce-1", "123456789012", None, "rejected"), "vpce-1 of account 123456789012: rejected"),
]


@pytest.mark.parametrize(("event", "line"), PLAIN, ids=[line for _, line in PLAIN])
def test_one_plain_line_per_event(event: Event, line: str) -> None:
    """In a pipe every change is one line: seconds, key, AWS's word, id."""
    assert plain(event) == [f"   0.0s  {line}"]


def test_seconds_count_from_the_start() -> None:
    """The times of a log can be subtracted."""
    lines = plain(Started(KEY, STEP, "create"), Finished(KEY, STEP, "vpc-1", "ready", "available"))
    assert [line.split()[0] for line in lines] == ["0.0s", "1.2s"]


@pytest.mark.parametrize("event", [Waiting(KEY, STEP, "vpc-1", ""), Summary("up", 0, {"lab": "test"})])
def test_no_plain_line_where_there_is_nothing_to_say(event: Event) -> None:
    """A wait without a word is no line; and the command prints its summary."""
    assert plain(event) == []


# JSON: the contract.

TIMES = {"p50": 0.4, "max": 0.5, "each": [0.3, 0.5]}
ERROR_KEYS = ["code", "message", "request_id", "hint"]
CONTRACT: list[tuple[Event, list[str]]] = [
    (Started(KEY, STEP, "create"), ["event", "key", "step", "action", "id"]),
    (Waiting(KEY, STEP, "vpc-1", "pending"), ["event", "key", "step", "id", "detail"]),
    (Finished(KEY, STEP, "vpc-1", "ready", "available"), ["event", "key", "step", "id", "phase", "detail"]),
    (Failed(KEY, STEP, REFUSED), ["event", "key", "step", "error"]),
    (
        Accepted("vpce-1", "123456789012", "acme", "available"),
        ["event", "endpoint", "owner", "consumer", "state"],
    ),
    (
        Rejected("vpce-1", "123456789012", None, "rejected"),
        ["event", "endpoint", "owner", "consumer", "state"],
    ),
    (
        Verified("acme", True, ["10.1.0.4"], 200, "Hello", TIMES, TIMES, None, "1 of 1 requests"),
        ["event", "consumer", "ok", "addresses", "status", "body", "connect_ms", "total_ms", "hop", "detail"],
    ),
    (Summary("up", 0, {}), ["event", "command", "exit_code"]),
    (Summary("up", 1, {"lab": "test"}, REFUSED), ["event", "command", "exit_code", "error", "lab"]),
]


def written(*told: Event) -> list[dict[str, Any]]:
    """What a program reads: one object per line."""
    stream = io.StringIO()
    for event in told:
        write_json(stream, event.as_json())
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(("event", "keys"), CONTRACT, ids=lambda value: getattr(value, "event", "keys"))
def test_the_keys_of_an_event_are_a_contract(event: Event, keys: list[str]) -> None:
    """Programs that read --json go on working: the keys of every event are frozen, in their order."""
    [data] = written(event)
    assert list(data) == keys
    assert data["event"] == event.event


def test_every_event_is_in_the_contract() -> None:
    """A new event class cannot be forgotten here."""
    classes = {value for value in vars(events).values() if isinstance(value, type) and issubclass(value, Event)}
    assert classes - {Event} == {type(event) for event, _ in CONTRACT}


def test_the_names_of_the_events_are_frozen() -> None:
    """The words that a program switches on."""
    names = list(dict.fromkeys(event.event for event, _ in CONTRACT))
    assert names == ["started", "waiting", "finished", "failed", "accepted", "rejected", "verified", "summary"]


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (REFUSED, ["UnauthorizedOperation", "You are not authorized", "r-1", "Allow it."]),
        (LostAnswer("gone", code="ReadTimeoutError", operation="CreateVpc"), ["ReadTimeoutError", "gone", None, None]),
        (AccountError("No credentials.", hint="Log in."), [None, "No credentials.", None, "Log in."]),
        (ConfigError(["f:1: a", "f:2: b"]), [None, "f:1: a\nf:2: b", None, None]),
        (PlabError("It is so."), [None, "It is so.", None, None]),
    ],
)
@pytest.mark.parametrize("make", [lambda error: Failed(KEY, STEP, error), lambda error: Summary("up", 1, {}, error)])
def test_errors_carry_code_message_request_id_and_hint(make: Any, error: PlabError, data: list[str | None]) -> None:
    """`failed` and `summary` carry the same error object; what there is not is null."""
    [line] = written(make(error))
    assert list(line["error"].items()) == list(zip(ERROR_KEYS, data, strict=True))


def test_the_result_stands_beside_the_exit_code() -> None:
    """The summary's own result keys are at its top level."""
    [data] = written(Summary("down", 3, {"left": ["vpc-1"], "lab": "test"}))
    assert data == {"event": "summary", "command": "down", "exit_code": 3, "left": ["vpc-1"], "lab": "test"}


def test_one_object_stays_on_one_line() -> None:
    """Line breaks in AWS's message do not break the stream; other scripts' letters stay readable."""
    stream = io.StringIO()
    write_json(stream, Failed(KEY, STEP, PlabError("first\nsecond 你好")).as_json())
    assert stream.getvalue().count("\n") == 1
    assert "你好" in stream.getvalue()


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
    """What looks like rich's markup is shown as it is."""
    assert table(("[red]x[/red]", ":smile:", "[/]"))[1].split() == ["[red]x[/red]", ":smile:", "[/]"]


def test_an_empty_table_has_its_heads() -> None:
    """A script finds the columns also when there is nothing."""
    assert table() == ["KEY  ID  DETAIL"]


# Which of them a command shows.


def shown(capsys: pytest.CaptureFixture[str], **options: bool) -> tuple[str, str]:
    """What stdout and stderr get of a command that starts, says, warns and prints its data."""
    screen = Screen(**options)
    screen.open_board([(STEP, KEY)])
    screen.tell(Started(KEY, STEP, "create"))
    screen.say("said")
    screen.close_board()
    screen.warn("warned")
    screen.data({"lab": "test"})
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_pipe_gets_plain_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    """Results go to stdout, talk goes to stderr."""
    out, err = shown(capsys)
    assert out == '{"lab": "test"}\n'
    assert err == "   0.0s  provider/vpc: creating\nsaid\nwarned\n"


def test_json_leaves_stderr_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json every line on stdout is an object, and nothing else is said."""
    out, err = shown(capsys, json=True)
    assert [json.loads(line).get("event") for line in out.splitlines()] == ["started", None]
    assert err == ""


def test_quiet_still_warns(capsys: pytest.CaptureFixture[str]) -> None:
    """--quiet hides the progress, not what the user must know."""
    assert shown(capsys, quiet=True) == ('{"lab": "test"}\n', "warned\n")
