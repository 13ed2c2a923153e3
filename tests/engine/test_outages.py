"""Throttles and lost connections during a run: `up` and `down` wait for a while, then stop and report it."""

from __future__ import annotations

import pytest
from support.cloud import Cloud, config_of
from support.outage import Outage, Portal

from privatelink_lab import engine
from privatelink_lab.aws import account
from privatelink_lab.events import Event, Unanswered
from privatelink_lab.steps import STEPS


@pytest.fixture(autouse=True)
def no_second_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the retries of botocore, which wait for real; the loop retries in virtual time."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)


def test_a_throttle_late_in_a_run_is_no_failure(real_pace_cloud: Cloud) -> None:
    """AWS throttles while `up` rechecks what has been ready for longer than its patience: `up` waits and goes on."""
    lab = real_pace_cloud.lab()
    busy = {"kind": "throttle", "action": "DescribeVpcs", "times": 3}

    def be_busy() -> None:
        if "provider/nlb" in lab.state.ids:
            real_pace_cloud.clock.before_sleep = lambda: None
            real_pace_cloud.clock.time += 400
            real_pace_cloud.aws.choose_faults([busy])

    real_pace_cloud.clock.before_sleep = be_busy
    assert real_pace_cloud.up(lab).exit_code == 0


def test_a_connection_that_is_lost_for_a_while_is_waited_for(slow_cloud: Cloud) -> None:
    """`up` goes on after half a minute without a connection; after more than a minute it stops and reports it."""
    lab = slow_cloud.lab()
    account = lab.account("provider")
    away = Outage(account, slow_cloud, seconds=30)
    slow_cloud.clock.before_sleep = away.begin
    assert slow_cloud.up(lab).exit_code == 0
    assert away.ended
    other = slow_cloud.lab(config_of(lab="other"))
    slow_cloud.clock.before_sleep = Outage(other.account("provider"), slow_cloud, seconds=3600).begin
    began = slow_cloud.clock.now()
    built = slow_cloud.up(other)
    assert "Could not connect" in str(next(iter(built.failed.values())))
    assert slow_cloud.clock.now() - began < 120


@pytest.mark.parametrize("at", [3, 20, 60])
def test_a_connection_that_is_lost_for_good_ends_down(real_pace_cloud: Cloud, at: int) -> None:
    """The connection is lost for good: `down` ends within two minutes and names what it could not delete."""
    lab = real_pace_cloud.lab()
    assert real_pace_cloud.up(lab).exit_code == 0
    real_pace_cloud.let_new_ids_propagate()
    seen = engine.survey(lab, STEPS, to_delete=True)
    away = Outage(lab.account("provider"), real_pace_cloud, seconds=1e9, after=at)
    most = real_pace_cloud.clock.sleeps + 2_000

    def lose() -> None:
        away.begin()
        if real_pace_cloud.clock.sleeps > most:
            pytest.fail("`down` spins")

    real_pace_cloud.clock.before_sleep = lose
    removed = engine.down(lab, STEPS, seen)
    assert removed.exit_code == 3
    assert real_pace_cloud.clock.now() - away.began < 120


@pytest.mark.parametrize("service", ["elbv2", "ec2", ""])
def test_a_service_that_is_blocked_is_named_and_ends_the_run(slow_cloud: Cloud, service: str) -> None:
    """A network's portal answers for one service: `up` tells its URL within a minute, and ends after five."""
    portal = Portal(service)
    lab = portal.watch(slow_cloud.lab())
    slow_cloud.clock.before_sleep = lambda: vars(portal).update(up="provider/vpc" in lab.state.ids)
    began = slow_cloud.clock.now()
    told: dict[str, float] = {}

    def note(event: Event) -> None:
        if isinstance(event, Unanswered):
            told.setdefault(event.source, slow_cloud.clock.now() - began)

    lab.emit = note
    built = slow_cloud.up(lab)
    assert built.exit_code == 1
    assert 300 < slow_cloud.clock.now() - began < 400
    assert told
    assert all(seconds < 70 for seconds in told.values())
    failed = [str(error) for error in built.failed.values()]
    assert any(f"at {slow_cloud.aws.url} has given no usable answer for 5 minutes" in text for text in failed), failed
    assert all("created 3 times" not in text for text in failed)
    portal.service = "none"
    assert slow_cloud.up(slow_cloud.lab(state=lab.state)).exit_code == 0


@pytest.mark.parametrize("service", ["elbv2", "ec2", ""])
def test_a_blocked_service_ends_down(slow_cloud: Cloud, service: str) -> None:
    """`down` ends after five minutes, exits with 3 and names what it could not delete; the next one deletes it."""
    lab = slow_cloud.lab()
    assert slow_cloud.up(lab).exit_code == 0
    slow_cloud.let_new_ids_propagate()
    portal = Portal(service)
    other = portal.watch(slow_cloud.lab(state=lab.state))
    seen = engine.survey(other, STEPS, to_delete=True)
    portal.up, began = True, slow_cloud.clock.now()
    removed = engine.down(other, STEPS, seen)
    assert removed.exit_code == 3
    assert slow_cloud.clock.now() - began < 400
    assert any("has given no usable answer" in str(error) for error in removed.left.values())
    portal.up = False
    slow_cloud.clock.sleep(300)
    assert slow_cloud.down(slow_cloud.lab(state=lab.state)).exit_code == 0
