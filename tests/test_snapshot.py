"""The snapshot: what AWS says in one tick, each question asked once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from support.cloud import Cloud, config_of
from support.thing import thing

from privatelink_lab import tags
from privatelink_lab.errors import AwsError
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps.network import VPC
from privatelink_lab.steps.nlb import KIND as LOAD_BALANCER
from privatelink_lab.steps.target_group import KIND as TARGET_GROUP

DENIED = AwsError("No", code="UnauthorizedOperation", operation="DescribeVpcs")


@dataclass
class Finder:
    """A `find` that gives what a test says, and counts how often it is asked."""

    gives: dict[str, tuple[Found, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, resource: Resource, _: Snapshot) -> tuple[Found, ...]:
        """What AWS has under that key."""
        self.asked.append(resource.key)
        return self.gives[resource.key]


def resource(key: str) -> Resource:
    """A resource that is only read."""
    return thing(key, find=lambda *_: (), kind=VPC)


def snapshot_with(find: Finder, *keys: str, done: dict[str, tuple[Found, ...]] | None = None) -> Snapshot:
    """A snapshot of these keys."""
    return Snapshot("test", "plab-test", {key: resource(key) for key in keys}, find, done=done)


def ready(*ids: str) -> tuple[Found, ...]:
    """What is found under a key."""
    return tuple(Found(id_, Phase.READY) for id_ in ids)


def tagged(changes: dict[str, str]) -> dict[str, object]:
    """A VPC of the lab `test` with the tags that plab gives, and these changes to them."""
    fixed = {"CidrBlock": "10.0.0.0/16"}
    identity = tags.identity("test", "a/vpc", account="123456789012", region="us-east-1", fixed=fixed)
    values = {"plab:lab": "test", "plab:key": "a/vpc", "plab:maker": "me@here", "plab:identity": identity} | changes
    return fixed | {"Tags": [{"Key": name, "Value": value} for name, value in values.items()]}


def test_a_key_is_found_once_a_tick() -> None:
    """Many resources read the same VPC; AWS is asked once."""
    find = Finder({"a/vpc": ready("vpc-1")})
    snapshot = snapshot_with(find, "a/vpc")
    assert [snapshot.found("a/vpc") for _ in range(3)] == [ready("vpc-1")] * 3
    assert find.asked == ["a/vpc"]


def test_done_keys_are_not_read_again() -> None:
    """What was found ready earlier in the run costs no further calls; an unknown key is nothing."""
    find = Finder()
    snapshot = snapshot_with(find, "a/vpc", done={"a/vpc": ready("vpc-0")})
    assert snapshot.found("a/vpc") == ready("vpc-0")
    assert snapshot.found("a/nothing") == ()
    assert find.asked == []


@pytest.mark.parametrize(("found", "id_"), [((), None), (ready("1"), "1"), (ready("1", "2"), None)])
def test_an_id_is_the_one_under_its_key(found: tuple[Found, ...], id_: str | None) -> None:
    """With two resources under a key plab does not guess which one is meant."""
    assert snapshot_with(Finder({"a/vpc": found}), "a/vpc").id("a/vpc") == id_


def test_other_resources_share_the_snapshot() -> None:
    """A survey that learns of more keys on the way asks for the old ones no second time."""
    find = Finder({"a/vpc": ready("1"), "b/vpc": ready("2")})
    snapshot = snapshot_with(find, "a/vpc")
    snapshot.found("a/vpc")
    wider = snapshot.with_resources({key: resource(key) for key in find.gives})
    assert (wider.id("a/vpc"), wider.id("b/vpc")) == ("1", "2")
    assert find.asked == ["a/vpc", "b/vpc"]


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        (tagged({}), True),
        (tagged({"plab:lab": "other"}), False),
        (tagged({"plab:key": "a/other"}), False),
        (tagged({"plab:key": ""}), False),
        (tagged({"plab:identity": ""}), False),
        (tagged({}) | {"CidrBlock": "10.9.0.0/16"}, False),
        ({"Tags": [{"Key": "Name", "Value": "test"}, {"Key": "lab", "Value": "test"}]}, False),
        ({"LoadBalancerName": "plab-test", "Tags": []}, False),
        ({"Tags": None}, False),
        ({}, False),
    ],
)
def test_only_its_own_tags_make_it_ours(cloud: Cloud, row: dict[str, object], *, ours: bool) -> None:
    """A name proves nothing, nor does the lab's tag alone, nor tags that were copied from another resource."""
    row = {"VpcId": "vpc-1"} | row
    assert snapshot_with(Finder()).owns(cloud.account(), VPC, row) == ours


def test_tags_are_a_mapping() -> None:
    """AWS writes tags as a list, plab reads them by name."""
    assert tags.of({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]}) == {"a": "1", "b": ""}
    assert tags.of({}) == {}


def test_each_describe_goes_out_once_a_tick(cloud: Cloud) -> None:
    """Three consumers in one account cost one DescribeVpcs; the next tick sees what has changed since."""
    lab = cloud.lab(config_of({"name": "a"}, {"name": "b"}, {"name": "c"}))
    account = lab.provider
    ids = {name: make_vpc(cloud, f"{name}/vpc") for name in "abc"}
    account.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    cloud.let_new_ids_propagate()
    cloud.calls()
    snapshot = snapshot_with(Finder())
    for name, id_ in ids.items():
        [row] = snapshot.keyed(account, VPC, f"{name}/vpc")
        assert row["VpcId"] == id_
    assert snapshot.keys(account, VPC) == {"a/vpc", "b/vpc", "c/vpc"}
    assert snapshot.makers() == {("me@here", "")}
    account.ec2.delete_vpc(VpcId=ids["a"])
    assert snapshot.keyed(account, VPC, "a/vpc")
    assert not snapshot_with(Finder()).keyed(account, VPC, "a/vpc")
    assert cloud.calls() == ["GetCallerIdentity", "DescribeVpcs", "DeleteVpc", "DescribeVpcs"]


def make_vpc(cloud: Cloud, key: str) -> str:
    """A VPC with the tags of the lab `test`; its id."""
    specifications = cloud.lab(maker="me@here").tag_specifications(thing(key, kind=VPC), CidrBlock="10.0.0.0/16")
    made = cloud.account().ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=specifications)
    return made["Vpc"]["VpcId"]


def test_a_target_group_is_found_by_name_and_owned_by_tag(cloud: Cloud) -> None:
    """ELBv2 describes by name; a missing group is no error, and a group without the tag is not the lab's."""
    account = cloud.account()

    def snapshot() -> Snapshot:
        return Snapshot("test", "plab-test", {}, Finder())

    assert snapshot().rows(account, TARGET_GROUP) == ()
    assert snapshot().rows(account, LOAD_BALANCER) == ()
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    made = account.elbv2.create_target_group(Name="plab-test", Protocol="TCP", Port=80, VpcId=vpc)
    cloud.let_new_ids_propagate()
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    [foreign] = snapshot().rows(account, TARGET_GROUP)
    assert not snapshot().owns(account, TARGET_GROUP, foreign)
    mine = thing("provider/target-group", kind=TARGET_GROUP)
    account.elbv2.add_tags(ResourceArns=[arn], Tags=cloud.lab().tags(mine, **foreign))
    [ours] = snapshot().keyed(account, TARGET_GROUP, "provider/target-group")
    assert ours["TargetGroupArn"] == arn


def test_a_denied_describe_is_an_error(cloud: Cloud) -> None:
    """Without the permission to describe target groups the user reads the error, and not an empty list."""
    cloud.fail("DescribeTargetGroups", 403, "AccessDenied")
    snapshot = Snapshot("test", "plab-test", {}, Finder())
    for _ in range(2):
        with pytest.raises(AwsError) as caught:
            snapshot.rows(cloud.account(), TARGET_GROUP)
        assert "elasticloadbalancing:DescribeTargetGroups" in caught.value.hint
    assert cloud.calls().count("DescribeTargetGroups") == 1
