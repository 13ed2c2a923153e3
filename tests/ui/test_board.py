"""The board: events in, one row per step out, and its lines on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from privatelink_lab.errors import AwsError
from privatelink_lab.events import Accepted, Event, Failed, Finished, Started, Summary, Waiting
from privatelink_lab.ui.board import BUSY, DONE, FAILED, HELD, TODO, Board, BoardRow
from privatelink_lab.ui.rich_terminal import LiveBoard

VPC, SUBNET, NLB = "provider/vpc", "provider/subnet-1", "provider/nlb"
PLAN = [("network", VPC), ("network", SUBNET), ("nlb", NLB)]
REFUSED = AwsError("Too many VPCs", code="VpcLimitExceeded", operation="CreateVpc", request_id="r-1")
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/plab-privatelink-lab/0123456789abcdef"


def board_after(*events: Event, plan: list[tuple[str, str]] | None = None) -> Board:
    """A board that gets one event a second, from second 0 on."""
    board = Board(PLAN if plan is None else plan)
    for second, event in enumerate(events):
        board.apply(event, float(second))
    return board


def made(step: str, key: str) -> list[Event]:
    """The events of a resource that AWS makes at once."""
    return [Started(key, step, "create"), Finished(key, step, "id-1", "ready", "available")]


def test_before_the_first_event_all_is_to_do() -> None:
    """The user sees every step from the start, with no seconds yet."""
    assert board_after().rows(100.0) == [BoardRow("network", TODO, "", None, ""), BoardRow("nlb", TODO, "", None, "")]


@pytest.mark.parametrize(
    ("action", "word"),
    [
        ("create", "creating"),
        ("update", "updating"),
        ("delete", "deleting"),
        ("accept", "accepting"),
        ("start", "starting"),
    ],
)
def test_a_call_makes_its_step_busy(action: str, word: str) -> None:
    """As soon as a call goes out the row says what is done to what, and its seconds run."""
    board = board_after(Started(VPC, "network", action))
    assert board.rows(2.5)[0] == BoardRow("network", BUSY, word, 2.5, f"{VPC} {word}")
    assert board.rows(2.5)[1].mark == TODO


def test_waiting_shows_awss_own_word() -> None:
    """While AWS works the row names what it waits for, in AWS's word."""
    board = board_after(Started(NLB, "nlb", "create"), Waiting(NLB, "nlb", "arn", "provisioning"))
    assert board.rows(9.0)[1] == BoardRow("nlb", BUSY, "provisioning", 9.0, f"{NLB} provisioning")


def test_waiting_without_a_word_names_the_key_alone() -> None:
    """A key that AWS does not show yet stands there without a trailing blank."""
    assert board_after(Waiting(NLB, "nlb", "", "")).rows(1.0)[1] == BoardRow("nlb", BUSY, "", 1.0, NLB)


def test_a_step_is_done_when_all_its_keys_are() -> None:
    """A step is done with its last key; its row then has every word once, with its count, and its seconds stop."""
    half = board_after(*made("network", VPC))
    assert half.rows(5.0)[0] == BoardRow("network", BUSY, "available", 5.0, "")
    whole = board_after(*made("network", VPC), *made("network", SUBNET))
    assert whole.rows(5.0)[0] == BoardRow("network", DONE, "available x2", 3.0, "")
    assert whole.rows(500.0) == whole.rows(5.0)


def test_seconds_run_on_when_a_done_step_has_work_again() -> None:
    """A resource that is replaced after all makes its step busy again, counted from the step's first call."""
    board = board_after(*made("nlb", NLB), Started(NLB, "nlb", "create"))
    assert board.rows(7.0)[1] == BoardRow("nlb", BUSY, "creating", 7.0, f"{NLB} creating")


def test_different_words_stand_side_by_side() -> None:
    """Words are counted in the order of the keys."""
    board = board_after(
        Finished("a/endpoint", "endpoints", "1", "ready", "available"),
        Finished("b/endpoint", "endpoints", "2", "held", "pendingAcceptance"),
        Finished("c/endpoint", "endpoints", "3", "ready", "available"),
        plan=[],
    )
    assert board.rows(9.0) == [BoardRow("endpoints", HELD, "available x2, pendingAcceptance", 2.0, "")]


def test_what_others_decide_is_held() -> None:
    """An endpoint that waits for `plab accept` is neither done nor failed, and its seconds stop."""
    board = board_after(Finished(NLB, "nlb", "id", "held", "pendingAcceptance"))
    assert board.rows(60.0)[1] == BoardRow("nlb", HELD, "pendingAcceptance", 0.0, "")


def test_a_failure_is_seen_whatever_else_happens_in_its_step() -> None:
    """One failed key marks its step, while the row still says what the others wait for."""
    board = board_after(Failed(VPC, "network", REFUSED), Waiting(SUBNET, "network", "subnet-1", "pending"))
    assert board.rows(4.0)[0] == BoardRow("network", FAILED, "failed, pending", 4.0, f"{SUBNET} pending")


def test_events_without_a_step_change_nothing() -> None:
    """Accepted connections and the summary have no row."""
    board = board_after(Accepted("vpce-1", "123456789012", "acme", "available"), Summary("up", 0, {}))
    assert board.rows(9.0) == board_after().rows(9.0)


def test_a_step_that_is_not_in_the_plan_gets_a_row() -> None:
    """`down` finds a resource of a removed consumer: its row comes after the planned steps."""
    board = board_after(Started("old/endpoint", "consumer endpoint", "delete"))
    assert [row.step for row in board.rows(0.0)] == ["network", "nlb", "consumer endpoint"]


def test_a_board_without_a_plan_is_empty() -> None:
    """Nothing to do, nothing to show."""
    assert board_after(plan=[]).rows(0.0) == []


def test_the_same_events_give_the_same_rows() -> None:
    """Reading the rows changes nothing."""
    events = [*made("network", VPC), Failed(NLB, "nlb", REFUSED)]
    first, second = board_after(*events), board_after(*events)
    first.rows(1.0)
    assert first.rows(8.0) == second.rows(8.0)


# On a terminal.


def drawn(board: LiveBoard, width: int) -> list[str]:
    """The lines of the live board in a window of that width, without colours."""
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=width)
    console.print(board._render())
    return stream.getvalue().splitlines()


@pytest.fixture
def live() -> LiveBoard:
    """A live board, already stopped: what it would draw stays."""
    board = LiveBoard(io.StringIO(), [("network", VPC), ("web server", "x"), ("consumer endpoint", "acme/endpoint")])
    board.show(Waiting(VPC, "network", "vpc-1", "pending"))
    board.show(Waiting("acme/endpoint", "consumer endpoint", "vpce-1", ARN))
    board.stop()
    return board


def test_a_long_line_never_wraps(live: LiveBoard) -> None:
    """In a narrow window every step has one line with mark, name and seconds; only the words are cut."""
    lines = drawn(live, 60)
    assert [line.rstrip() for line in lines[:2]] == ["● network           0s provider/vpc pending", "· web server"]
    assert lines[2] == "● consumer endpoint 0s acme/endpoint arn:aws:elasticloadbal…"
    assert max(len(line) for line in lines) <= 60


@pytest.mark.parametrize("width", [1, 10, 20, 30, 40, 80, 200])
def test_one_line_per_step_at_any_width(live: LiveBoard, width: int) -> None:
    """However narrow the window is, the board has as many lines as steps, so the terminal does not scroll."""
    lines = drawn(live, width)
    assert len(lines) == 3
    assert max(len(line) for line in lines) <= width


def test_a_wide_window_shows_all(live: LiveBoard) -> None:
    """Nothing is cut where there is room."""
    assert drawn(live, 200)[2].rstrip().endswith(ARN)


def test_marks_are_unicode_where_the_terminal_takes_it() -> None:
    """A UTF-8 terminal shows round marks, any other one plain letters."""

    class Terminal(io.StringIO):
        encoding = "latin-1"

    for stream, mark in ((io.StringIO(), "·"), (Terminal(), ".")):
        board = LiveBoard(stream, PLAN)
        board.stop()
        assert drawn(board, 60)[0].startswith(mark)


def test_a_sentence_stands_above_the_board() -> None:
    """The user reads a long sentence in one piece while the rest goes on."""
    stream = io.StringIO()
    board = LiveBoard(stream, PLAN)
    board.say("a long sentence " * 20)
    board.stop()
    assert "a long sentence " * 20 in stream.getvalue()


def test_when_all_has_ended_nothing_is_at_work() -> None:
    """A run that failed or was stopped leaves no row that seems to go on; what is done stays done."""
    board = board_after(*made("network", VPC), Waiting(NLB, "nlb", "arn", "provisioning"))
    board.end()
    network, nlb = board.rows(9.0)
    assert network.words == "available"
    assert (nlb.mark, nlb.words, nlb.waits_for) == (TODO, "not finished", "")
