"""What helps against a refusal of AWS: one table of its codes, of what its sentence says, and of the next step.

AWS's own sentence is never replaced. Where no row fits there is no hint: a wrong one is worse than none.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})
_CLOCK = frozenset({"SignatureDoesNotMatch", "RequestExpired", "RequestTimeTooSkewed", "AuthFailure"})
_BOTH_TIMES = (  # the time of the request and AWS's own, in sentences of STS and of EC2
    r"(?P<ours>\d{8}T\d{6}Z) is (?:now earlier|still later) than .*\((?P<theirs>\d{8}T\d{6}Z) [-+]",
    r"Timestamp date is (?P<ours>\S+Z)\. Current date is (?P<theirs>\S+Z)",
)
_SKEW = 240  # seconds: AWS accepts five minutes
_MINUTE, _HOUR = 60, 3600
_IAM_PREFIXES = {"elbv2": "elasticloadbalancing"}
# Regions that every account has; the others have to be enabled (AWS's page on Regions).
_ALWAYS_ENABLED = re.compile(
    r"(us-(east|west)-[12]|ca-central-1|sa-east-1|eu-(central-1|north-1|west-[123])|ap-south-1"
    r"|ap-(northeast-[123]|southeast-[12])|cn-.*|us-gov-.*)"
)


@dataclass(frozen=True)
class Row:
    """Codes of AWS, what its sentence must say (a pattern), and the step, which may use the pattern's named groups."""

    codes: frozenset[str]
    says: str
    step: str


def _row(codes: str, step: str, says: str = "") -> Row:
    return Row(frozenset(codes.split()), says, step)


def _quota(code: str, quota: str, instead: str) -> Row:
    service, number = quota.split()
    shown = f"aws service-quotas get-service-quota --service-code {service} --quota-code {number}"
    return _row(code, f"{instead}. Or ask AWS to raise the quota {number}; this shows it: {shown}")


ROWS = (
    _row(
        " ".join(DENIED),
        "Another account shares this VPC with yours, and may do that in it. Use a VPC that your account owns.",
        r"\bshared\b.* not owned by you",
    ),
    _row(
        " ".join(DENIED),
        "An organization's policy (SCP) forbids {action}. A right of this caller does not help; whoever manages the "
        "organization can allow it. If it demands tags, add them: `tags:` in the config.",
        r"perform: (?P<action>[\w-]+:\w+).* explicit deny in a service control policy",
    ),
    _row(
        " ".join(DENIED),
        "A permissions boundary of this caller forbids {action}; whoever set it can allow it.",
        r"perform: (?P<action>[\w-]+:\w+).*permissions boundary",
    ),
    _row(
        " ".join(DENIED),
        "A session policy forbids {action}: the session was opened with less than its role allows.",
        r"perform: (?P<action>[\w-]+:\w+).*session policy",
    ),
    _row(
        "AccessDenied",
        "Two policies must allow it: one of the caller allows sts:AssumeRole for that role, and the trust policy of "
        "the role names the caller.",
        r"perform: sts:AssumeRole",
    ),
    _row(
        " ".join(DENIED),
        "Allow the action {action} to this caller. All actions: plab iam-policy --help",
        r"perform: (?P<action>[\w-]+:\w+)",
    ),
    _quota("VpcLimitExceeded", "vpc L-F678F1CE", "Delete a VPC, or reuse one (`vpc: {{id: ...}}` in the config)"),
    _quota("SubnetLimitExceeded", "vpc L-407747CB", "Use another VPC, or fewer `zones`"),
    _quota("SecurityGroupLimitExceeded", "vpc L-E79EC296", "Delete a security group"),
    _quota("VpcEndpointLimitExceeded", "vpc L-29B6F2EB", "Use another VPC, or delete an endpoint in this one"),
    _quota("VcpuLimitExceeded", "ec2 L-1216C47A", "Choose a smaller `instance_type`, or end an instance"),
    _quota("TooManyLoadBalancers", "elasticloadbalancing L-69A177A2", "Delete a load balancer"),
    _quota("TooManyTargetGroups", "elasticloadbalancing L-B22855CB", "Delete a target group"),
    _row(
        "InsufficientInstanceCapacity",
        "Try again later. Or choose another `instance_type`, or other zones (`zones: [ZONE_ID]`), in the config; "
        "if the subnets are there already, then: plab up --replace provider/subnet-1",
    ),
    _row(
        "Unsupported",
        "Choose another `instance_type` in the config, or another region.",
        r"instance type .* not supported",
    ),
    _row(
        "PendingVerification OptInRequired",
        "AWS has to verify this account first; that takes minutes to hours. Its mail says what to do.",
        r"(?i)verif",
    ),
    _row(
        "OperationNotPermitted",
        "aws elbv2 modify-load-balancer-attributes --load-balancer-arn {arn} "
        "--attributes Key=deletion_protection.enabled,Value=false",
        r"(?P<arn>arn:\S+:loadbalancer/[\w/-]+).*deletion protection",
    ),
    _row(
        "OperationNotPermitted",
        "aws ec2 modify-instance-attribute --instance-id {id} --no-disable-api-termination",
        r"(?P<id>i-[0-9a-f]+).*disableApiTermination",
    ),
    _row(
        "TagPolicyViolation",
        "An organization's tag policy forbids this tag. For a tag of plab, whoever manages the organization can allow "
        "it; your own are under `tags:` in the config.",
    ),
    _row(
        "ForbiddenException",
        "The account and the role of this SSO profile are not assigned to you: check `sso_account_id` and "
        "`sso_role_name`, or ask for access.",
    ),
    _row(
        "RegionDisabledException",
        "STS is switched off for that region in the role's account: its administrator can switch it on.",
    ),
)


def next_step(code: str, message: str, *, service: str, operation: str) -> str:
    """The step of the first row that fits; '' where none does. A denied action that AWS does not name is the call's."""
    for row in ROWS:
        found = re.search(row.says, message, re.DOTALL)
        if code in row.codes and found:
            return row.step.format(**found.groupdict())
    if code in DENIED:
        prefix = "sts" if operation == "AssumeRole" else _IAM_PREFIXES.get(service, service)
        return f"Allow the action {prefix}:{operation} to this caller. All actions: plab iam-policy --help"
    return ""


def clock_error(code: str, message: str, headers: Mapping[str, str]) -> str:
    """How wrong this machine's clock is, by AWS's sentence or its answer's Date; '' where they say nothing of it."""
    if code not in _CLOCK:
        return ""
    ahead = _ahead_by_sentence(message) or _ahead_by_date(headers.get("date", ""))
    if abs(ahead) > _SKEW:
        hours, minutes = divmod(round(abs(ahead) / _MINUTE), _HOUR // _MINUTE)
        amount = f"{hours} h {minutes} min" if hours else f"{minutes} min"
        return f"This machine's clock is {amount} {'ahead' if ahead > 0 else 'behind'}"
    return "This machine's clock is wrong" if re.match(r"Signature (expired|not yet current)", message) else ""


def _ahead_by_sentence(message: str) -> float:
    """Seconds by which the time of the request is ahead of the time that AWS's sentence names; 0 for none."""
    found = next(filter(None, (re.search(pattern, message) for pattern in _BOTH_TIMES)), None)
    if found is None:
        return 0.0
    try:
        ours, theirs = (datetime.fromisoformat(found[name]) for name in ("ours", "theirs"))
    except ValueError:
        return 0.0
    return (ours - theirs).total_seconds()


def _ahead_by_date(date: str) -> float:
    try:
        return time.time() - parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return 0.0


def keys_hint(region: str) -> str:
    """What to check where AWS does not know the keys: also the region, since one that is not enabled knows none."""
    if not region or _ALWAYS_ENABLED.fullmatch(region):
        return "Check `aws sts get-caller-identity`."
    return (
        f"If `aws sts get-caller-identity --region us-east-1` works, {region} is not enabled for the account: "
        f"aws account enable-region --region-name {region}"
    )
