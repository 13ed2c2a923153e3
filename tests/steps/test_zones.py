"""The zones of a lab: a number of them, or those that the config names by their IDs."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of

from privatelink_lab import engine
from privatelink_lab.errors import PlabError
from privatelink_lab.steps import STEPS


def zones_of(cloud: Cloud, lab: Any) -> dict[str, str]:
    """The zone ID of every subnet of the lab, by key."""
    found = engine.survey(lab, STEPS).existing()
    return {key: rows[0].shows["zone"] for key, rows in found.items() if "/subnet-" in key}


def test_named_zones_are_used_in_their_order(cloud: Cloud) -> None:
    """`zones: [use1-az4, use1-az2]`: provider and consumer get a subnet in each, and the endpoint works."""
    lab = cloud.lab(config_of(provider={"zones": ["use1-az4", "use1-az2"]}))
    assert cloud.up(lab).exit_code == 0
    assert zones_of(cloud, lab) == {
        "provider/subnet-1": "use1-az4",
        "provider/subnet-2": "use1-az2",
        "acme/subnet-1": "use1-az4",
        "acme/subnet-2": "use1-az2",
    }


def test_another_zone_is_refused_with_old_and_new(cloud: Cloud) -> None:
    """The config names another zone later, as after a lack of capacity: the error has both and the command."""
    lab = cloud.lab(config_of(provider={"zones": ["use1-az4"]}))
    cloud.up(lab)
    after = cloud.up_again(lab, config_of(provider={"zones": ["use1-az1"]}))
    error = after.failed["provider/subnet-1"]
    assert "zone: use1-az4, the config says use1-az1" in error.message
    assert error.hint == "plab up --replace provider/subnet-1"


@pytest.mark.parametrize(
    ("provider", "text"),
    [
        ({"zones": ["use1-az9"]}, "us-east-1 has no zone use1-az9"),
        ({"web_server": {"instance_type": "t3.mikro"}}, "offers t3.mikro in no zone"),
    ],
)
def test_what_the_region_does_not_offer_is_said_before_anything_is_made(
    cloud: Cloud, provider: dict[str, Any], text: str
) -> None:
    """`up` and `up --dry-run` refuse it in one sentence, and nothing is created."""
    for run in (cloud.up, lambda lab: engine.check(lab, STEPS)):
        with pytest.raises(PlabError, match=text) as caught:
            run(cloud.lab(config_of(provider=provider)))
        assert "`zones`" in caught.value.hint or "`instance_type`" in caught.value.hint
    assert cloud.changes() == []


def test_a_whole_lab_is_not_asked_again(cloud: Cloud) -> None:
    """A second `up` knows that its subnets and its server are there."""
    lab = cloud.lab()
    cloud.up(lab)
    cloud.calls()
    cloud.up_again(lab)
    assert not {"DescribeInstanceTypeOfferings", "GetParameter"} & set(cloud.calls())


def test_no_answer_to_a_check_is_no_refusal(cloud: Cloud) -> None:
    """AWS is busy when the offers are read first: the loop asks again, and the lab comes up."""
    cloud.fail("DescribeInstanceTypeOfferings", 503, "Unavailable")
    cloud.clock.before_sleep = cloud.heal
    assert cloud.up(cloud.lab()).exit_code == 0
