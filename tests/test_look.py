"""The look: one snapshot of AWS per tick, each question asked once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
from conftest import Cloud, config_of
from support.patience import PATIENCE

from privatelink_lab.errors import AwsError
from privatelink_lab.look import Look, Once, tags
from privatelink_lab.resource import Found, Phase, Resource

DENIED = AwsError("No", code="UnauthorizedOperation", operation="DescribeVpcs")


@dataclass
class Finder:
    """A `find` that gives what a test says, and counts how often it is asked."""

    gives: dict[str, tuple[Found, ...]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, resource: Resource, _: Look) -> tuple[Found, ...]:
        """What AWS has under that key."""
        self.asked.append(resource.key)
        return self.gives[resource.key]


def resource(key: str) -> Resource:
    """A resource that is only looked at."""
    return Resource(key, "thing", (), find=lambda _, __: ())


def look_with(find: Finder, *keys: str, settled: dict[str, tuple[Found, ...]] | None = None) -> Look:
    """A look at these keys."""
    return Look("test", {}, {key: resource(key) for key in keys}, find, settled=settled)


def ready(*ids: str) -> tuple[Found, ...]:
    """What is found under a key."""
    return tuple(Found(id_, Phase.READY) for id_ in ids)


def test_two_askers_at_once_cost_one_call() -> None:
    """While one worker waits for AWS, the next one with the same question waits for that answer."""
    once, asking, answer = Once(), threading.Event(), threading.Event()
    calls: list[int] = []

    def ask() -> str:
        calls.append(1)
        asking.set()
        assert answer.wait(PATIENCE)
        return "rows"

    with ThreadPoolExecutor() as pool:
        first = pool.submit(once.get, "vpcs", ask)
        assert asking.wait(PATIENCE)
        others = [pool.submit(once.get, "vpcs", ask) for _ in range(3)]
        answer.set()
        assert [future.result(PATIENCE) for future in (first, *others)] == ["rows"] * 4
    assert len(calls) == 1


def test_different_questions_do_not_wait_for_each_other() -> None:
    """A slow account does not hold up the others, and a question may ask another one."""
    once = Once()
    assert once.get("endpoints", lambda: once.get("vpcs", lambda: "vpc") + " endpoint") == "vpc endpoint"
    assert once.get("vpcs", lambda: "another") == "vpc"


def test_nothing_is_an_answer_too() -> None:
    """An empty or missing answer is not asked for again."""
    once = Once()
    assert once.get("vpcs", lambda: None) is None
    assert once.get("vpcs", lambda: "late") is None


@pytest.mark.parametrize("error", [DENIED, KeyError("a bug"), KeyboardInterrupt()])
def test_an_error_is_raised_for_every_asker(error: BaseException) -> None:
    """A denied describe is said for each key that needs it, and costs one call; nobody waits for ever."""
    once, calls = Once(), []

    def ask() -> str:
        calls.append(1)
        raise error

    for _ in range(3):
        with pytest.raises(type(error)) as caught:
            once.get("vpcs", ask)
        assert caught.value is error
    assert len(calls) == 1


def test_answers_are_the_good_ones_of_a_kind() -> None:
    """Who made the lab is read from what was seen, without another call and without the errors."""
    once = Once()
    once.get(("vpc", "1"), lambda: "a")
    once.get(("subnet", "1"), lambda: "b")
    once.get("vpc", lambda: "no kind")
    with pytest.raises(AwsError):
        once.get(("vpc", "2"), lambda: (_ for _ in ()).throw(DENIED))
    assert list(once.answers(("vpc",))) == ["a"]
    assert list(once.answers(("vpc", "subnet"))) == ["a", "b"]


def test_a_key_is_found_once_a_tick() -> None:
    """Many resources ask for the same VPC; AWS is asked once."""
    find = Finder({"a/vpc": ready("vpc-1")})
    look = look_with(find, "a/vpc")
    assert [look.found("a/vpc") for _ in range(3)] == [ready("vpc-1")] * 3
    assert find.asked == ["a/vpc"]


def test_settled_keys_are_not_looked_at_again() -> None:
    """What was found ready earlier in the run costs no further calls; an unknown key is nothing."""
    find = Finder()
    look = look_with(find, "a/vpc", settled={"a/vpc": ready("vpc-0")})
    assert look.found("a/vpc") == ready("vpc-0")
    assert look.found("a/nothing") == ()
    assert find.asked == []


@pytest.mark.parametrize(("found", "id_"), [((), None), (ready("1"), "1"), (ready("1", "2"), None)])
def test_an_id_is_the_one_under_its_key(found: tuple[Found, ...], id_: str | None) -> None:
    """With two under a key nobody guesses which one is meant."""
    assert look_with(Finder({"a/vpc": found}), "a/vpc").id("a/vpc") == id_


def test_other_resources_share_the_snapshot() -> None:
    """A survey that learns of more keys on the way asks for the old ones no second time."""
    find = Finder({"a/vpc": ready("1"), "b/vpc": ready("2")})
    look = look_with(find, "a/vpc")
    look.found("a/vpc")
    wider = look.with_resources({key: resource(key) for key in find.gives})
    assert (wider.id("a/vpc"), wider.id("b/vpc")) == ("1", "2")
    assert find.asked == ["a/vpc", "b/vpc"]


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        ({"Tags": [{"Key": "plab:lab", "Value": "test"}]}, True),
        ({"Tags": [{"Key": "plab:lab", "Value": "other"}]}, False),
        ({"Tags": [{"Key": "Name", "Value": "test"}, {"Key": "lab", "Value": "test"}]}, False),
        ({"LoadBalancerName": "plab-test", "Tags": []}, False),
        ({"Tags": None}, False),
        ({}, False),
    ],
)
def test_only_a_tag_makes_it_ours(row: dict[str, object], *, ours: bool) -> None:
    """A name proves nothing: what lacks the lab's tag is somebody else's and stays."""
    assert look_with(Finder()).owns(row) == ours


def test_tags_are_a_mapping() -> None:
    """AWS writes tags as a list, plab reads them by name."""
    assert tags({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]}) == {"a": "1", "b": ""}
    assert tags({}) == {}


def test_each_describe_goes_out_once_a_tick(cloud: Cloud) -> None:
    """Three consumers in one account cost one DescribeVpcs; the next tick sees what has changed since."""
    lab = cloud.lab(config_of({"name": "a"}, {"name": "b"}, {"name": "c"}))
    account = lab.provider
    ids = {name: make_vpc(cloud, f"{name}/vpc") for name in "abc"}
    account.ec2.create_vpc(CidrBlock="10.0.0.0/16")
    cloud.spread()
    cloud.calls()
    look = look_with(Finder())
    for name, id_ in ids.items():
        [row] = look.keyed(account, "vpc", f"{name}/vpc")
        assert row["VpcId"] == id_
    assert look.keys(account, "vpc") == {"a/vpc", "b/vpc", "c/vpc"}
    assert look.makers() == {("me@here", "an unknown time")}
    account.ec2.delete_vpc(VpcId=ids["a"])
    assert look.keyed(account, "vpc", "a/vpc")
    assert not look_with(Finder()).keyed(account, "vpc", "a/vpc")
    assert cloud.calls() == ["GetCallerIdentity", "DescribeVpcs", "DeleteVpc", "DescribeVpcs"]


def make_vpc(cloud: Cloud, key: str) -> str:
    """A VPC with the tags of the lab `test`; its id."""
    values = {"plab:lab": "test", "plab:key": key, "plab:owner": "me@here"}
    rows = [{"Key": name, "Value": value} for name, value in values.items()]
    specifications = [{"ResourceType": "vpc", "Tags": rows}]
    made = cloud.account().ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=specifications)  # type: ignore[arg-type]
    return made["Vpc"]["VpcId"]


def test_a_balancer_of_that_name_is_looked_up_with_its_tags(cloud: Cloud) -> None:
    """ELBv2 finds by name; what is not there is no error, and what bears no tag is not ours."""
    account = cloud.account()
    names = {"load-balancer": "plab-test", "target-group": "plab-test"}

    def look() -> Look:
        return Look("test", names, {}, Finder())

    assert look().rows(account, "target-group") == ()
    assert look().rows(account, "load-balancer") == ()
    vpc = account.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.spread()
    made = account.elbv2.create_target_group(Name="plab-test", Protocol="TCP", Port=80, VpcId=vpc)
    cloud.spread()
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    [foreign] = look().rows(account, "target-group")
    assert not look().owns(foreign)
    rows = [{"Key": "plab:lab", "Value": "test"}, {"Key": "plab:key", "Value": "provider/target-group"}]
    account.elbv2.add_tags(ResourceArns=[arn], Tags=rows)  # type: ignore[arg-type]
    [ours] = look().keyed(account, "target-group", "provider/target-group")
    assert ours["TargetGroupArn"] == arn


def test_a_denied_describe_is_said(cloud: Cloud) -> None:
    """Without permission to look at balancers the error reaches the user; it is not taken for an empty account."""
    cloud.fail("DescribeTargetGroups", 403, "AccessDenied")
    look = Look("test", {"target-group": "plab-test"}, {}, Finder())
    for _ in range(2):
        with pytest.raises(AwsError) as caught:
            look.rows(cloud.account(), "target-group")
        assert "elasticloadbalancing:DescribeTargetGroups" in caught.value.hint
    assert cloud.calls().count("DescribeTargetGroups") == 1
