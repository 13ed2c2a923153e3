"""A resource of the lab loses its tags: plab knows its id, makes no second one and forgets nothing."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from support.cloud import Cloud, duplicates, id_of

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase
from privatelink_lab.steps import STEPS

TAGS = ("Name", "plab:lab", "plab:key", "plab:maker", "plab:since", "plab:spec")
KEYS = (
    "provider/vpc",
    "provider/subnet-1",
    "provider/security-group",
    "provider/web-server",
    "provider/target-group",
    "provider/nlb",
    "provider/endpoint-service",
    "acme/vpc",
    "acme/subnet-1",
    "acme/security-group",
    "acme/endpoint",
)


def strip(cloud: Cloud, id_: str) -> None:
    """Another person's tool removes all tags."""
    if id_.startswith("arn:"):
        cloud.account().elbv2.remove_tags(ResourceArns=[id_], TagKeys=list(TAGS))
    else:
        cloud.account().ec2.delete_tags(Resources=[id_], Tags=[{"Key": name} for name in TAGS])


def put_back(cloud: Cloud, hint: str) -> None:
    """Type the command of the hint."""
    words = shlex.split(hint.partition("put the tags back: ")[2])
    pairs: Any = [dict(part.split("=", 1) for part in word.split(",")) for word in words[6:]]
    if words[:5] == ["aws", "elbv2", "add-tags", "--resource-arns", words[4]]:
        cloud.account().elbv2.add_tags(ResourceArns=[words[4]], Tags=pairs)
    else:
        assert words[:4] == ["aws", "ec2", "create-tags", "--resources"]
        cloud.account().ec2.create_tags(Resources=[words[4]], Tags=pairs)


@pytest.fixture
def built(cloud: Cloud, lab: Lab) -> Built:
    """The lab, up, and known everywhere."""
    built = cloud.up(lab)
    assert built.exit_code == 0
    cloud.clock.sleep(120)
    return built


@pytest.mark.parametrize("key", KEYS)
def test_up_makes_no_second_one(cloud: Cloud, lab: Lab, built: Built, key: str) -> None:
    """`up` fails with a sentence that names the id, and creates nothing under that key."""
    strip(cloud, id_of(built, key))
    cloud.calls()
    again = cloud.up_again(lab)
    assert again.exit_code == 1
    assert f"{key} ({id_of(built, key)}) exists and has lost the lab's tag" in str(again.failed[key])
    assert not [call for call in cloud.changes() if call.startswith(("Create", "Run"))]
    assert duplicates(cloud) == []


@pytest.mark.parametrize("key", KEYS)
def test_down_leaves_it_and_says_so(cloud: Cloud, lab: Lab, built: Built, key: str) -> None:
    """`down` ends soon with exit code 3 and names it; its id stays in the state; with its tags back it is deleted."""
    id_ = id_of(built, key)
    strip(cloud, id_)
    began = cloud.clock.now()
    removed = cloud.down(cloud.lab(state=lab.state))
    assert removed.exit_code == 3
    assert cloud.clock.now() - began < 60
    assert id_ in str(removed.left[key])
    assert lab.state.ids[key] == id_
    again = cloud.down(cloud.lab(state=lab.state))
    assert (again.exit_code, key in again.left) == (3, True)
    put_back(cloud, removed.left[key].hint)
    cloud.clock.sleep(120)
    assert cloud.down(cloud.lab(state=lab.state)).exit_code == 0
    assert not [lines for lines in cloud.aws.inventory().values() if any("'plab:lab'" in line for line in lines)]


def test_status_calls_it_untagged(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A user sees the id and the word; nothing else of the lab changes its phase."""
    strip(cloud, id_of(built, "acme/vpc"))
    seen = engine.survey(cloud.lab(state=lab.state), STEPS)
    [found] = seen.found["acme/vpc"]
    assert (found.id, found.phase) == (id_of(built, "acme/vpc"), Phase.UNTAGGED)
    others = {found[0].phase for key, found in seen.found.items() if found and key != "acme/vpc"}
    assert others == {Phase.READY}


def test_without_a_state_it_is_unknown(cloud: Cloud, built: Built) -> None:
    """No tag and no state: plab knows nothing of it, and does not touch it."""
    strip(cloud, id_of(built, "acme/endpoint"))
    assert "acme/endpoint" not in engine.survey(cloud.lab(), STEPS).existing()
