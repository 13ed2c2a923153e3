"""Two makers begin one lab at the same moment: neither builds on what the other one has made."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of

from privatelink_lab import engine
from privatelink_lab.errors import NotOurs
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.network import VPC_TYPE

LATER = "2999-01-01T00:00:00.000Z"


def tags_of_bob(cloud: Cloud, **attributes: Any) -> list[Any]:
    """The tags of the provider's VPC that bob's plab has made, a moment later."""
    lab = cloud.lab(config_of(), State("test", since=LATER), maker="bob@there")
    return lab.tag_specifications(Resource("provider/vpc", VPC_TYPE), **attributes)


def alice(cloud: Cloud) -> tuple[Lab, dict[str, str]]:
    """The lab of alice; right before her first create, bob creates the same VPC. Also where its id will be."""
    lab, bobs = cloud.lab(config_of(), maker="alice@here"), dict[str, str]()
    plain = lab.connect

    def create_first(**_: Any) -> None:
        if not bobs:
            bobs["id"] = ""
            request: dict[str, Any] = {"CidrBlock": "10.0.0.0/16"}
            made = cloud.account().ec2.create_vpc(**request, TagSpecifications=tags_of_bob(cloud, **request))
            bobs["id"] = made["Vpc"]["VpcId"]

    def connect(party: Party) -> Any:
        account = plain(party)
        account._session.events.register("before-call.ec2.CreateVpc", create_first)
        return account

    lab.connect = connect
    return lab, bobs


def in_vpc(cloud: Cloud, vpc: str) -> int:
    """How many subnets and groups of anyone are in a VPC, without its default group."""
    filters: Any = [{"Name": "vpc-id", "Values": [vpc]}]
    ec2 = cloud.account().ec2
    groups = ec2.describe_security_groups(Filters=filters)["SecurityGroups"]
    return len(ec2.describe_subnets(Filters=filters)["Subnets"]) + len(groups) - 1


def test_the_earlier_one_builds_on_its_own(slow_cloud: Cloud) -> None:
    """Alice's lab comes up in her own VPC; nothing of hers is in bob's, and her `down` leaves it alone."""
    lab, bobs = alice(slow_cloud)
    built = slow_cloud.up(lab)
    assert built.exit_code == 0
    assert lab.state.ids["provider/vpc"] != bobs["id"]
    slow_cloud.clock.sleep(60)
    assert in_vpc(slow_cloud, bobs["id"]) == 0
    again = slow_cloud.lab(config_of(), lab.state, maker="alice@here")
    assert slow_cloud.up(again).exit_code == 0
    seen = engine.survey(again, STEPS, to_delete=True)
    assert engine.down(again, STEPS, seen).exit_code == 0
    assert slow_cloud.account().ec2.describe_vpcs(VpcIds=[bobs["id"]])["Vpcs"]


def test_each_can_remove_what_its_own_state_holds(slow_cloud: Cloud) -> None:
    """Bob's `down` deletes his VPC and nothing of alice; a third person is still refused."""
    lab, bobs = alice(slow_cloud)
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    state = State("test", since=LATER, ids={"provider/vpc": bobs["id"]})
    bob = slow_cloud.lab(config_of(), state, maker="bob@there")
    engine.claim_or_refuse(bob, engine.survey(bob, STEPS, to_delete=True).snapshot, adopt=False)
    removed = engine.down(bob, STEPS, engine.survey(bob, STEPS, to_delete=True))
    assert (removed.exit_code, removed.deleted) == (0, {"VPC": [bobs["id"]]})
    third = slow_cloud.lab(config_of(), maker="carol@there")
    with pytest.raises(NotOurs, match="belongs to alice@here"):
        engine.claim_or_refuse(third, engine.survey(third, STEPS).snapshot, adopt=False)
