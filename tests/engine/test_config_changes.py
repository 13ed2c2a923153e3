"""The config changes between two runs: what `up` replaces, refuses, adds or leaves; --replace and --adopt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS


def test_a_new_message_replaces_the_instance(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A new `message` in the config: `up` replaces the instance, which holds no data, and registers the new one."""
    config = config_of(provider={"web_server": {"message": "Goodbye"}})
    after = cloud.up_again(lab, config)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") != id_of(built, "provider/web-server")
    assert cloud.changes() == ["TerminateInstances", "RunInstances", "RegisterTargets"]


def whole(cloud: Cloud, lab: Lab) -> dict[str, Any]:
    """A lab that works; returns its `provider` section."""
    assert cloud.up(lab).exit_code == 0
    return {}


def without_a_server(cloud: Cloud, lab: Lab) -> dict[str, Any]:
    """A lab whose server could not be launched."""
    cloud.fail("RunInstances", 400, "InsufficientInstanceCapacity")
    assert "provider/web-server" in cloud.up(lab).failed
    cloud.heal()
    return {}


def in_a_named_zone(cloud: Cloud, lab: Lab) -> dict[str, Any]:
    """No lab yet."""
    return {"zones": ["use1-az1"]}


def in_a_given_vpc(cloud: Cloud, lab: Lab) -> dict[str, Any]:
    """No lab yet, and a VPC that is there."""
    ec2 = cloud.account().ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId="use1-az1")["Subnet"]
    cloud.let_new_ids_propagate()
    return {"vpc": {"id": vpc, "subnet_ids": [subnet["SubnetId"]]}}


UNFIT_TYPES = [  # a type of the config, what is said of it
    ("t3.mikro", "us-east-1 offers t3.mikro in no zone"),
    ("a1.medium", "offers a1.medium in use1-az2, use1-az4, use1-az6; the server's zone is use1-az1"),
]


@pytest.mark.parametrize("begin", [whole, without_a_server, in_a_named_zone, in_a_given_vpc])
@pytest.mark.parametrize(("type_", "said"), UNFIT_TYPES)
def test_a_server_that_cannot_be_launched_is_refused_before_anything_is_touched(
    cloud: Cloud, lab: Lab, begin: Callable[[Cloud, Lab], dict[str, Any]], type_: str, said: str
) -> None:
    """AWS does not offer the type in the server's zone: `up` and `--dry-run` say so, and a server that runs goes on."""
    provider = begin(cloud, lab) | {"web_server": {"instance_type": type_}}
    changed = cloud.lab(config_of(provider=provider), state=lab.state)
    cloud.calls()
    for run in (cloud.up, lambda lab: engine.check(lab, STEPS)):
        with pytest.raises(PlabError, match=said) as caught:
            run(changed)
        assert "`instance_type`" in caught.value.hint
    assert cloud.changes() == []


@pytest.mark.parametrize(("type_", "said"), UNFIT_TYPES)
def test_a_server_runs_on_where_the_check_had_no_answer(
    cloud: Cloud, lab: Lab, built: Built, type_: str, said: str
) -> None:
    """AWS was busy when the offers were read first: the server is not ended before they are known."""
    cloud.fail("DescribeInstanceTypeOfferings", 503, "Unavailable")
    cloud.clock.before_sleep = cloud.heal
    after = cloud.up(cloud.lab(config_of(provider={"web_server": {"instance_type": type_}}), state=lab.state))
    assert said in str(after.failed["provider/web-server"])
    assert cloud.changes() == []


def test_a_new_cidr_is_refused_with_old_and_new(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`up` does not replace a VPC by itself: the error has the old and new CIDR, and the command for it."""
    after = cloud.up_again(lab, config_of({"name": "acme", "vpc": {"cidr": "10.9.0.0/16"}}))
    error = after.failed["acme/vpc"]
    assert "CIDR: 10.1.0.0/16, the config says 10.9.0.0/16" in error.message
    assert error.hint == "plab up --replace acme/vpc"
    assert cloud.changes() == []


def test_replacing_a_key_replaces_what_depends_on_it(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`--replace acme/vpc` deletes that VPC, its subnet, group and endpoint, and creates them again."""
    config = config_of({"name": "acme", "vpc": {"cidr": "10.9.0.0/16"}})
    lab2 = cloud.lab(config, state=lab.state)
    seen = engine.survey(lab2, STEPS)
    removed = engine.down(lab2, STEPS, seen, only=engine.dependents_of(seen.resources, "acme/vpc"))
    assert {noun: len(ids) for noun, ids in removed.deleted.items()} == {
        "endpoint": 1,
        "security group": 1,
        "subnet": 1,
        "VPC": 1,
    }
    after = cloud.up_again(lab2, config)
    assert after.exit_code == 0
    assert id_of(after, "provider/nlb") == id_of(built, "provider/nlb")


def test_a_consumer_added(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The config has one more consumer: `up` builds it and changes nothing else."""
    after = cloud.up_again(lab, config_of({"name": "acme"}, {"name": "beta"}))
    assert after.exit_code == 0
    assert id_of(after, "acme/endpoint") == id_of(built, "acme/endpoint")
    assert after.done["beta/endpoint"][0].detail == "available"


@pytest.mark.parametrize("with_state", [True, False])
def test_a_consumer_removed_and_then_down(cloud: Cloud, *, with_state: bool) -> None:
    """`status` shows a consumer that left the config, and `down` deletes it, also without a state."""
    before = cloud.aws.inventory()
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "gone"}))
    cloud.up(lab)
    later = cloud.lab(config_of({"name": "acme"}), state=lab.state if with_state else None)
    assert cloud.phases(later)["gone/endpoint"] == "available"
    assert cloud.down(later).exit_code == 0
    assert cloud.aws.inventory() == before


def test_a_removed_consumer_in_another_account_is_deleted_there(cloud: Cloud) -> None:
    """The state has the role of a consumer that left the config, so `down` reaches its account."""
    before = cloud.aws.inventory()
    role = "arn:aws:iam::111122223333:role/lab"
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "gone", "role_arn": role}))
    cloud.up(lab)
    assert cloud.down(cloud.lab(config_of({"name": "acme"}), state=lab.state)).exit_code == 0
    assert cloud.aws.inventory() == before


def test_another_makers_lab_is_refused_until_adopted(cloud: Cloud, lab: Lab) -> None:
    """The lab has another maker and no state here: `up` fails with the maker and the time; --adopt goes on."""
    lab.maker = "alice@laptop"
    cloud.up(lab)
    own = cloud.lab(maker="bob@desk")
    with pytest.raises(Exception, match="belongs to alice@laptop, since 20"):
        cloud.up(own)
    assert cloud.up(cloud.lab(maker="bob@desk"), adopt=True).exit_code == 0


def test_a_consumer_that_moves_to_another_account_is_refused(cloud: Cloud) -> None:
    """A consumer's role changes while its resources are in the old account: plab refuses, since they would be lost."""
    role = "arn:aws:iam::111122223333:role/lab"
    lab = cloud.lab(config_of({"name": "acme", "role_arn": role}))
    cloud.up(lab)
    moved = cloud.lab(config_of({"name": "acme", "role_arn": role.replace("1111", "9999")}), lab.state)
    with pytest.raises(PlabError, match="moves to another account"):
        moved.refuse_moved_parties()
