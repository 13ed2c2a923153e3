"""A lab with an end: the tag `plab:expires` on everything, which only --ttl moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.cloud import Cloud, config_of

from privatelink_lab import expiry, tags
from privatelink_lab.engine import survey
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
PAST = "2026-01-01T00:00:00Z"


def ends(cloud: Cloud, lab: Lab) -> set[str]:
    """The ends that AWS shows on everything of the lab that bears tags; '' for what has none."""
    seen = survey(cloud.lab(lab.config), STEPS)
    tagged = (found for things in seen.found.values() for found in things if found.tags)
    return {found.tags.get(tags.EXPIRES, "") for found in tagged}


@pytest.mark.parametrize(
    ("ttl", "end"), [("90m", "2026-08-01T13:30:00Z"), ("2h", "2026-08-01T14:00:00Z"), ("3d", "2026-08-04T12:00:00Z")]
)
def test_a_duration_becomes_an_instant(ttl: str, end: str) -> None:
    """The tag has the instant, which another machine reads without knowing when the lab began."""
    assert expiry.is_ttl(ttl)
    assert expiry.after(NOW, ttl) == end


@pytest.mark.parametrize("text", ["", "2", "h", "0h", "-1h", "2 h", "2w", "1.5h", "99999h"])
def test_what_is_no_duration(text: str) -> None:
    """A number and m, h or d; nothing else."""
    assert not expiry.is_ttl(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-08-01T13:12:00Z", "expires in 1 h 12 min ("),
        ("2026-08-01T11:00:00Z", "expired 1 h ago ("),
        ("yesterday", ""),
        ("2026-08-01T13:12:00", ""),
        ("", ""),
    ],
)
def test_an_end_in_words(text: str, said: str) -> None:
    """What is no instant in UTC says nothing: such a lab does not expire."""
    assert expiry.in_words(text, NOW).startswith(said)
    assert bool(expiry.in_words(text, NOW)) is bool(said)
    assert expiry.is_past(text, NOW) is said.startswith("expired")


def test_everything_bears_the_end(cloud: Cloud) -> None:
    """`ttl: 2h` in the config counts from the first `up`, and a later one leaves it."""
    config = config_of(ttl="2h")
    lab = cloud.lab(config)
    assert cloud.up(lab).exit_code == 0
    wanted = expiry.after(datetime.fromisoformat(lab.state.since), "2h")
    assert ends(cloud, lab) == {wanted}
    cloud.calls()
    assert cloud.up_again(lab, config).exit_code == 0
    assert cloud.changes() == []
    assert cloud.up_again(lab, config_of(ttl="9d")).exit_code == 0
    assert ends(cloud, lab) == {wanted}


@pytest.mark.parametrize("ttl", ["30m", "5d"])
def test_only_ttl_moves_it(cloud: Cloud, ttl: str) -> None:
    """`up --ttl` writes the new end on everything, sooner or later than the old one; also where there was none."""
    for config in (config_of(), config_of(ttl="2h")):
        lab = cloud.lab(config)
        cloud.up(lab)
        moved = cloud.lab(config, lab.state, ttl=ttl)
        cloud.clock.sleep(60)
        assert cloud.up(moved).exit_code == 0
        assert ends(cloud, lab) == {moved.state.expires} != {""}
        assert cloud.down(moved).exit_code == 0


def test_an_end_that_another_machine_has_moved_stays(cloud: Cloud) -> None:
    """The state here has the earlier end: `up` takes the later one from the tags, and moves nothing back."""
    lab = cloud.lab(config_of(ttl="2h"))
    cloud.up(lab)
    before = lab.state.expires
    other = cloud.lab(lab.config, lab.state.without_file(), ttl="9d")
    cloud.clock.sleep(60)
    cloud.up(other)
    lab.state.expires = before
    cloud.calls()
    assert cloud.up_again(lab, lab.config).exit_code == 0
    assert cloud.changes() == []
    assert ends(cloud, lab) == {other.state.expires}


@pytest.mark.parametrize("with_state", [True, False])
def test_an_expired_lab_is_refused_without_ttl(cloud: Cloud, *, with_state: bool) -> None:
    """It may be reaped at any moment: `up` says so, also by the tags alone; `--ttl` goes on, and `down` removes it."""
    lab = cloud.lab(config_of(), ttl="1h")
    cloud.up(lab)
    ec2, elbv2 = cloud.account().ec2, cloud.account().elbv2
    ids = [id_ for id_ in lab.state.made if not id_.startswith("arn:")]
    ec2.create_tags(Resources=ids, Tags=[{"Key": tags.EXPIRES, "Value": PAST}])
    for arn in set(lab.state.made) - set(ids):
        elbv2.add_tags(ResourceArns=[arn], Tags=[{"Key": tags.EXPIRES, "Value": PAST}])
    lab.state.expires = PAST
    cloud.calls()
    later = cloud.lab(lab.config, lab.state if with_state else None)
    with pytest.raises(PlabError, match=r"expired .* ago .*may be reaped"):
        cloud.up(later)
    assert cloud.changes() == []
    kept = cloud.lab(lab.config, lab.state if with_state else None, ttl="2h")
    assert cloud.up(kept).exit_code == 0
    assert ends(cloud, lab) == {kept.state.expires}
    assert cloud.down(kept).exit_code == 0


def test_a_lab_has_no_end_where_one_resource_has_none(cloud: Cloud) -> None:
    """A resource without the tag may be in use: the lab does not expire."""
    lab = cloud.lab(config_of(ttl="2h"))
    cloud.up(lab)
    assert survey(lab, STEPS).snapshot.expires() == lab.state.expires
    tag: Any = [{"Key": tags.EXPIRES}]
    cloud.account().ec2.delete_tags(Resources=[lab.state.ids["acme/vpc"]], Tags=tag)
    assert survey(lab, STEPS).snapshot.expires() == ""


def test_soon(cloud: Cloud) -> None:
    """An end that has not come is no reason to refuse."""
    lab = cloud.lab(config_of(ttl="1m"))
    lab.state.expires = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert cloud.up(lab).exit_code == 0
