"""While `up` runs, another person deletes a resource, or a describe misses one for a while."""

from __future__ import annotations

from support.cloud import Cloud
from support.spoiler import Spoiler

from privatelink_lab.lab import Lab

NEVER = 1_000_000  # describes


def is_ready(lab: Lab, key: str) -> bool:
    """Whether this run has seen a key as asked."""
    return bool(lab.state.timeline and (span := lab.state.timeline.spans.get(key)) and span.ended is not None)


def test_a_resource_deleted_while_up_waits_is_a_failure(slow_cloud: Cloud) -> None:
    """Another person deletes the listener while `up` waits for a healthy target: `up` fails within two minutes."""
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


def test_what_one_snapshot_misses_is_not_gone(real_pace_cloud: Cloud) -> None:
    """A describe once misses an existing VPC (a replica that lags): `up` asks for its id and goes on."""
    spoiler = Spoiler(NEVER, "empty", "DescribeVpcs")
    lab = spoiler.watch(real_pace_cloud.lab())

    def spoil() -> None:
        if is_ready(lab, "provider/web-server"):
            spoiler.number, real_pace_cloud.clock.before_sleep = 1, lambda: None

    real_pace_cloud.clock.before_sleep = spoil
    assert real_pace_cloud.up(lab).exit_code == 0
    assert spoiler.hit == "DescribeVpcs"
    assert "provider/vpc" not in lab.state.attempts
