"""Why a run was as long as it was: what `plab status --timeline` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.command_line import Run

from privatelink_lab.aws import account
from privatelink_lab.commands.json_report import timeline as reported
from privatelink_lab.errors import Interrupted
from privatelink_lab.events import Finished, Waiting
from privatelink_lab.timeline import Span, Timeline
from privatelink_lab.ui.timeline_bars import GAP, bars, fitted

SPANS = {
    "vpc": Span(0.0, 10.0),
    "nlb": Span(10.0, 70.0, "vpc"),
    "server": Span(10.0, 30.0, "vpc"),
    "service": Span(70.0, 100.0, "nlb"),
    "lost": Span(50.0, None, "server"),
}
RUN = Timeline("up", 1_700_000_000.0, 100.0, over=True, spans=SPANS)


def of(*, over: bool = True, **spans: Span) -> Timeline:
    """A run with these spans."""
    return Timeline("up", 0.0, 5.0, over, spans)


def test_the_chain_goes_back_from_what_ended_last() -> None:
    """Service, balancer, VPC: the instance was ready long before, and what failed decided nothing."""
    assert RUN.chain() == ["vpc", "nlb", "service"]


def test_the_chain_of_a_stopped_run_leads_to_what_it_waited_for() -> None:
    """Ctrl-C while the balancer provisions: the balancer, not what was ready last."""
    run = of(over=False, vpc=Span(0.0, 1.0), nlb=Span(1.0, None, "vpc"), server=Span(1.0, 3.0, "vpc"))
    assert run.chain() == ["vpc", "nlb"]


def test_of_two_that_ended_at_once_the_later_one_closes_the_chain() -> None:
    """A subnet and its VPC go in one tick: the VPC stood on the subnet's end."""
    assert of(subnet=Span(0.0, 5.0), vpc=Span(5.0, 5.0, "subnet")).chain() == ["subnet", "vpc"]


def test_an_empty_run_and_a_circle_have_an_end() -> None:
    """A timeline that was edited by hand does not hang plab."""
    assert of().chain() == []
    assert sorted(of(a=Span(0.0, 1.0, "b"), b=Span(0.0, 1.0, "a")).chain()) == ["a", "b"]
    assert of(a=Span(0.0, 1.0, "gone")).chain() == ["a"]


def test_what_a_key_waited_for_last() -> None:
    """A key waited for the dependency that ended last; a target also for a listener that began after it."""
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
        ("lost", "     -----", "not ended", "after server"),
        ("service", "       ###", "30.0 s", "after nlb"),
    ]
    assert next(bars(reported("test", RUN)["timeline"], unicode=True, width=10))[1] == "█"


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_it_fits_into_the_window(columns: int) -> None:
    """The bars give way, then what was waited for: no bar is folded into its next line."""
    heads, rows = fitted(reported("test", RUN)["timeline"], unicode=False, columns=columns)
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    assert sum(widths) + GAP * (len(widths) - 1) <= columns
    assert heads[:3] == ("KEY", "WHEN", "SECONDS")
    assert ("WAITED FOR" in heads) is (columns > 40)
    assert widths[1] == min(40, widths[1])


def test_status_shows_the_last_run_without_asking_aws(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """After `up` the build, after a second `up` that changed nothing still the build, after `down` the teardown."""
    assert run("status", "--timeline").out == "No run of the lab test is recorded here.\n"
    assert run("status", "--timeline", "--json").json == [{"lab": "test", "timeline": None}]
    run("up")
    printed = run("status", "--timeline").out
    assert run("up").code == 0
    at_cloud.calls()
    assert run("status", "--timeline").out == printed
    assert printed.startswith("up, 2")
    assert "acme/acceptance" in printed
    assert "after provider/endpoint-service" in printed
    assert "\nThe chain that decides it: " in printed
    run("down", "-y")
    assert run("down", "-y").code == 0, "this one changes nothing, and is not remembered"
    at_cloud.calls()
    [data] = run("status", "--timeline", "--json").json
    assert at_cloud.calls() == []
    assert list(data["timeline"]) == ["command", "began", "seconds", "over", "chain", "spans"]
    assert list(data["timeline"]["spans"][0]) == ["key", "began", "ended", "after"]
    assert (data["timeline"]["command"], data["timeline"]["over"]) == ("down", True)
    assert data["timeline"]["chain"][-1].endswith("/vpc")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"timeline": 5}', '{"timeline": {"spans": {"x": 1}}}'])
def test_a_damaged_memory_is_none(at_cloud: Cloud, run: Run, tmp_path: Path, text: str) -> None:
    """The record of a lab that is gone is only for show: a damaged one stops no command."""
    (tmp_path / ".plab").mkdir()
    (tmp_path / ".plab" / "test.last.json").write_text(text)
    ran = run("status", "--timeline")
    assert (ran.code, "No run of the lab test is recorded" in ran.out) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"spans": {"k": {"began": "x", "ended": None, "after": None}}},
        {"spans": {"k": {"began": None, "ended": None, "after": None}}},
        {"spans": {"k": {"began": float("nan"), "ended": None, "after": None}}},
        {"spans": {"k": {"began": 1}}},
        {"at": 1e300},
        {"at": "x"},
    ],
)
def test_an_odd_timeline_is_no_timeline(wrong: dict[str, Any]) -> None:
    """A timeline that was edited by hand is refused when plab reads it, not when plab draws it."""
    data = {"command": "up", "at": 1.0, "seconds": 1.0, "over": True, "spans": {}} | wrong
    with pytest.raises((TypeError, KeyError, ValueError)):
        Timeline.of(data)


def test_a_stopped_run_says_so(slow_cloud: Cloud) -> None:
    """Ctrl-C while the balancer provisions: the time until then, not over, and the balancer at the chain's end."""
    lab = slow_cloud.lab()
    began = slow_cloud.clock.now()

    def stop() -> None:
        if slow_cloud.clock.now() - began > 3:
            lab.interrupt()

    slow_cloud.clock.before_sleep = stop
    with pytest.raises(Interrupted):
        slow_cloud.up(lab)
    assert lab.state.timeline
    assert not lab.state.timeline.over
    assert lab.state.timeline.seconds >= 3
    assert lab.state.timeline.chain()[-1] == "provider/nlb"


def test_a_throttled_recheck_leaves_a_key_ready(real_pace_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS throttles a recheck of what is ready: no event shows it, and every key ends as ready."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)  # botocore's own attempts wait for real
    lab = real_pace_cloud.lab()
    began = real_pace_cloud.clock.now()

    def be_busy() -> None:
        if real_pace_cloud.clock.now() - began > 45:
            real_pace_cloud.clock.before_sleep = lambda: None
            real_pace_cloud.aws.choose_faults([{"kind": "throttle", "action": "DescribeVpcs", "times": 1}])

    real_pace_cloud.clock.before_sleep = be_busy
    assert real_pace_cloud.up(lab).exit_code == 0
    last = {event.key: event for event in real_pace_cloud.events if isinstance(event, (Waiting, Finished))}
    assert "RequestLimitExceeded" not in {getattr(event, "detail", "") for event in real_pace_cloud.events}
    assert all(isinstance(event, Finished) for event in last.values())
    assert lab.state.timeline
    assert all(span.ended is not None for span in lab.state.timeline.spans.values())
