"""A target that stays unhealthy: `up` says why after a while, and waits on."""

from __future__ import annotations

from support.cloud import Cloud, config_of

from privatelink_lab.commands.why import explained
from privatelink_lab.events import Explained
from privatelink_lab.steps.target_group import REGISTRATION


def test_up_says_why_a_target_is_unhealthy(real_pace_cloud: Cloud) -> None:
    """The server never answers: after three minutes the judge's line is shown, once, long before the wait ends."""
    cloud = real_pace_cloud
    lab = cloud.lab(config_of())
    lab.explain = lambda: explained(lab)
    cloud.aws.choose_faults([*cloud.always, {"kind": "target-fails"}])
    assert cloud.up(lab).exit_code == 1
    shown = [event for event in cloud.events if isinstance(event, Explained)]
    assert [event.key for event in shown] == [REGISTRATION]
    assert shown[0].text.startswith("target-unhealthy (server): The server does not answer the health check. ")
    assert cloud.events.index(shown[0]) < len(cloud.events) - 1
