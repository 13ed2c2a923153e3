"""What a user finds after somebody changed things by hand, or after the config changed."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of

from privatelink_lab import engine
from privatelink_lab.config import Config
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS


@pytest.fixture
def built(cloud: Cloud, lab: Lab) -> Built:
    """A whole lab."""
    result = cloud.up(lab)
    assert result.exit_code == 0
    cloud.calls()
    return result


def again(cloud: Cloud, lab: Lab, config: Config | None = None) -> Built:
    """The next `plab up`, a minute later, from the state of the last one."""
    cloud.clock.sleep(60)
    return cloud.up(cloud.lab(config, state=lab.state))


def id_of(built: Built, key: str) -> str:
    """The id that `up` ended with."""
    return built.done[key][0].id


def test_a_terminated_instance_is_made_again_and_registered(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Instance terminated by hand: `up` makes a new one with a new token, and its target gets healthy."""
    old = id_of(built, "provider/web-server")
    cloud.account().ec2.terminate_instances(InstanceIds=[old])
    after = again(cloud, lab)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") != old
    assert id_of(after, "provider/target-group/registration") == id_of(after, "provider/web-server")
    assert cloud.changes() == ["TerminateInstances", "RunInstances", "RegisterTargets"]


def test_a_stopped_instance_is_started(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Instance stopped by hand: `up` starts the same one."""
    old = id_of(built, "provider/web-server")
    cloud.account().ec2.stop_instances(InstanceIds=[old])
    cloud.let_new_ids_propagate()
    assert cloud.phases(lab)["provider/web-server"] == "stopped"
    after = again(cloud, lab)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") == old
    assert cloud.changes() == ["StopInstances", "StartInstances"]


def test_a_removed_registration_is_made_again(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Target deregistered by hand: `up` registers it."""
    group = id_of(built, "provider/target-group")
    target: Any = {"Id": id_of(built, "provider/web-server")}
    cloud.account().elbv2.deregister_targets(TargetGroupArn=group, Targets=[target])
    after = again(cloud, lab)
    assert after.exit_code == 0
    assert after.done["provider/target-group/registration"][0].detail == "healthy"
    assert cloud.changes() == ["DeregisterTargets", "RegisterTargets"]


def test_cross_zone_switched_off_is_switched_on(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Cross-zone switched off by hand: `status` says so and `up` mends it."""
    balancer = id_of(built, "provider/nlb")
    off: Any = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    cloud.account().elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=off)
    assert cloud.phases(lab)["provider/nlb"] == "cross-zone is off"
    assert again(cloud, lab).exit_code == 0
    assert cloud.phases(lab)["provider/nlb"] == "active"


@pytest.mark.parametrize("party", ["provider", "acme"])
def test_a_revoked_rule_is_authorized_again(cloud: Cloud, lab: Lab, built: Built, party: str) -> None:
    """Security group rule revoked by hand: `up` authorizes it."""
    group = id_of(built, f"{party}/security-group")
    cidr = "10.0.0.0/24" if party == "provider" else "10.1.0.0/16"
    cloud.account().ec2.revoke_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp=cidr
    )
    assert cloud.phases(lab)[f"{party}/security-group/ingress"] == "missing"
    assert again(cloud, lab).exit_code == 0
    assert cloud.changes() == ["RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress"]


def test_one_of_two_sources_revoked_is_mended(cloud: Cloud) -> None:
    """A rule that lacks one of its two zones is drift; only the missing source is authorized."""
    lab = cloud.lab(config_of(provider={"zones": 2}))
    built = cloud.up(lab)
    cloud.account().ec2.revoke_security_group_ingress(
        GroupId=id_of(built, "provider/security-group"),
        IpProtocol="tcp",
        FromPort=80,
        ToPort=80,
        CidrIp="10.0.1.0/24",
    )
    assert cloud.phases(lab)["provider/security-group/ingress"] == "lacks 10.0.1.0/24"
    assert again(cloud, lab, lab.config).exit_code == 0
    assert cloud.phases(lab)["provider/security-group/ingress"] == "tcp 80 from 10.0.0.0/24, 10.0.1.0/24"


def test_a_dropped_principal_is_added_and_a_strange_one_removed(cloud: Cloud) -> None:
    """The permissions end as the config says: a dropped principal comes back, one that nobody asked for goes."""
    config = config_of(provider={"service": {"allowed_principals": ["111122223333"]}})
    lab = cloud.lab(config)
    service = id_of(cloud.up(lab), "provider/endpoint-service")
    ec2 = cloud.account().ec2
    ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service,
        RemoveAllowedPrincipals=["arn:aws:iam::111122223333:root"],
        AddAllowedPrincipals=["arn:aws:iam::999999999999:root"],
    )
    assert again(cloud, lab, config).exit_code == 0
    rows = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service)["AllowedPrincipals"]
    assert [row["Principal"] for row in rows] == ["arn:aws:iam::111122223333:root"]


def test_acceptance_switched_off_by_hand_is_switched_on(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A service that no longer requires acceptance is drift: `up` requires it again."""
    service = id_of(built, "provider/endpoint-service")
    cloud.account().ec2.modify_vpc_endpoint_service_configuration(ServiceId=service, AcceptanceRequired=False)
    assert cloud.phases(lab)["provider/endpoint-service"] == "acceptance required is false"
    assert again(cloud, lab).exit_code == 0
    assert cloud.phases(lab)["provider/endpoint-service"] == "Available"


def test_a_new_message_replaces_the_instance(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`message` changed in the config: the instance, which holds no data, is replaced and registered."""
    config = config_of(provider={"web_server": {"message": "Goodbye"}})
    after = again(cloud, lab, config)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") != id_of(built, "provider/web-server")
    assert cloud.changes() == ["TerminateInstances", "RunInstances", "RegisterTargets"]


def test_a_new_cidr_is_refused_with_old_and_new(cloud: Cloud, lab: Lab, built: Built) -> None:
    """What holds other things is not replaced unasked: `up` names old, new and the command."""
    after = again(cloud, lab, config_of({"name": "acme", "vpc": {"cidr": "10.9.0.0/16"}}))
    error = after.failed["acme/vpc"]
    assert "has 10.1.0.0/16, the config says 10.9.0.0/16" in error.message
    assert error.hint == "plab up --replace acme/vpc"
    assert cloud.changes() == []


def test_replacing_a_key_replaces_what_stands_on_it(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`--replace acme/vpc` deletes that VPC, its subnet, group and endpoint, and builds them anew."""
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
    after = again(cloud, lab2, config)
    assert after.exit_code == 0
    assert id_of(after, "provider/nlb") == id_of(built, "provider/nlb")


def test_a_consumer_added(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A consumer more in the config: `up` builds it and leaves the rest alone."""
    after = again(cloud, lab, config_of({"name": "acme"}, {"name": "beta"}))
    assert after.exit_code == 0
    assert id_of(after, "acme/endpoint") == id_of(built, "acme/endpoint")
    assert after.done["beta/endpoint"][0].detail == "available"


@pytest.mark.parametrize("with_state", [True, False])
def test_a_consumer_removed_and_then_down(cloud: Cloud, *, with_state: bool) -> None:
    """A consumer that left the config is shown by `status` and deleted by `down`, also without a state."""
    before = cloud.aws.inventory()
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "gone"}))
    cloud.up(lab)
    later = cloud.lab(config_of({"name": "acme"}), state=lab.state if with_state else None)
    assert cloud.phases(later)["gone/endpoint"] == "available"
    assert cloud.down(later).exit_code == 0
    assert cloud.aws.inventory() == before


def test_a_removed_consumer_in_another_account_is_deleted_there(cloud: Cloud) -> None:
    """The state remembers how to reach the account of a consumer that left the config."""
    before = cloud.aws.inventory()
    role = "arn:aws:iam::111122223333:role/lab"
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "gone", "role_arn": role}))
    cloud.up(lab)
    assert cloud.down(cloud.lab(config_of({"name": "acme"}), state=lab.state)).exit_code == 0
    assert cloud.aws.inventory() == before


def test_somebody_elses_name_is_never_adopted(cloud: Cloud, lab: Lab) -> None:
    """A balancer with the lab's name and without its tag is somebody else's: `up` refuses, `down` leaves it."""
    ec2, elbv2 = cloud.account().ec2, cloud.account().elbv2
    vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.5.0.0/24")["Subnet"]["SubnetId"]
    cloud.let_new_ids_propagate()
    elbv2.create_load_balancer(Name=lab.name, Type="network", Scheme="internal", Subnets=[subnet])
    cloud.let_new_ids_propagate()
    before = cloud.aws.inventory()
    failed = cloud.up(lab).failed
    assert "bears no tag of this lab" in failed["provider/nlb"].message
    assert cloud.down(lab).exit_code == 0
    assert cloud.aws.inventory() == before


def test_two_of_a_kind_are_named_and_nothing_is_made(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A duplicate under one key: `up` names both ids and makes nothing under it; `down` deletes both."""
    tags = lab.tag_specifications("vpc", "acme/vpc")
    twin = cloud.account().ec2.create_vpc(CidrBlock="10.1.0.0/16", TagSpecifications=tags)["Vpc"]["VpcId"]
    after = again(cloud, lab)
    assert after.exit_code == 1
    assert twin in after.failed["acme/vpc"].message
    assert id_of(built, "acme/vpc") in after.failed["acme/vpc"].message
    assert len(cloud.down(lab).deleted["VPC"]) == 3


def test_somebody_elses_lab_is_refused_until_adopted(cloud: Cloud, lab: Lab) -> None:
    """Same lab, other owner, no state here: exit 1 with owner and since; --adopt goes on."""
    lab.maker = "alice@laptop"
    cloud.up(lab)
    mine = cloud.lab(maker="bob@desk")
    with pytest.raises(Exception, match="belongs to alice@laptop, since 20"):
        cloud.up(mine)
    assert cloud.up(cloud.lab(maker="bob@desk"), adopt=True).exit_code == 0
