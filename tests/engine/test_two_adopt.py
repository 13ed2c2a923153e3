"""Two `plab up --adopt` of one lab at one moment: what both make stays once, the first one; neither run fails."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_cli import commands_in
from support.cloud import Cloud, config_of
from support.foreign_account import connect_stranger
from support.two_runs import MAKERS, Spoilt, begun, left_over, runs_of

from privatelink_lab import tags
from privatelink_lab.engine.ownership import in_order
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.steps.network import VPC_TYPE

CIDR = "10.0.0.0/16"
EARLY, LATE = "2020-01-01T00:00:00.000Z", "2999-01-01T00:00:00.000Z"


def found(id_: str, maker: str, created: str) -> Found:
    """What a snapshot shows of one of them."""
    return Found(id_, Phase.READY, tags={tags.MAKER: maker, tags.CREATED: created})


@pytest.mark.parametrize(
    ("rows", "ids"),
    [
        ([("vpc-2", "bob", EARLY), ("vpc-1", "alice", LATE)], ["vpc-2", "vpc-1"]),
        ([("vpc-1", "alice", LATE), ("vpc-2", "bob", EARLY)], ["vpc-2", "vpc-1"]),
        ([("vpc-2", "alice", LATE), ("vpc-1", "bob", LATE)], ["vpc-1", "vpc-2"]),  # at the same instant
        ([("vpc-2", "alice", LATE), ("vpc-1", "bob", "2999-01-01T01:00:00.000+02:00")], ["vpc-1", "vpc-2"]),
        ([("vpc-1", "alice", LATE), ("vpc-2", "bob", LATE), ("vpc-3", "eve", EARLY)], ["vpc-3", "vpc-1", "vpc-2"]),
        ([("vpc-1", "alice", EARLY), ("vpc-2", "bob", "")], []),  # of a plab of before
        ([("vpc-1", "alice", EARLY), ("vpc-2", "bob", "yesterday")], []),
        ([("vpc-1", "alice", EARLY), ("vpc-2", "alice", EARLY)], []),  # copied tags
        ([("vpc-1", "alice", EARLY), ("vpc-2", "bob", LATE), ("vpc-3", "bob", LATE)], []),
    ],
)
def test_the_first_one_stays(rows: list[tuple[str, str, str]], ids: list[str]) -> None:
    """The earlier instant, then the lower id; where tags say no instant or are copied, nothing is decided."""
    assert [one.id for one in in_order([found(*row) for row in rows])] == ids


@pytest.mark.parametrize("case", ["begin", "consumer"])
def test_both_end_well(slow_cloud: Cloud, case: str) -> None:
    """Two CI jobs begin a lab, or add a consumer to it, in the same second: exit code 0 for both, one of each."""
    runs = runs_of(slow_cloud, case)
    assert [built and built.exit_code for built in runs.at_once()] == [0, 0]
    assert slow_cloud.calls().count("DeleteVpc") > 0  # they did meet
    assert [built.exit_code for built in runs.one_by_one()] == [0, 0]
    assert slow_cloud.changes() == []
    assert left_over(runs) == []


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("after", [False, True])
def test_one_is_killed_and_begins_again(slow_cloud: Cloud, number: int, *, after: bool) -> None:
    """A machine dies at a change, and its job begins again with its state: both end well, with one of each."""
    runs = runs_of(slow_cloud, "consumer")
    spoilt = Spoilt(number, after=after)
    assert [built and built.exit_code for built in runs.at_once([spoilt])] == [0, 0]
    assert spoilt.action
    assert left_over(runs) == []


# What bob has made first, in a lab of alice.


def put_first(cloud: Cloud, state_of: Lab, created: str = EARLY, maker: str = MAKERS[1]) -> str:
    """The provider's VPC once more, as a run of bob tags it that sent its create earlier; its id."""
    request: dict[str, Any] = {"CidrBlock": CIDR}
    lab = cloud.lab(config_of(), state_of.state, maker=maker)
    [specification] = lab.tag_specifications(Resource("provider/vpc", VPC_TYPE), **request)
    pairs = [pair | {"Value": created} if pair["Key"] == tags.CREATED else pair for pair in specification["Tags"]]
    made = cloud.account().ec2.create_vpc(**request, TagSpecifications=[specification | {"Tags": pairs}])
    cloud.clock.sleep(120)
    return made["Vpc"]["VpcId"]


@pytest.mark.parametrize("is_foreign", [True, False])
def test_a_service_with_connections_stays(slow_cloud: Cloud, *, is_foreign: bool) -> None:
    """Alice's VPC is later, and her service is in use, by her consumer or others: `up` names both, deletes nothing."""
    lab = begun(slow_cloud)
    built = slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    used = connect_stranger(slow_cloud, built) if is_foreign else lab.state.ids["acme/endpoint"]
    first, later = put_first(slow_cloud, lab), lab.state.ids["provider/vpc"]
    slow_cloud.calls()
    with pytest.raises(PlabError) as stopped:
        slow_cloud.up(begun(slow_cloud, lab), adopt=True)
    assert slow_cloud.changes() == []
    assert f"provider/vpc exists twice: {first} was first, then {later}." in str(stopped.value)
    assert "Its endpoint service has connections: " in str(stopped.value)
    assert used in str(stopped.value)
    [command] = commands_in(stopped.value.hint)
    assert command.endswith(f"delete-vpc --vpc-id {first} --region us-east-1")


def test_who_was_first_waits_for_the_other_and_not_for_ever(slow_cloud: Cloud) -> None:
    """The later job is killed and never comes back: after 15 minutes `up` fails, and names both VPCs."""
    lab = begun(slow_cloud)
    assert slow_cloud.up(lab).exit_code == 0
    later, began = put_first(slow_cloud, lab, LATE), slow_cloud.clock.now()
    slow_cloud.calls()
    built = slow_cloud.up(begun(slow_cloud, lab), adopt=True)
    error = str(built.failed["provider/vpc"])
    assert error.startswith("provider/vpc exists 2 times: ")
    assert all(id_ in error for id_ in (later, lab.state.ids["provider/vpc"]))
    assert slow_cloud.clock.now() - began < 1000
    assert slow_cloud.changes() == []


def test_copied_tags_are_no_other_run(slow_cloud: Cloud) -> None:
    """A tool copies all tags of alice's VPC to one with the same addresses: `up --adopt` goes on with hers."""
    lab = begun(slow_cloud)
    assert slow_cloud.up(lab).exit_code == 0
    own = lab.state.made[lab.state.ids["provider/vpc"]]
    copied = put_first(slow_cloud, lab, own[tags.CREATED], own[tags.MAKER])
    slow_cloud.calls()
    built = slow_cloud.up(begun(slow_cloud, lab), adopt=True)
    assert (built.exit_code, slow_cloud.changes()) == (0, [])
    assert list(built.suspects) == [f"provider/vpc ({copied})"]


def test_without_adopt_nothing_is_taken_for_another_runs(slow_cloud: Cloud) -> None:
    """A plain `up` finds a second VPC that its state does not know: it goes on with its own, and names the other."""
    lab = begun(slow_cloud)
    assert slow_cloud.up(lab).exit_code == 0
    first = put_first(slow_cloud, lab)
    built = slow_cloud.up(begun(slow_cloud, lab))
    assert (built.exit_code, list(built.suspects)) == (0, [f"provider/vpc ({first})"])
