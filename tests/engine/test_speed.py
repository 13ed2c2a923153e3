"""Limits and grace periods are seconds of AWS: on a local AWS that is faster they are shorter, to a floor."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.cloud import Cloud

from privatelink_lab.lab import LEAST_PERIOD, Lab
from privatelink_lab.resource import Patience, Resource, ResourceType

THING = Resource("provider/thing", ResourceType("thing"))


@pytest.mark.parametrize(
    ("speed", "timeout", "grace"),
    [(1.0, 1200, 90), (20.0, 60, 5), (4.0, 300, 22.5), (math.inf, 60, 5)],
)
def test_a_faster_clock_waits_less(lab: Lab, speed: float, timeout: float, grace: float) -> None:
    """An unhealthy target fails after a minute, not twenty, on a clock twenty times as fast."""
    lab.speed = speed
    resource = replace(THING, type=replace(THING.type, patience=Patience(1200, 90)))
    assert (lab.timeout(resource), lab.grace_period(resource)) == (timeout, grace)


def test_what_the_user_allowed_is_not_shortened(lab: Lab) -> None:
    """`verify --timeout 120` is 120 seconds of the user, on any clock."""
    lab.speed = 20.0
    patience = Patience(120, 90, also=240)
    assert lab.timeout(replace(THING, type=replace(THING.type, patience=patience))) == 60 + 240


def test_a_short_limit_stays(lab: Lab) -> None:
    """What is shorter than the floor on AWS is as short here."""
    lab.speed = math.inf
    assert lab.of_aws(3.0, LEAST_PERIOD) == 3.0


def test_a_killed_create_is_made_again_soon(cloud: Cloud) -> None:
    """At speed 0 a create whose answer is lost costs seconds, not a minute and a half."""
    lab = cloud.lab(speed=math.inf)
    lab.state.create_pending["provider/vpc"] = cloud.clock.now()
    began = cloud.clock.now()
    assert cloud.up(lab).exit_code == 0
    assert cloud.clock.now() - began < 15
