"""What the config decides and a hand can change: each attribute is compared, named from what to what, and set again.

The table of attributes comes from the resources themselves; each of them must have a case here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource
from privatelink_lab.resource_key import split_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import STEPS

CONFIG = config_of({"name": "acme"}, provider={"zones": 2}, tags={"team": "red"})


@dataclass(frozen=True)
class Case:
    """A hand's change of one attribute, what `status` then says, and whether `up` can set it in place."""

    key: str
    attribute: str
    change: Callable[[Cloud, Built], object]
    said: str = ""
    in_place: bool = True

    def __str__(self) -> str:
        return f"{self.key}: {self.attribute}"


def another_group(cloud: Cloud, built: Built, party: str) -> str:
    """A security group of the hand's own in a party's VPC."""
    ec2, vpc = cloud.account().ec2, id_of(built, f"{party}/vpc")
    group = ec2.create_security_group(GroupName=f"by-hand-{party}", Description="by hand", VpcId=vpc)["GroupId"]
    cloud.let_new_ids_propagate()
    return group


def swap_endpoint_group(cloud: Cloud, built: Built) -> None:
    """The endpoint gets another security group."""
    cloud.account().ec2.modify_vpc_endpoint(
        VpcEndpointId=id_of(built, "acme/endpoint"),
        AddSecurityGroupIds=[another_group(cloud, built, "acme")],
        RemoveSecurityGroupIds=[id_of(built, "acme/security-group")],
    )


def modify_endpoint(**request: Any) -> Callable[[Cloud, Built], object]:
    """A ModifyVpcEndpoint by hand."""
    return lambda cloud, built: cloud.account().ec2.modify_vpc_endpoint(
        VpcEndpointId=id_of(built, "acme/endpoint"), **request
    )


def leave_a_subnet(cloud: Cloud, built: Built) -> None:
    """The endpoint leaves the second subnet."""
    modify_endpoint(RemoveSubnetIds=[id_of(built, "acme/subnet-2")])(cloud, built)


def swap_server_group(cloud: Cloud, built: Built) -> None:
    """The instance gets another security group."""
    group = another_group(cloud, built, "provider")
    cloud.account().ec2.modify_instance_attribute(InstanceId=id_of(built, "provider/web-server"), Groups=[group])


def change_type(cloud: Cloud, built: Built) -> None:
    """The instance is stopped, gets another type, and is started."""
    ec2, id_ = cloud.account().ec2, id_of(built, "provider/web-server")
    ec2.stop_instances(InstanceIds=[id_])
    cloud.clock.time += 300
    ec2.describe_instances(InstanceIds=[id_])
    ec2.modify_instance_attribute(InstanceId=id_, InstanceType={"Value": "t3.small"})
    ec2.start_instances(InstanceIds=[id_])
    cloud.clock.time += 300


def revoke_egress(party: str) -> Callable[[Cloud, Built], object]:
    """A group loses AWS's own rule for what leaves it."""

    def revoke(cloud: Cloud, built: Built) -> None:
        rule: Any = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
        group = id_of(built, f"{party}/security-group")
        cloud.account().ec2.revoke_security_group_egress(GroupId=group, IpPermissions=[rule])

    return revoke


def modify_target_group(**request: Any) -> Callable[[Cloud, Built], object]:
    """A ModifyTargetGroup by hand."""
    return lambda cloud, built: cloud.account().elbv2.modify_target_group(
        TargetGroupArn=id_of(built, "provider/target-group"), **request
    )


slow_checks = modify_target_group(HealthCheckIntervalSeconds=30)


def put_attribute(key: str, value: str) -> Callable[[Cloud, Built], object]:
    """A ModifyTargetGroupAttributes by hand."""
    attributes: Any = [{"Key": key, "Value": value}]
    return lambda cloud, built: cloud.account().elbv2.modify_target_group_attributes(
        TargetGroupArn=id_of(built, "provider/target-group"), Attributes=attributes
    )


def stop_crossing_zones(cloud: Cloud, built: Built) -> None:
    """Cross-zone is switched off."""
    attributes: Any = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    arn = id_of(built, "provider/nlb")
    cloud.account().elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)


def listen_elsewhere(cloud: Cloud, built: Built) -> None:
    """The listener gets another port."""
    cloud.account().elbv2.modify_listener(ListenerArn=id_of(built, "provider/nlb/listener"), Port=8080)


def forward_elsewhere(cloud: Cloud, built: Built) -> None:
    """The listener forwards to another target group."""
    elbv2 = cloud.account().elbv2
    other: Any = elbv2.create_target_group(
        Name="by-hand", Protocol="TCP", Port=80, VpcId=id_of(built, "provider/vpc"), TargetType="instance"
    )["TargetGroups"][0]["TargetGroupArn"]
    cloud.let_new_ids_propagate()
    elbv2.modify_listener(
        ListenerArn=id_of(built, "provider/nlb/listener"),
        DefaultActions=[{"Type": "forward", "TargetGroupArn": other}],
    )


def accept_all(cloud: Cloud, built: Built) -> None:
    """The service no longer requires acceptance."""
    service = id_of(built, "provider/endpoint-service")
    cloud.account().ec2.modify_vpc_endpoint_service_configuration(ServiceId=service, AcceptanceRequired=False)


def retag(key: str) -> Callable[[Cloud, Built], object]:
    """A tag of the config gets another value."""
    tags: Any = [{"Key": "team", "Value": "blue"}]
    return lambda cloud, built: cloud.account().ec2.create_tags(Resources=[id_of(built, key)], Tags=tags)


POLICY = '{"Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}'
TARGET_GROUP = "provider/target-group"
TAGGED = ("acme/vpc", "acme/endpoint", "provider/subnet-1", "provider/web-server")
CASES = [
    Case("acme/endpoint", "security groups", swap_endpoint_group),
    Case("acme/endpoint", "subnets", leave_a_subnet),
    Case(
        "acme/endpoint",
        "policy",
        modify_endpoint(PolicyDocument=POLICY),
        "policy: less than everything, the lab needs everything",
    ),
    Case("acme/security-group", "egress", revoke_egress("acme"), "egress: none, the lab needs all from 0.0.0.0/0"),
    Case("provider/security-group", "egress", revoke_egress("provider")),
    Case("provider/web-server", "security groups", swap_server_group),
    Case("provider/web-server", "instance type", change_type, "instance type: t3.small, the config says t3.micro"),
    Case(
        TARGET_GROUP,
        "health check interval seconds",
        modify_target_group(HealthCheckIntervalSeconds=30),
        "interval seconds: 30, the lab needs 5",
    ),
    Case(TARGET_GROUP, "health check timeout seconds", modify_target_group(HealthCheckTimeoutSeconds=4)),
    Case(TARGET_GROUP, "healthy threshold count", modify_target_group(HealthyThresholdCount=5)),
    Case(TARGET_GROUP, "unhealthy threshold count", modify_target_group(UnhealthyThresholdCount=5)),
    Case(TARGET_GROUP, "health check port", modify_target_group(HealthCheckPort="81")),
    Case(TARGET_GROUP, "health check protocol", modify_target_group(HealthCheckProtocol="HTTP", HealthCheckPath="/")),
    Case(TARGET_GROUP, "proxy_protocol_v2.enabled", put_attribute("proxy_protocol_v2.enabled", "true")),
    Case(TARGET_GROUP, "preserve_client_ip.enabled", put_attribute("preserve_client_ip.enabled", "false")),
    Case("provider/nlb", "cross-zone", stop_crossing_zones, "cross-zone: off, the lab needs on"),
    Case("provider/nlb/listener", "port", listen_elsewhere, "port: 8080, the config says 80"),
    Case("provider/nlb/listener", "target group", forward_elsewhere),
    Case(
        "provider/endpoint-service", "acceptance required", accept_all, "acceptance required: off, the config says on"
    ),
    *(
        Case(key, "tag team", retag(key), "tag team: blue, the config says red")
        for key in ("acme/vpc", "acme/endpoint", "provider/subnet-1", "provider/web-server")
    ),
]
BY_CONFIG = {  # attributes that no call can change on what exists: only the config can ask for another one
    ("VPC", "CIDR"),
    ("subnet", "CIDR"),
    ("subnet", "zone"),
    ("load balancer", "subnets"),
    ("target group", "port"),
    ("listener", "protocol"),  # ModifyListener could, but a lab on the local AWS takes TCP alone
    ("endpoint", "private DNS"),  # the service has no private name
    ("endpoint service", "load balancers"),  # only a second balancer of the lab could stand there
}


@pytest.fixture
def whole(cloud: Cloud) -> tuple[Lab, Built]:
    """A lab with two zones and a tag."""
    lab = cloud.lab(CONFIG)
    built = cloud.up(lab)
    assert built.exit_code == 0
    cloud.let_new_ids_propagate()
    cloud.calls()
    return lab, built


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_hand_changes_an_attribute(cloud: Cloud, whole: tuple[Lab, Built], case: Case) -> None:
    """`status` says drifted, from what to what; the next `up` sets it again, and then all is ready."""
    lab, built = whole
    case.change(cloud, built)
    cloud.clock.time += 120
    [found] = engine.survey(lab, STEPS).found[case.key]
    assert found.phase == "drifted", found
    assert [attribute.name for attribute in found.drift] == [case.attribute]
    assert case.said in found.detail
    after = cloud.up_again(lab, CONFIG)
    assert after.exit_code == 0, after.failed
    assert {found[0].phase.value for found in engine.survey(lab, STEPS).found.values() if found} == {"ready"}


def test_every_attribute_has_a_case(cloud: Cloud, whole: tuple[Lab, Built], monkeypatch: pytest.MonkeyPatch) -> None:
    """An attribute that a step begins to compare needs a hand here that changes it."""
    lab, _ = whole
    compared: set[tuple[str, str]] = set()

    def note(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row, found: Any) -> Any:
        names = {attribute.name for attribute in resource.type.compare(lab, snapshot, resource, row)}
        compared.update((resource.type.noun, name) for name in names)
        return found

    for module in ("privatelink_lab.resource.compared", "privatelink_lab.steps.nlb.compared"):
        monkeypatch.setattr(module, note)
    seen = engine.survey(lab, STEPS)
    nouns = {case: seen.resources[case.key].type.noun for case in CASES}
    by_hand = {(nouns[case], case.attribute) for case in CASES if not case.attribute.startswith("tag ")}
    assert compared == by_hand | BY_CONFIG
    assert not by_hand & BY_CONFIG


def test_a_rule_that_was_added_is_named_and_left_alone(cloud: Cloud, whole: tuple[Lab, Built]) -> None:
    """A hand opens port 22: `status` names the rule, `up` changes nothing."""
    lab, built = whole
    rule: Any = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "192.0.2.1/32"}]}
    group = id_of(built, "acme/security-group")
    cloud.account().ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    cloud.calls()
    after = cloud.up_again(lab, CONFIG)
    assert cloud.changes() == []
    assert after.done["acme/security-group/ingress"][0].detail.endswith(
        "; also tcp 22 from 192.0.2.1/32, which plab leaves alone"
    )


REFUSED = [  # a config, what only a replacement can change, and the one command for it
    (
        config_of({"name": "acme"}, provider={"zones": 2, "web_server": {"port": 8080}}, tags={"team": "red"}),
        {"provider/target-group"},
        "plab up --replace provider/target-group",
    ),
    (
        config_of({"name": "acme"}, provider={"zones": 2, "vpc": {"cidr": "10.7.0.0/16"}}, tags={"team": "red"}),
        {"provider/vpc"},
        "plab up --replace provider/vpc",
    ),
    (
        config_of({"name": "acme", "vpc": {"cidr": "10.9.0.0/16"}}, provider={"zones": 2, "web_server": {"port": 81}}),
        {"acme/vpc", "provider/target-group"},
        "plab up --replace acme/vpc --replace provider/target-group",
    ),
    # The new zone's subnet is not there yet: the refusal comes before it is made.
    (config_of({"name": "acme"}, provider={"zones": 3}), {"provider/nlb"}, "plab up --replace provider/nlb"),
]


@pytest.mark.parametrize(("config", "keys", "command"), REFUSED)
def test_a_refusal_touches_nothing(
    cloud: Cloud, whole: tuple[Lab, Built], config: Any, keys: set[str], command: str
) -> None:
    """A working lab goes on: no rule is moved, no server replaced, and one command has all that it takes."""
    lab, _ = whole
    after = cloud.up_again(lab, config)
    assert set(after.failed) == keys
    assert {error.hint for error in after.failed.values()} == {command}
    assert cloud.changes() == []
    again = cloud.lab(config, lab.state)
    seen = engine.survey(again, STEPS)
    replaced = {key for word in command.split(" --replace ")[1:] for key in engine.dependents_of(seen.resources, word)}
    assert engine.down(again, STEPS, seen, only=replaced).left == {}
    assert cloud.up_again(again, config).exit_code == 0


def test_a_consumers_wish_does_not_hold_back_the_others(cloud: Cloud, whole: tuple[Lab, Built]) -> None:
    """Acme's CIDR cannot be changed in place: nothing of acme is touched, and beta is built all the same."""
    lab, _ = whole
    config = config_of(
        {"name": "acme", "vpc": {"cidr": "10.9.0.0/16"}}, {"name": "beta"}, provider={"zones": 2}, tags={"team": "red"}
    )
    after = cloud.up_again(lab, config)
    assert {split_key(key)[0] for key in after.failed} == {"acme"}
    assert after.done["beta/endpoint"][0].detail == "available"


def test_while_aws_does_not_show_all_nothing_is_updated(cloud: Cloud, whole: tuple[Lab, Built]) -> None:
    """One describe has no answer: the server is not replaced before that describe has shown what it can."""
    lab, _ = whole
    config = config_of({"name": "acme"}, provider={"zones": 2, "web_server": {"port": 8080}}, tags={"team": "red"})
    cloud.aws.choose_faults(
        [{"kind": "error", "action": "DescribeTargetGroups", "status": 503, "code": "Busy", "times": 6}]
    )
    after = cloud.up_again(lab, config)
    assert "provider/target-group" in after.failed
    assert cloud.changes() == []
