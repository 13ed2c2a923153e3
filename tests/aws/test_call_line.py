"""`-v` names each call, with the parameters that matter; what changes something stands out."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from privatelink_lab.aws.call_line import log_call
from privatelink_lab.ui.call_lines import CallLines

TAGS = [{"ResourceType": "vpc", "Tags": [{"Key": "plab:lab", "Value": "test"}]}]
LAB = [{"Name": "tag:plab:lab", "Values": ["test"]}]
ARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/lab/1"
CASES: list[tuple[str, str, dict[str, Any], str, str]] = [
    (
        "elbv2",
        "DescribeTargetHealth",
        {"TargetGroupArn": ARN},
        "",
        "   elbv2 DescribeTargetHealth TargetGroupArn=targetgroup/lab/1 20 ms",
    ),
    (
        "ec2",
        "CreateVpc",
        {"CidrBlock": "10.0.0.0/16", "TagSpecifications": TAGS},
        "",
        "-> ec2 CreateVpc CidrBlock=10.0.0.0/16 20 ms",
    ),
    ("ec2", "DescribeVpcs", {"Filters": LAB}, "", "   ec2 DescribeVpcs Filters=tag:plab:lab=test 20 ms"),
    (
        "ec2",
        "RunInstances",
        {"UserData": "secret", "ClientToken": "t", "MinCount": 1},
        "",
        "-> ec2 RunInstances MinCount=1 20 ms",
    ),
    (
        "elbv2",
        "DeleteListener",
        {"ListenerArn": "arn"},
        "ListenerNotFound",
        "-> elbv2 DeleteListener ListenerArn=arn 20 ms: ListenerNotFound",
    ),
    (
        "ec2",
        "AuthorizeSecurityGroupIngress",
        {"IpPermissions": [{"FromPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/8"}]}]},
        "",
        "-> ec2 AuthorizeSecurityGroupIngress IpPermissions=FromPort=80,IpRanges=CidrIp=10.0.0.0/8 20 ms",
    ),
    (
        "ec2",
        "ModifyVpcEndpointServicePermissions",
        {"AddAllowedPrincipals": ["arn:aws:iam::333333333333:root"]},
        "",
        "-> ec2 ModifyVpcEndpointServicePermissions AddAllowedPrincipals=arn:aws:iam::333333333333:root 20 ms",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[1])
def test_a_call_is_one_line(case: tuple[str, str, dict[str, Any], str, str], caplog: pytest.LogCaptureFixture) -> None:
    """Tags, tokens and user data are left out: they say nothing, or too much."""
    service, name, request, refused, line = case
    with caplog.at_level(logging.DEBUG):
        log_call(service, name, request, 0.02, refused)
    [record] = caplog.records
    assert record.getMessage() == line
    assert (record.levelno == logging.INFO) is line.startswith("->")


def test_a_long_request_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    """A call with two hundred ids is one line still."""
    with caplog.at_level(logging.DEBUG):
        log_call("ec2", "DescribeVpcs", {"VpcIds": [f"vpc-{number}" for number in range(200)]}, 0.0)
    assert len(caplog.records[0].getMessage()) < 220


def test_what_a_stranger_wrote_is_no_command_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """An escape sequence in a parameter is printed as text."""
    CallLines().emit(logging.makeLogRecord({"msg": "ec2 CreateTags \x1b[2J", "levelno": logging.INFO}))
    assert capsys.readouterr().err == "ec2 CreateTags \\x1b[2J\n"
