"""The table of hints: for each refusal of AWS the step that helps, or none."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from privatelink_lab.aws.hints import clock_error, keys_hint, next_step

ME = "User: arn:aws:iam::111122223333:user/me is not authorized to perform:"
BALANCER = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/net/a/b"
SCP = "with an explicit deny in a service control policy"
STEPS = [  # code, AWS's sentence, service and operation of the call, words of the step (none: no hint)
    (
        "UnauthorizedOperation",
        f"{ME} ec2:CreateTags on resource: x because no policy allows it",
        "ec2 CreateVpc",
        "ec2:CreateTags",
    ),
    (
        "AccessDenied",
        f"{ME} iam:CreateServiceLinkedRole on resource: x",
        "elbv2 CreateLoadBalancer",
        "iam:CreateServiceLinkedRole",
    ),
    (
        "UnauthorizedOperation",
        f"{ME} ec2:RunInstances on resource: x {SCP}",
        "ec2 RunInstances",
        "policy (SCP) forbids",
    ),
    ("AccessDenied", f"{ME} ec2:CreateVpc: explicit deny in a permissions boundary", "ec2 CreateVpc", "boundary"),
    ("AccessDenied", f"{ME} ec2:CreateVpc because no session policy allows it", "ec2 CreateVpc", "session policy"),
    ("AccessDenied", f"{ME} sts:AssumeRole on resource: x", "sts AssumeRole", "trust policy of the role"),
    (
        "UnauthorizedOperation",
        "You are not authorized. A subnet in this vpc is shared but the provided object is not owned by you",
        "ec2 CreateVpcEndpoint",
        "a VPC that your account owns",
    ),
    ("UnauthorizedOperation", "You are not authorized.", "ec2 DeleteVpc", "Allow the action ec2:DeleteVpc"),
    ("AccessDenied", "No.", "elbv2 AddTags", "elasticloadbalancing:AddTags"),
    ("VpcLimitExceeded", "The maximum number of VPCs has been reached.", "ec2 CreateVpc", "L-F678F1CE"),
    ("VpcEndpointLimitExceeded", "The maximum number is reached.", "ec2 CreateVpcEndpoint", "L-29B6F2EB"),
    ("VcpuLimitExceeded", "You have requested more vCPU capacity", "ec2 RunInstances", "ec2 --quota-code L-1216C47A"),
    ("TooManyLoadBalancers", "The maximum is reached", "elbv2 CreateLoadBalancer", "L-69A177A2"),
    ("TooManyTargetGroups", "The maximum is reached", "elbv2 CreateTargetGroup", "L-B22855CB"),
    ("SubnetLimitExceeded", "The maximum is reached", "ec2 CreateSubnet", "L-407747CB"),
    ("SecurityGroupLimitExceeded", "The maximum is reached", "ec2 CreateSecurityGroup", "L-E79EC296"),
    ("TagPolicyViolation", "The tag policy does not allow it: 'plab:maker'", "ec2 CreateVpc", "tag policy forbids"),
    ("ForbiddenException", "No access", "sso GetRoleCredentials", "not assigned to you"),
    ("InsufficientInstanceCapacity", "We do not have sufficient capacity", "ec2 RunInstances", "instance_type"),
    ("PendingVerification", "Your account is currently being verified.", "ec2 RunInstances", "verify this account"),
    (
        "OperationNotPermitted",
        f"Load balancer '{BALANCER}' cannot be deleted because deletion protection is enabled",
        "elbv2 DeleteLoadBalancer",
        f"--load-balancer-arn {BALANCER} --attributes",
    ),
    (
        "OperationNotPermitted",
        "The instance 'i-0123456789abcdef0' may not be terminated. Modify its 'disableApiTermination' attribute",
        "ec2 TerminateInstances",
        "aws ec2 modify-instance-attribute --instance-id i-0123456789abcdef0 --no-disable-api-termination",
    ),
    ("RegionDisabledException", "STS is not activated", "sts AssumeRole", "switched off"),
    ("OperationNotPermitted", "Something else.", "elbv2 DeleteLoadBalancer", ""),
    ("InvalidParameterValue", "No.", "ec2 CreateVpc", ""),
]


@pytest.mark.parametrize(("code", "message", "call", "words"), STEPS)
def test_the_step_for_a_refusal(code: str, message: str, call: str, words: str) -> None:
    """A user reads the one thing that helps; for a code without a row there is no hint."""
    service, operation = call.split()
    step = next_step(code, message, service=service, operation=operation)
    assert words in step
    assert bool(words) == bool(step)
    assert "{" not in step.replace("{id: ...}", "")


CLOCKS = [  # code, AWS's sentence, seconds that this clock is ahead, words (none: it is not the clock)
    ("RequestExpired", "Request has expired.", -10_920, "3 h 2 min behind"),
    ("AuthFailure", "AWS was not able to validate the provided access credentials", 600, "10 min ahead"),
    ("SignatureDoesNotMatch", "Signature expired: 1 is now earlier than 2", -600, "10 min behind"),
    (
        "SignatureDoesNotMatch",
        "Signature expired: 20261125T052235Z is now earlier than 20261125T140004Z (20261125T141504Z - 15 min.)",
        0,
        "8 h 52 min behind",
    ),
    (
        "RequestExpired",
        "Request has expired. Timestamp date is 2026-11-25T15:22:35Z. Current date is 2026-11-25T14:00:04Z",
        0,
        "1 h 23 min ahead",
    ),
    ("SignatureDoesNotMatch", "Signature not yet current: 1 is still later than 2", 0, "clock is wrong"),
    ("RequestExpired", "Request has expired.", 0, ""),
    ("AuthFailure", "AWS was not able to validate the provided access credentials", 0, ""),
    ("VpcLimitExceeded", "No.", 10_000, ""),
]


@pytest.mark.parametrize(("code", "message", "ahead", "words"), CLOCKS)
def test_a_wrong_clock_is_named_with_its_amount(code: str, message: str, ahead: float, words: str) -> None:
    """The Date of AWS's answer shows it; a right clock leaves the credentials as the cause."""
    said = clock_error(code, message, {"date": formatdate(time.time() - ahead, usegmt=True)})
    assert words in said
    assert bool(words) == bool(said)


def test_an_answer_without_a_date_says_nothing_of_the_clock() -> None:
    """A proxy's answer may have no Date, or a broken one."""
    assert clock_error("RequestExpired", "", {}) == ""
    assert clock_error("RequestExpired", "", {"date": "yesterday"}) == ""


def test_unknown_keys_may_be_a_region_that_is_not_enabled() -> None:
    """In me-south-1 the region may be the cause, and the step enables it; us-east-1 is always enabled."""
    assert "aws account enable-region --region-name me-south-1" in keys_hint("me-south-1")
    assert keys_hint("us-east-1") == keys_hint("eu-west-3") == "Check `aws sts get-caller-identity`."
