"""The events as JSON: the contract with the programs that read --json."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

import pytest

from privatelink_lab import events
from privatelink_lab.errors import AccountError, AwsError, ConfigError, LostAnswer, PlabError
from privatelink_lab.events import (
    Accepted,
    Event,
    Explained,
    Failed,
    Finished,
    Rejected,
    Ruled,
    Started,
    Summary,
    Unanswered,
    Verified,
    Waiting,
    duration,
)
from privatelink_lab.ui.output import Screen

REFUSED = AwsError(
    "You are not authorized", code="UnauthorizedOperation", operation="CreateVpc", request_id="r-1", hint="Allow it."
)
KEY, STEP = "provider/vpc", "network"


TIMES = {"p50": 0.4, "max": 0.5, "each": [0.3, 0.5]}
ERROR_KEYS = ["code", "message", "request_id", "hint"]
CONTRACT: list[tuple[Event, list[str]]] = [
    (Started(KEY, STEP, "create"), ["event", "key", "step", "action", "id"]),
    (Waiting(KEY, STEP, "vpc-1", "pending"), ["event", "key", "step", "id", "detail", "limit"]),
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
        [
            "event",
            "consumer",
            "ok",
            "addresses",
            "status",
            "body",
            "connect_ms",
            "total_ms",
            "hop",
            "detail",
            "fix",
            "also",
        ],
    ),
    (
        Ruled("vpce-1", "123456789012", "us-east-1", "acme", "admit", "acme has 0 of 1 endpoints"),
        ["event", "endpoint", "owner", "region", "customer", "reason", "detail"],
    ),
    (Explained(KEY, STEP, "no rule"), ["event", "key", "step", "text"]),
    (Unanswered("ec2 at https://x", REFUSED), ["event", "source", "error"]),
    (Summary("up", 0, {}), ["event", "command", "exit_code"]),
    (Summary("up", 1, {"lab": "test"}, REFUSED), ["event", "command", "exit_code", "error", "lab"]),
]


def written(*emitted: Event) -> list[dict[str, Any]]:
    """What a program reads: one object per line."""
    stream = io.StringIO()
    for event in emitted:
        with redirect_stdout(stream):
            Screen(json=True).data(event.as_json())
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
    assert {value for value in classes if not value.__subclasses__()} == {type(event) for event, _ in CONTRACT}


def test_the_names_of_the_events_are_frozen() -> None:
    """The words that a program switches on."""
    names = list(dict.fromkeys(event.event for event, _ in CONTRACT))
    words = "started waiting finished failed accepted rejected verified ruled explained unanswered summary"
    assert names == words.split()


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (REFUSED, ["UnauthorizedOperation", "You are not authorized", "r-1", "Allow it."]),
        (LostAnswer("gone", code="ReadTimeoutError", operation="CreateVpc"), ["ReadTimeoutError", "gone", None, None]),
        (AccountError("No credentials.", hint="Log in."), [None, "No credentials.", None, "Log in."]),
        (ConfigError("f:1: a\nf:2: b"), [None, "f:1: a\nf:2: b", None, None]),
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
    with redirect_stdout(stream):
        Screen(json=True).data(Failed(KEY, STEP, PlabError("first\nsecond 你好")).as_json())
    assert stream.getvalue().count("\n") == 1
    assert "你好" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.4, "0 s"), (45, "45 s"), (60, "1 min"), (90, "90 s"), (300, "5 min"), (3600, "1 h"), (4320, "1 h 12 min")],
)
def test_a_duration_in_words(seconds: float, said: str) -> None:
    """As a person says it."""
    assert duration(seconds) == said
