"""Plain lines for a pipe: one for each change."""

from __future__ import annotations

import pytest

from privatelink_lab.errors import AwsError
from privatelink_lab.events import Accepted, Event, Failed, Finished, Rejected, Started, Summary, Waiting
from privatelink_lab.ui.output import Screen
from privatelink_lab.ui.plain_lines import plain_text

REFUSED = AwsError(
    "You are not authorized", code="UnauthorizedOperation", operation="CreateVpc", request_id="r-1", hint="Allow it."
)
KEY, STEP = "provider/vpc", "network"


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
    assert plain_text(event) == line


def test_seconds_count_from_the_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The times of a log can be subtracted."""
    times = iter((10.0, 10.0, 11.25))
    monkeypatch.setattr("privatelink_lab.ui.output.time.monotonic", lambda: next(times))
    screen = Screen()
    screen.show(Started(KEY, STEP, "create"))
    screen.show(Finished(KEY, STEP, "vpc-1", "ready", "available"))
    assert capsys.readouterr().err == ("   0.0s  provider/vpc: creating\n   1.2s  provider/vpc: available  vpc-1\n")


@pytest.mark.parametrize("event", [Waiting(KEY, STEP, "vpc-1", ""), Summary("up", 0, {"lab": "test"})])
def test_no_plain_line_where_there_is_nothing_to_say(event: Event) -> None:
    """A wait without a word is no line; and the command prints its summary."""
    assert plain_text(event) == ""
