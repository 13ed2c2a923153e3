"""Plain lines for a pipe: one for each change."""

from __future__ import annotations

import io

import pytest

from privatelink_lab.errors import AwsError
from privatelink_lab.events import Accepted, Event, Failed, Finished, Rejected, Started, Summary, Waiting
from privatelink_lab.ui.lines import PlainLines

REFUSED = AwsError(
    "You are not authorized", code="UnauthorizedOperation", operation="CreateVpc", request_id="r-1", hint="Allow it."
)
KEY, STEP = "provider/vpc", "network"


def plain(*events: Event) -> list[str]:
    """The plain lines of these events, each one and a quarter seconds after the last."""
    stream, times = io.StringIO(), iter(range(100))
    lines = PlainLines(stream, 10.0, lambda: 10.0 + 1.25 * next(times))
    for event in events:
        lines.show(event)
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
