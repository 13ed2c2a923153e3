"""What happens to a run from outside: somebody deletes, the connection goes, a second maker comes."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of
from support.outage import Outage

from privatelink_lab.aws import account
from privatelink_lab.lab import Lab

NOT_SEEN = "was there, and is not seen now"


def is_ready(lab: Lab, key: str) -> bool:
    """Whether this run has seen a key as asked."""
    return bool(lab.state.timeline and (span := lab.state.timeline.spans.get(key)) and span.ended is not None)


def test_what_somebody_deletes_while_up_waits_is_said(slow_cloud: Cloud) -> None:
    """The listener goes by another's hand while the target is to become healthy: a failure soon, and no hanging."""
    lab = slow_cloud.lab()
    elbv2 = slow_cloud.account().elbv2

    def delete() -> None:
        if is_ready(lab, "provider/nlb/listener") and "acme/endpoint" in lab.state.ids:  # and AWS shows it by now
            slow_cloud.clock.before_sleep = lambda: None
            elbv2.delete_listener(ListenerArn=lab.state.ids["provider/nlb/listener"])

    slow_cloud.clock.before_sleep = delete
    began = slow_cloud.clock.now()
    built = slow_cloud.up(lab)
    words = "was there and is gone: another person deletes what this run builds."
    assert words in str(built.failed["provider/nlb/listener"])
    assert slow_cloud.clock.now() - began < 120
    slow_cloud.clock.time += 60
    assert slow_cloud.down(lab).exit_code == 0


def test_what_one_look_misses_is_not_gone(real_pace_cloud: Cloud) -> None:
    """A describe that once leaves out what was there (a replica that lags): `up` looks again and goes on."""
    lab = real_pace_cloud.lab()
    kept: list[dict[str, Any]] = []
    ec2 = real_pace_cloud.account().ec2

    def untag() -> None:
        if is_ready(lab, "provider/web-server") and not kept:
            vpc = lab.state.ids["provider/vpc"]
            kept.append({"Resources": [vpc], "Tags": ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"][0]["Tags"]})
            ec2.delete_tags(**kept[0])
        elif kept and any(getattr(event, "detail", "") == NOT_SEEN for event in real_pace_cloud.events):
            ec2.create_tags(**kept[0])
            real_pace_cloud.clock.before_sleep = lambda: None

    real_pace_cloud.clock.before_sleep = untag
    assert real_pace_cloud.up(lab).exit_code == 0
    assert real_pace_cloud.clock.before_sleep is not untag


def test_a_throttle_late_in_a_run_is_no_failure(real_pace_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was ready for longer than its patience is looked at again, and AWS is busy just then: `up` waits on."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)  # botocore's own attempts wait for real
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
    """No connection for half a minute while `up` runs: it goes on; for more than a minute: it stops and says so."""
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
