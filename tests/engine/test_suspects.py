"""A copied tag does not make a resource the lab's: plab names it, builds nothing on it and never deletes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.aws_cli import commands_in, type_in
from support.cloud import Cloud, id_of

from privatelink_lab import engine, tags
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

NAME = "production of bob"
Make = Callable[[Cloud, Built], str]  # makes another person's resource without tags; returns its id


def vpc(cloud: Cloud, _: Built) -> str:
    """A VPC with addresses of its own."""
    return cloud.account().ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"]


def subnet(cloud: Cloud, built: Built) -> str:
    """A subnet in bob's VPC."""
    made = cloud.account().ec2.create_subnet(VpcId=bobs_vpc(cloud, built), CidrBlock="10.77.1.0/24")
    return made["Subnet"]["SubnetId"]


def group(cloud: Cloud, built: Built) -> str:
    """A security group in bob's VPC."""
    request: Any = {"GroupName": "bob", "Description": "bob", "VpcId": bobs_vpc(cloud, built)}
    return cloud.account().ec2.create_security_group(**request)["GroupId"]


def instance(cloud: Cloud, built: Built) -> str:
    """An instance beside the lab's web server, in the same subnet."""
    [server] = [row for row in instances(cloud) if row["InstanceId"] == id_of(built, "provider/web-server")]
    request: Any = {"ImageId": server["ImageId"], "InstanceType": "t3.micro", "SubnetId": server["SubnetId"]}
    return cloud.account().ec2.run_instances(**request, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]


def endpoint(cloud: Cloud, built: Built) -> str:
    """An endpoint of bob, in his VPC, to the lab's own service."""
    [service] = cloud.account().ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    place = bobs_vpc(cloud, built)
    request: Any = {"VpcEndpointType": "Interface", "VpcId": place, "ServiceName": service["ServiceName"]}
    return cloud.account().ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"]


def instances(cloud: Cloud) -> list[Any]:
    """The rows of all instances."""
    return [row for r in cloud.account().ec2.describe_instances()["Reservations"] for row in r["Instances"]]


def bobs_vpc(cloud: Cloud, built: Built) -> str:
    """A new VPC of bob, which every call knows."""
    id_ = vpc(cloud, built)
    cloud.let_new_ids_propagate()
    return id_


def copy_tags(cloud: Cloud, key: str, id_: str, **changes: str) -> None:
    """Give a resource the tags of the lab's own one under a key, as a tool does that clones tags."""
    snapshot = engine.survey(cloud.lab(), STEPS)
    [own] = snapshot.found[key]
    values = {**own.tags, "Name": NAME} | changes
    cloud.let_new_ids_propagate()
    pairs: Any = [{"Key": name, "Value": value} for name, value in values.items()]
    cloud.account().ec2.create_tags(Resources=[id_], Tags=pairs)
    cloud.let_new_ids_propagate()


COPIES: dict[str, Make] = {
    "acme/vpc": vpc,
    "acme/subnet-1": subnet,
    "provider/security-group": group,
    "provider/web-server": instance,
}


@pytest.fixture
def built(cloud: Cloud, lab: Lab) -> Built:
    """The lab, up, and known everywhere."""
    built = cloud.up(lab)
    assert built.exit_code == 0
    cloud.let_new_ids_propagate()
    return built


def exists(cloud: Cloud, id_: str) -> bool:
    """Whether the resource is in the local AWS and is not ending."""
    ending = {row["InstanceId"] for row in instances(cloud) if row["State"]["Name"] in {"shutting-down", "terminated"}}
    return id_ not in ending and any(id_ in str(lines) for lines in cloud.aws.inventory().values())


@pytest.mark.parametrize("has_state", [True, False])
@pytest.mark.parametrize("key", COPIES)
def test_a_copy_is_named_and_never_used(cloud: Cloud, lab: Lab, built: Built, key: str, *, has_state: bool) -> None:
    """`up` changes nothing and names it; `down` deletes the lab, names id, name and age, and exits with 3."""
    id_ = COPIES[key](cloud, built)
    copy_tags(cloud, key, id_)
    cloud.calls()
    later = cloud.lab(state=lab.state if has_state else None)
    after = cloud.up(later)
    assert (after.exit_code, cloud.changes()) == (0, [])
    [(what, error)] = after.suspects.items()
    assert what == f"{key} ({id_})"
    removed = cloud.down(cloud.lab(state=later.state))
    assert (removed.exit_code, str(removed.left[what])) == (3, str(error))
    held = {"provider/subnet-1", "provider/vpc"} if key == "provider/web-server" else set()  # by bob's instance
    assert removed.left.keys() == {what, *held}
    assert NAME in str(error)
    assert ("days old" if key == "provider/web-server" else "AWS does not show its age") in str(error)
    assert id_ not in str(removed.deleted)
    assert exists(cloud, id_)


@pytest.mark.parametrize("key", COPIES)
def test_its_two_commands_end_the_doubt(cloud: Cloud, lab: Lab, built: Built, key: str) -> None:
    """Both commands work as printed: the first takes the tags off and `down` is done, the second deletes it."""
    id_ = COPIES[key](cloud, built)
    copy_tags(cloud, key, id_)
    left = cloud.down(lab).left
    untag, delete = commands_in(left[f"{key} ({id_})"].hint)
    type_in(cloud.account(), untag)
    assert f"{key} ({id_})" not in cloud.down(cloud.lab(state=lab.state)).left
    assert exists(cloud, id_)
    type_in(cloud.account(), delete)
    assert not exists(cloud, id_)
    assert cloud.down(cloud.lab(state=lab.state)).exit_code == 0


def test_a_copy_alone_is_no_reason_to_build_nothing(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Bob's VPC bears the tags of a lab that is gone: a new `up` makes a VPC of its own."""
    id_ = vpc(cloud, built)
    copy_tags(cloud, "acme/vpc", id_)
    cloud.down(lab)
    again = cloud.up(cloud.lab())
    assert again.exit_code == 0
    assert id_of(again, "acme/vpc") != id_
    assert [what for what in again.suspects if id_ in what]


def test_an_endpoint_with_copied_tags_is_foreign(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Nobody asked for it: it is neither the consumer's endpoint nor accepted."""
    id_ = endpoint(cloud, built)
    copy_tags(cloud, "acme/endpoint", id_)
    after = cloud.up(cloud.lab(state=lab.state))
    assert after.exit_code == 0
    assert [what for what in after.suspects if id_ in what]
    seen = engine.survey(cloud.lab(state=lab.state), STEPS)
    [foreign] = seen.found["provider/endpoint-service/connections"]
    assert (foreign.id, foreign.detail) == (id_, "pendingAcceptance")


# What agrees with its own tags, and exists twice.


def twin_of(cloud: Cloud, lab: Lab, built: Built) -> str:
    """A second VPC with the same addresses: the copied tags agree with it."""
    id_ = cloud.account().ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    copy_tags(cloud, "acme/vpc", id_)
    return id_


def test_a_duplicate_that_the_state_does_not_know_stays(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`up` uses the lab's own; `down` deletes that one and leaves the other, also when it is run again."""
    twin = twin_of(cloud, lab, built)
    after = cloud.up(cloud.lab(state=lab.state))
    assert after.exit_code == 0
    assert [what for what in after.suspects if twin in what]
    for _ in range(2):
        removed = cloud.down(cloud.lab(state=lab.state))
        assert (removed.exit_code, list(removed.left)) == (3, [f"acme/vpc ({twin})"])
        assert exists(cloud, twin)
    again = cloud.up(cloud.lab(state=lab.state))
    assert twin in str(again.failed["acme/vpc"])
    assert "and the state of this lab does not know it" in str(again.failed["acme/vpc"])


def test_without_a_state_both_are_the_labs(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Nothing says which one plab made: `up` makes no third one, `down` deletes both."""
    twin = twin_of(cloud, lab, built)
    again = cloud.lab()
    after = cloud.up(again)
    assert after.exit_code == 1
    assert twin in str(after.failed["acme/vpc"])
    assert id_of(built, "acme/vpc") in str(after.failed["acme/vpc"])
    removed = cloud.down(cloud.lab(state=again.state))
    assert removed.exit_code == 0
    assert twin in removed.deleted["VPC"]


def test_a_create_without_an_answer_may_have_made_it(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The effect of a lost create appears after a second one was sent: both are the lab's, and `down` deletes both."""
    lab.state.create_pending["acme/vpc"] = cloud.clock.now()
    lab.state.record_lost("acme/vpc", cloud.clock.now())
    twin = twin_of(cloud, lab, built)
    removed = cloud.down(cloud.lab(state=lab.state))
    assert removed.exit_code == 0
    assert twin in removed.deleted["VPC"]


# The lab's tag alone.


@pytest.mark.parametrize("named", [{"plab:lab": "test"}, {"plab:lab": "test", "plab:key": "acme/vpc"}])
def test_the_labs_tag_alone_blocks_nobody(cloud: Cloud, lab: Lab, named: dict[str, str]) -> None:
    """Another person's VPC bears `plab:lab`: `up` and `down` name it once and do all they have to do."""
    id_ = cloud.account().ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    pairs: Any = [{"Key": name, "Value": value} for name, value in named.items()]
    cloud.account().ec2.create_tags(Resources=[id_], Tags=pairs)
    cloud.let_new_ids_propagate()
    built = cloud.up(lab)
    assert (built.exit_code, list(built.incomplete), built.suspects) == (0, [id_], {})
    cloud.let_new_ids_propagate()
    other = cloud.lab(state=lab.state)
    engine.claim_or_refuse(other, engine.survey(other, STEPS).snapshot, adopt=False)
    removed = cloud.down(other)
    assert (removed.exit_code, list(removed.incomplete)) == (0, [id_])
    assert exists(cloud, id_)


def test_each_tag_of_the_lab_has_a_use(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Every resource with tags bears lab, key, maker, both instants and identity; only an instance a spec as well."""
    common = {tags.LAB, tags.KEY, tags.MAKER, tags.SINCE, tags.CREATED, tags.IDENTITY}
    for key, found in engine.survey(lab, STEPS).existing().items():
        for one in found:
            more = {tags.SPEC} if key == "provider/web-server" else set()
            assert set(one.tags) in (set(), common | more), key
