"""A person changes one resource by hand between two runs: `up` repairs or refuses it, and `down` removes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

Change = Callable[[Cloud, Built], None]


def delete_endpoint(cloud: Cloud, built: Built) -> None:
    """The consumer deletes its endpoint."""
    cloud.account().ec2.delete_vpc_endpoints(VpcEndpointIds=[id_of(built, "acme/endpoint")])


def delete_listener(cloud: Cloud, built: Built) -> None:
    """The listener is deleted."""
    cloud.account().elbv2.delete_listener(ListenerArn=id_of(built, "provider/nlb/listener"))


def delete_listener_and_group(cloud: Cloud, built: Built) -> None:
    """The target group is deleted, and with it the registration."""
    delete_listener(cloud, built)
    cloud.let_new_ids_propagate()
    cloud.account().elbv2.delete_target_group(TargetGroupArn=id_of(built, "provider/target-group"))


def delete_service(cloud: Cloud, built: Built) -> None:
    """The service is deleted; the endpoint stays, rejected."""
    ec2, service = cloud.account().ec2, id_of(built, "provider/endpoint-service")
    ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[id_of(built, "acme/endpoint")])
    cloud.let_new_ids_propagate()
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])


def stop_server(cloud: Cloud, built: Built) -> None:
    """The instance is stopped."""
    cloud.account().ec2.stop_instances(InstanceIds=[id_of(built, "provider/web-server")])


def terminate_server(cloud: Cloud, built: Built) -> None:
    """The instance is terminated."""
    cloud.account().ec2.terminate_instances(InstanceIds=[id_of(built, "provider/web-server")])


def reject(cloud: Cloud, built: Built) -> None:
    """The connection is rejected."""
    ec2, service = cloud.account().ec2, id_of(built, "provider/endpoint-service")
    ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[id_of(built, "acme/endpoint")])


def protect_server(cloud: Cloud, built: Built) -> None:
    """The instance gets termination protection."""
    server = id_of(built, "provider/web-server")
    cloud.account().ec2.modify_instance_attribute(InstanceId=server, DisableApiTermination={"Value": True})


def untag_group(cloud: Cloud, built: Built) -> None:
    """A security group loses the lab's tag, so plab no longer counts it as its own."""
    tag: Any = [{"Key": "plab:lab"}]
    cloud.account().ec2.delete_tags(Resources=[id_of(built, "acme/security-group")], Tags=tag)


REPAIRED: dict[Change, tuple[str, str]] = {
    delete_endpoint: ("acme/endpoint", "missing"),
    delete_listener: ("provider/nlb/listener", "missing"),
    delete_listener_and_group: ("provider/target-group", "missing"),
    stop_server: ("provider/web-server", "stopped"),
    terminate_server: ("provider/web-server", "missing"),
}


@pytest.mark.parametrize("change", REPAIRED, ids=lambda change: change.__name__)
def test_up_repairs_what_was_deleted_or_stopped(cloud: Cloud, lab: Lab, change: Change) -> None:
    """`status` shows what is deleted or stopped, `up` creates or starts it, and `down` leaves nothing."""
    before = cloud.aws.inventory()
    built = cloud.up(lab)
    change(cloud, built)
    cloud.let_new_ids_propagate()
    key, state = REPAIRED[change]
    assert cloud.phases(lab)[key] == state
    again = cloud.up(lab)
    assert again.exit_code == 0, again.failed
    assert "missing" not in cloud.phases(lab).values()
    assert cloud.down(lab).exit_code == 0
    cloud.let_new_ids_propagate()
    assert cloud.aws.inventory() == before


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (delete_service, "acme/endpoint", "was rejected"),
        (untag_group, "acme/security-group", "has lost the lab's tag"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_up_fails_at_what_it_does_not_repair(cloud: Cloud, lab: Lab, change: Change, key: str, words: str) -> None:
    """`up` leaves the endpoint of a service that is gone and a group without the lab's tag alone, and reports them."""
    built = cloud.up(lab)
    change(cloud, built)
    cloud.let_new_ids_propagate()
    again = cloud.up(lab)
    assert again.exit_code == 1
    assert words in str(again.failed[key])


@pytest.mark.parametrize("change", [reject, delete_service], ids=lambda change: change.__name__)
def test_down_removes_a_lab_with_a_cut_connection(cloud: Cloud, lab: Lab, change: Change) -> None:
    """`down` leaves nothing after a reject or the deletion of the service by hand."""
    before = cloud.aws.inventory()
    change(cloud, cloud.up(lab))
    cloud.let_new_ids_propagate()
    assert cloud.down(lab).exit_code == 0
    cloud.let_new_ids_propagate()
    assert cloud.aws.inventory() == before


def test_down_reports_a_protected_instance(cloud: Cloud, lab: Lab) -> None:
    """Termination protection: exit 3 with AWS's code, and what can go is deleted; the next `down` deletes the rest."""
    built = cloud.up(lab)
    protect_server(cloud, built)
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert "OperationNotPermitted" in str(removed.left["provider/web-server"])
    assert "endpoint service" in removed.deleted
    server = id_of(built, "provider/web-server")
    cloud.account().ec2.modify_instance_attribute(InstanceId=server, DisableApiTermination={"Value": False})
    assert cloud.down(lab).exit_code == 0


def test_down_leaves_another_persons_group_alone(cloud: Cloud, lab: Lab) -> None:
    """Another person's group in the lab's VPC: `down` leaves the VPC, with AWS's code, and does not touch the group."""
    built = cloud.up(lab)
    ec2 = cloud.account().ec2
    own = ec2.create_security_group(GroupName="own", Description="by hand", VpcId=id_of(built, "acme/vpc"))["GroupId"]
    cloud.let_new_ids_propagate()
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert set(removed.left) == {"acme/vpc"}
    assert "DependencyViolation" in str(removed.left["acme/vpc"])
    assert ec2.describe_security_groups(GroupIds=[own])["SecurityGroups"]
    ec2.delete_security_group(GroupId=own)
    assert engine.down(lab, STEPS, engine.survey(lab, STEPS)).exit_code == 0


def test_a_terminated_instance_is_made_again_and_registered(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The instance was terminated: `up` creates a new one, and its target becomes healthy."""
    old = id_of(built, "provider/web-server")
    cloud.account().ec2.terminate_instances(InstanceIds=[old])
    after = cloud.up_again(lab)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") != old
    assert id_of(after, "provider/target-group/registration") == id_of(after, "provider/web-server")
    assert cloud.changes() == ["TerminateInstances", "RunInstances", "RegisterTargets"]


def test_a_stopped_instance_is_started(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The instance was stopped: `up` starts the same one."""
    old = id_of(built, "provider/web-server")
    cloud.account().ec2.stop_instances(InstanceIds=[old])
    cloud.let_new_ids_propagate()
    assert cloud.phases(lab)["provider/web-server"] == "stopped"
    after = cloud.up_again(lab)
    assert after.exit_code == 0
    assert id_of(after, "provider/web-server") == old
    assert cloud.changes() == ["StopInstances", "StartInstances"]


def test_a_removed_registration_is_made_again(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The target was deregistered: `up` registers it."""
    group = id_of(built, "provider/target-group")
    target: Any = {"Id": id_of(built, "provider/web-server")}
    cloud.account().elbv2.deregister_targets(TargetGroupArn=group, Targets=[target])
    after = cloud.up_again(lab)
    assert after.exit_code == 0
    assert after.done["provider/target-group/registration"][0].detail == "healthy"
    assert cloud.changes() == ["DeregisterTargets", "RegisterTargets"]


def test_cross_zone_switched_off_is_switched_on(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Cross-zone was switched off: `status` reports it and `up` switches it on."""
    balancer = id_of(built, "provider/nlb")
    off: Any = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    cloud.account().elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=off)
    assert cloud.phases(lab)["provider/nlb"] == "cross-zone: off, the lab needs on"
    assert cloud.up_again(lab).exit_code == 0
    assert cloud.phases(lab)["provider/nlb"] == "active"


@pytest.mark.parametrize("party", ["provider", "acme"])
def test_a_revoked_rule_is_authorized_again(cloud: Cloud, lab: Lab, built: Built, party: str) -> None:
    """The rule of a security group was revoked: `up` authorizes it."""
    group = id_of(built, f"{party}/security-group")
    cidr = "10.0.0.0/24" if party == "provider" else "10.1.0.0/16"
    cloud.account().ec2.revoke_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp=cidr
    )
    assert cloud.phases(lab)[f"{party}/security-group/ingress"] == "missing"
    assert cloud.up_again(lab).exit_code == 0
    assert cloud.changes() == ["RevokeSecurityGroupIngress", "AuthorizeSecurityGroupIngress"]


def test_a_rule_of_an_earlier_config_is_revoked(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The config has another port: the groups admit that one alone, and what a hand has opened stays open."""
    ec2 = cloud.account().ec2
    groups = [id_of(built, f"{party}/security-group") for party in ("provider", "acme")]
    by_hand: Any = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    ec2.authorize_security_group_ingress(GroupId=groups[0], IpPermissions=[by_hand])
    config = config_of(provider={"web_server": {"port": 8080}})
    moved = cloud.lab(config, state=lab.state)
    seen = engine.survey(moved, STEPS)
    engine.down(moved, STEPS, seen, only=engine.dependents_of(seen.resources, "provider/target-group"))
    cloud.clock.sleep(60)
    assert cloud.phases(moved)["provider/security-group/ingress"] == "still admits tcp 80 from 10.0.0.0/24"
    assert cloud.up(moved).exit_code == 0
    rows = ec2.describe_security_groups(GroupIds=groups)["SecurityGroups"]
    ports = {row["GroupId"]: sorted(rule["FromPort"] for rule in row["IpPermissions"]) for row in rows}
    assert [ports[group] for group in groups] == [[22, 8080], [8080]]


def test_a_revoked_source_of_a_rule_is_authorized_again(cloud: Cloud) -> None:
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
    assert cloud.up_again(lab, lab.config).exit_code == 0
    assert cloud.phases(lab)["provider/security-group/ingress"] == "tcp 80 from 10.0.0.0/24, 10.0.1.0/24"


def test_permissions_are_added_and_none_is_taken(cloud: Cloud) -> None:
    """`up` adds a principal that was removed by hand, and names and leaves one that is not in the config."""
    config = config_of(provider={"service": {"allowed_principals": ["111122223333"]}})
    lab = cloud.lab(config)
    service = id_of(cloud.up(lab), "provider/endpoint-service")
    ec2 = cloud.account().ec2
    ours, theirs = "arn:aws:iam::111122223333:root", "arn:aws:iam::999999999999:root"
    ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service, RemoveAllowedPrincipals=[ours], AddAllowedPrincipals=[theirs]
    )
    assert cloud.up_again(lab, config).exit_code == 0
    rows = ec2.describe_vpc_endpoint_service_permissions(ServiceId=service)["AllowedPrincipals"]
    assert {row["Principal"] for row in rows} == {ours, theirs}
    detail = f"2 principals; not in the config: {theirs}, which plab leaves alone"
    assert cloud.phases(lab)["provider/endpoint-service/permissions"] == detail


def test_acceptance_switched_off_by_hand_is_switched_on(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A service that no longer requires acceptance is drift: `up` requires it again."""
    service = id_of(built, "provider/endpoint-service")
    cloud.account().ec2.modify_vpc_endpoint_service_configuration(ServiceId=service, AcceptanceRequired=False)
    assert cloud.phases(lab)["provider/endpoint-service"] == "acceptance required: off, the config says on"
    assert cloud.up_again(lab).exit_code == 0
    assert cloud.phases(lab)["provider/endpoint-service"] == "Available"


def test_a_balancer_without_the_labs_tag_is_never_adopted(cloud: Cloud, lab: Lab) -> None:
    """A balancer has the lab's name but not its tag: `up` refuses it, `down` leaves it."""
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
