"""A resource of the lab loses its tags: plab knows its id, makes no second one and forgets nothing."""

from __future__ import annotations

import pytest
from support.cloud import Cloud, config_of, duplicates, id_of
from support.lost_tags import strip, tagged_keys

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase
from privatelink_lab.steps import STEPS

KEYS = tagged_keys("acme")


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
    strip(cloud.account(), id_of(built, key))
    cloud.calls()
    again = cloud.up_again(lab)
    assert again.exit_code == 1
    assert f"{key} ({id_of(built, key)}) exists and has lost the lab's tags" in str(again.failed[key])
    assert not [call for call in cloud.changes() if call.startswith(("Create", "Run"))]
    assert duplicates(cloud) == []


@pytest.mark.parametrize("key", KEYS)
def test_down_leaves_it_and_says_so(cloud: Cloud, lab: Lab, built: Built, key: str) -> None:
    """`down` ends soon with exit code 3 and names it; its id stays in the state; `down --adopt` deletes it."""
    id_ = id_of(built, key)
    strip(cloud.account(), id_)
    began = cloud.clock.now()
    removed = cloud.down(cloud.lab(state=lab.state))
    assert removed.exit_code == 3
    assert cloud.clock.now() - began < 60
    assert id_ in str(removed.left[key])
    assert lab.state.ids[key] == id_
    again = cloud.down(cloud.lab(state=lab.state))
    assert (again.exit_code, key in again.left) == (3, True)
    assert "plab down --adopt" in removed.left[key].hint
    adopting = cloud.lab(state=lab.state)
    engine.put_tags_back(adopting, engine.survey(adopting, STEPS, to_delete=True))
    assert cloud.down(adopting).exit_code == 0
    assert not [lines for lines in cloud.aws.inventory().values() if any("'plab:lab'" in line for line in lines)]


@pytest.mark.parametrize("key", KEYS)
def test_up_adopts_it(cloud: Cloud, lab: Lab, built: Built, key: str) -> None:
    """`up --adopt` puts the same tags back, changes nothing else, and ends well; a plain `up` then makes no change."""
    id_ = id_of(built, key)
    before = dict(lab.state.made[id_])
    strip(cloud.account(), id_)
    adopting = cloud.lab(state=lab.state)
    cloud.calls()
    engine.put_tags_back(adopting, engine.survey(adopting, STEPS))
    assert cloud.up(adopting).exit_code == 0
    assert cloud.changes() == ["AddTags" if id_.startswith("arn:") else "CreateTags"]
    cloud.clock.sleep(120)
    later = cloud.lab(state=lab.state)
    assert cloud.up(later).exit_code == 0
    assert cloud.changes() == []
    assert engine.survey(later, STEPS).found[key][0].tags == before


def test_what_is_not_as_the_state_has_it_gets_no_tags(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The state's hash and the resource disagree (a state of another lab, say): `--adopt` does not touch it."""
    id_ = id_of(built, "acme/vpc")
    strip(cloud.account(), id_)
    lab.state.made[id_]["plab:identity"] = "0" * 64
    adopting = cloud.lab(state=lab.state)
    cloud.calls()
    engine.put_tags_back(adopting, engine.survey(adopting, STEPS))
    assert "The state does not say how it was made" in str(cloud.up(adopting).failed["acme/vpc"])
    assert cloud.changes() == []


def test_status_calls_it_untagged(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A user sees the id and the word; nothing else of the lab changes its phase."""
    strip(cloud.account(), id_of(built, "acme/vpc"))
    seen = engine.survey(cloud.lab(state=lab.state), STEPS)
    [found] = seen.found["acme/vpc"]
    assert (found.id, found.phase) == (id_of(built, "acme/vpc"), Phase.UNTAGGED)
    others = {found[0].phase for key, found in seen.found.items() if found and key != "acme/vpc"}
    assert others == {Phase.READY}


def test_without_a_state_it_is_unknown(cloud: Cloud, built: Built) -> None:
    """No tag and no state: plab knows nothing of it, and does not touch it."""
    strip(cloud.account(), id_of(built, "acme/endpoint"))
    assert "acme/endpoint" not in engine.survey(cloud.lab(), STEPS).existing()


def test_two_profiles_of_one_account_are_asked_together(slow_cloud: Cloud) -> None:
    """Provider and consumer reach one account with keys of their own: an id of either is found without its tags."""
    own = "arn:aws:iam::123456789012:role/own"
    config = config_of({"name": "acme", "role_arn": own})
    lab = slow_cloud.lab(config)
    built = slow_cloud.up(lab)
    assert built.exit_code == 0
    slow_cloud.clock.sleep(120)
    for key in ("provider/vpc", "acme/vpc"):
        strip(slow_cloud.account(), id_of(built, key))
    again = slow_cloud.up(slow_cloud.lab(config, lab.state))
    assert {key: "has lost the lab's tags" in str(error) for key, error in again.failed.items()} == {
        "provider/vpc": True,
        "acme/vpc": True,
    }


def test_a_new_lab_begins_in_the_providers_account(cloud: Cloud) -> None:
    """Its first VPC is refused, or the run ends there: nothing was made where nobody could tell whose it is."""
    lab = cloud.lab(config_of({"name": "far", "role_arn": "arn:aws:iam::222222222222:role/far"}))
    cloud.fail("CreateVpc", 403, "UnauthorizedOperation")
    assert cloud.up(lab).exit_code == 1
    assert cloud.calls().count("CreateVpc") == 1
    cloud.heal()
    lost = cloud.lab(lab.config)
    cloud.clock.sleep(60)
    assert cloud.up(lost).exit_code == 0
