"""Step 3: the TCP target group and the registration of the web server in it.

A target stays `unused` until a listener forwards to its group and the balancer is active, so health belongs to the
registration, which waits for it and gates nothing (AWS facts 4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.aws import Account, errors_by_id
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Patience, Phase, Resource, ResourceType, Step, Token, rebuilt_from
from privatelink_lab.resource_key import make_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._security_group import ingress_key
from privatelink_lab.steps._vpc import vpc_id, vpc_of
from privatelink_lab.steps.web_server import KEY as WEB_SERVER

KEY = "provider/target-group"
REGISTRATION = f"{KEY}/registration"
INGRESS = ingress_key(PROVIDER)  # without it the health checks time out
LISTENER = "provider/nlb/listener"  # of the next step; without it a target stays unused
KIND = Kind(
    "target-group",
    "describe_target_groups",
    "TargetGroups",
    "TargetGroupArn",
    provider_only=True,
    fixed=("TargetGroupName", "VpcId", "Protocol", "Port", "TargetType"),
    delete="delete-target-group --target-group-arn",
)
HEALTH = {
    "initial": Phase.PENDING,
    "healthy": Phase.READY,
    "unhealthy": Phase.PENDING,
    "unused": Phase.PENDING,
    "unavailable": Phase.PENDING,
}
NOT_REGISTERED = {"draining", "unhealthy.draining"}  # deregistered by hand: registering again is harmless
# AWS's defaults (30 s, five times) would keep a lab waiting for two and a half minutes.
HEALTH_CHECK: Any = {
    "HealthCheckProtocol": "TCP",
    "HealthCheckPort": "traffic-port",
    "HealthCheckIntervalSeconds": 5,
    "HealthCheckTimeoutSeconds": 2,
    "HealthyThresholdCount": 2,
    "UnhealthyThresholdCount": 2,
}
ATTRIBUTES = {  # AWS's defaults, on which the path stands: a plain web server reads no proxy protocol
    "proxy_protocol_v2.enabled": "false",
    "preserve_client_ip.enabled": "true",
}


# The group.


def _read_group(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    return Found(row["TargetGroupArn"], Phase.READY, "in place")


@calls(
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:ModifyTargetGroup",
    "elasticloadbalancing:ModifyTargetGroupAttributes",
)
def _compare_group(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    arn, elbv2 = row["TargetGroupArn"], lab.provider.elbv2
    present = _attributes(lab.provider, snapshot, arn)

    def check(name: str, value: Any) -> Callable[[], object]:
        return lambda: elbv2.modify_target_group(TargetGroupArn=arn, **{name: value})

    def put(key: str, value: str) -> Callable[[], object]:
        attributes: Any = [{"Key": key, "Value": value}]
        return lambda: elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=attributes)

    return [
        Attribute("port", row["Port"], lab.config.provider.web_server.port, asked_by=CONFIG),
        *(Attribute(_words(name), row.get(name), value, check(name, value)) for name, value in HEALTH_CHECK.items()),
        *(Attribute(key, present.get(key), value, put(key, value)) for key, value in ATTRIBUTES.items()),
    ]


def _words(name: str) -> str:
    """HealthCheckIntervalSeconds as words."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


def _attributes(account: Account, snapshot: Snapshot, arn: str) -> dict[str, str]:
    def fetch() -> dict[str, str]:
        rows = account.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        return {row["Key"]: row["Value"] for row in rows}

    return snapshot.of_parent(account, "target-group-attributes", arn, fetch)


@calls("elasticloadbalancing:CreateTargetGroup")
def _create_group(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    snapshot.refuse_namesake(lab.provider, resource)
    request: dict[str, Any] = {
        "Protocol": "TCP",
        "Port": lab.config.provider.web_server.port,
        "VpcId": vpc_id(lab, snapshot, PROVIDER),
        "TargetType": "instance",
    }
    created = lab.provider.elbv2.create_target_group(
        **request,
        Name=lab.name,
        **HEALTH_CHECK,
        Tags=lab.tags(resource, TargetGroupName=lab.name, **request),
    )
    # The answer may be an existing group (AWS facts 4): the next snapshot shows whose tag it bears.
    return Found(created["TargetGroups"][0]["TargetGroupArn"], Phase.PENDING, "created")


@calls("elasticloadbalancing:DeleteTargetGroup")
def _delete_groups(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda arn: account.elbv2.delete_target_group(TargetGroupArn=arn))


# The registration.


@calls("elasticloadbalancing:DescribeTargetHealth")
def _find_registration(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    group, instance = snapshot.id(KEY), snapshot.id(WEB_SERVER)
    if not group or not instance:
        return ()
    found = tuple(
        _found_target(target)
        for target in _health(lab.provider, snapshot, group)
        if target["Target"]["Id"] == instance and target["TargetHealth"]["State"] not in NOT_REGISTERED
    )
    return found[:1]


def _health(account: Account, snapshot: Snapshot, group: str) -> list[Any]:
    def fetch() -> list[Any]:
        return list(account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"])

    return snapshot.of_parent(account, "target-health", group, fetch)


def _found_target(target: Any) -> Found:
    health = target["TargetHealth"]
    state, reason = health["State"], health.get("Reason", "")
    detail = f"{state} ({reason})" if reason else state
    return Found(target["Target"]["Id"], HEALTH.get(state, Phase.FAILED), detail)


@calls("elasticloadbalancing:RegisterTargets")
def _register(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    group, instance = snapshot.id(KEY) or "", snapshot.id(WEB_SERVER) or ""
    lab.provider.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    return Found(instance, Phase.PENDING, "registered")


TARGET_GROUP_TYPE = ResourceType(
    "target group",
    KIND,
    read=_read_group,
    create=_create_group,
    delete=_delete_groups,
    compare=_compare_group,
    retryable=frozenset({"DuplicateTargetGroupName"}),
)
TARGET_TYPE = ResourceType(
    "target",
    find=_find_registration,
    create=_register,
    goes_with_parent=True,
    is_explained=True,
    retryable=frozenset({"InvalidTarget", "TargetGroupNotFound"}),
    patience=Patience(timeout=1200),  # a slow balancer takes eight minutes, and health four more
)


def _own(lab: Lab) -> tuple[Resource, ...]:
    vpc = vpc_of(lab, PROVIDER)
    group = Resource(KEY, TARGET_GROUP_TYPE, depends_on=() if vpc and vpc.reused else (make_key(PROVIDER, "vpc"),))
    needs, after = (KEY, WEB_SERVER), (LISTENER, INGRESS)
    registration = Resource(REGISTRATION, TARGET_TYPE, depends_on=needs, ready_after=after)
    return (group, registration)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return _own(lab) if lab.config.provider.has_network else ()


STEP = Step("target group", _resources, rebuilt_from(_own), kinds=(KIND,))
