"""Target groups: what the local AWS must refuse, since the network cannot be built of it."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_resources import ServiceLab, code_of, make_group, network, serve
from support.contract_aws import LocalCloud
from support.stand_in_traffic import network_plan

PORTS = ["abc", "0", "-1", "70000", "9" * 5000, "1.5"]


@pytest.mark.parametrize("port", PORTS)
def test_a_health_check_port_is_a_port(cloud: LocalCloud, port: str) -> None:
    """Anything else is a ValidationError, at the create and at a change."""
    elbv2 = cloud.client("elbv2")
    vpc, _ = network(cloud.client("ec2"))
    request: dict[str, Any] = {"Protocol": "TCP", "Port": 80, "VpcId": vpc, "HealthCheckPort": port}
    assert code_of(elbv2.create_target_group, Name="one", **request) == "ValidationError"
    group = make_group(elbv2, vpc)
    assert code_of(elbv2.modify_target_group, TargetGroupArn=group, HealthCheckPort=port) == "ValidationError"
    elbv2.modify_target_group(TargetGroupArn=group, HealthCheckPort="8080")


@pytest.mark.parametrize("character", ["\x0b", "\x00", "\x1b", "\uffff"])
def test_a_character_that_no_answer_can_carry_is_refused(cloud: LocalCloud, character: str) -> None:
    """In a tag it would make every answer about that VPC unreadable."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    tags: Any = [{"Key": "name", "Value": f"a{character}b"}]
    assert code_of(ec2.create_tags, Resources=[vpc], Tags=tags) == "InvalidParameterValue"
    ec2.create_tags(Resources=[vpc], Tags=[{"Key": "name", "Value": "Grüße, 世界"}])
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]


def test_an_http_check_by_hand_has_a_matcher(cloud: LocalCloud, lab: ServiceLab) -> None:
    """A network target group changes from TCP to HTTP checks: the network is built on, with AWS's default codes."""
    instance, group = serve(lab)
    assert instance
    cloud.client("elbv2").modify_target_group(TargetGroupArn=group, HealthCheckProtocol="HTTP", HealthCheckPath="/x")
    [check] = network_plan(cloud.aws).checks.values()
    assert (check.path, check.codes) == ("/x", "200-399")
