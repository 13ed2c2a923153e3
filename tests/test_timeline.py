"""Why a run took as long as it did: what `plab status --timeline` shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Cloud, Run

from privatelink_lab.report import timeline as reported
from privatelink_lab.timeline import Span, Timeline
from privatelink_lab.ui.bars import bars

RUN = Timeline(
    "up",
    1_700_000_000.0,
    {
        "vpc": Span(0.0, 10.0),
        "nlb": Span(10.0, 70.0, "vpc"),
        "server": Span(10.0, 30.0, "vpc"),
        "service": Span(70.0, 100.0, "nlb"),
        "lost": Span(50.0, None, "server"),
    },
)


def test_the_chain_goes_back_from_what_ended_last() -> None:
    """Service, balancer, VPC: the instance was ready long before, and what never ended decided nothing."""
    assert RUN.chain() == ["vpc", "nlb", "service"]
    assert RUN.seconds == 100.0


def test_of_two_that_ended_at_once_the_later_one_closes_the_chain() -> None:
    """A subnet and its VPC go in one tick: the VPC stood on the subnet's end."""
    run = Timeline("down", 0.0, {"subnet": Span(0.0, 5.0), "vpc": Span(5.0, 5.0, "subnet")})
    assert run.chain() == ["subnet", "vpc"]


def test_an_empty_run_and_a_circle_have_an_end() -> None:
    """Nothing hangs on a file that somebody edited by hand."""
    assert (Timeline("up", 0.0).chain(), Timeline("up", 0.0).seconds) == ([], 0.0)
    circle = Timeline("up", 0.0, {"a": Span(0.0, 1.0, "b"), "b": Span(0.0, 1.0, "a")})
    assert sorted(circle.chain()) == ["a", "b"]
    assert Timeline("up", 0.0, {"a": Span(0.0, 1.0, "gone")}).chain() == ["a"]


def test_what_a_key_waited_for_last() -> None:
    """Of its needs the one that ended last; a target also waits for the listener, which came after its registration."""
    run = Timeline("up", 100.0)
    for key, began, ended in (("group", 100.0, 101.0), ("server", 100.0, 115.0)):
        run.begin(key, began, ())
        run.end(key, ended, ())
    run.begin("target", 115.0, ("group", "server"))
    assert run.spans["target"] == Span(15.0, None, "server")
    run.begin("listener", 120.0, ())
    run.end("listener", 130.0, ())
    run.end("target", 190.0, ("group", "server", "listener"))
    run.end("target", 500.0, ())
    assert run.spans["target"] == Span(15.0, 90.0, "listener")


def test_bars() -> None:
    """One row per key as it began, the chain in solid, as wide as it is long; plain signs for a plain terminal."""
    rows = list(bars(reported("test", RUN)["timeline"], unicode=False, width=10))
    assert rows == [
        ("vpc", "#", "10.0 s", ""),
        ("server", " --", "20.0 s", "after vpc"),
        ("nlb", " ######", "60.0 s", "after vpc"),
        ("lost", "     -----", "never ended", "after server"),
        ("service", "       ###", "30.0 s", "after nlb"),
    ]
    assert next(bars(reported("test", RUN)["timeline"], unicode=True, width=10))[1] == "█"


def test_status_shows_the_last_run_without_asking_aws(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """After `up` the build, after a second `up` that changed nothing still the build, after `down` the teardown."""
    assert "No run of the lab test is remembered here. Next: plab up" in run("status", "--timeline").out
    assert run("status", "--timeline", "--json").json == [{"lab": "test", "timeline": None}]
    run("up")
    shown = run("status", "--timeline").out
    assert run("up").code == 0
    at_cloud.calls()
    assert run("status", "--timeline").out == shown
    assert shown.startswith("up, 2")
    assert "acme/acceptance" in shown
    assert "after provider/endpoint-service" in shown
    assert "\nThe chain that decided it: " in shown
    run("down", "-y")
    at_cloud.calls()
    [data] = run("status", "--timeline", "--json").json
    assert at_cloud.calls() == []
    assert list(data["timeline"]) == ["command", "began", "seconds", "chain", "spans"]
    assert list(data["timeline"]["spans"][0]) == ["key", "began", "ended", "after"]
    assert data["timeline"]["command"] == "down"
    assert data["timeline"]["chain"][-1].endswith("/vpc")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"timeline": 5}', '{"timeline": {"spans": {"x": 1}}}'])
def test_a_damaged_memory_is_none(at_cloud: Cloud, run: Run, tmp_path: Path, text: str) -> None:
    """What is left of a lab that is gone is only for show: nobody is stopped by it."""
    (tmp_path / ".plab").mkdir()
    (tmp_path / ".plab" / "test.last.json").write_text(text)
    ran = run("status", "--timeline")
    assert (ran.code, "No run of the lab test is remembered" in ran.out) == (0, True)
