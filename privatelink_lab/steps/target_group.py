"""Step 3: the TCP target group and the registration of the web server in it.

A target stays `unused` until a listener forwards to its group and the balancer is active, so health belongs to the
registration, which waits for it and gates nothing.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab.aws import Account, each
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row
from privatelink_lab.resource import Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.steps.vpc import vpc_id, vpc_of
from privatelink_lab.steps.web_server import KEY as WEB_SERVER

KEY = "provider/target-group"
REGISTRATION = f"{KEY}/registration"
INGRESS = "provider/security-group/ingress"  # without it the health checks time out
LISTENER = "provider/nlb/listener"  # of the next step; without it a target stays unused
HEALTH = {
    "initial": Phase.PENDING,
    "healthy": Phase.READY,
    "unhealthy": Phase.PENDING,
    "unused": Phase.PENDING,
    "unavailable": Phase.PENDING,
}
NOT_REGISTERED = {"draining", "unhealthy.draining"}  # deregistered by hand: registering again is harmless


# The group.


def _find_group(lab: Lab, look: Look) -> tuple[Found, ...]:
    port = lab.config.provider.web_server.port
    return tuple(_found_group(row, port) for row in look.keyed(lab.provider, "target-group", KEY))


def _found_group(row: Row, port: int) -> Found:
    if row["Port"] != port:
        return Found(row["TargetGroupArn"], Phase.FAILED, f"has port {row['Port']}, the config says {port}")
    return Found(row["TargetGroupArn"], Phase.READY, "in place")


def _create_group(lab: Lab, look: Look, token: Token) -> str:
    look.refuse_namesake(lab.provider, "target-group", "target group")
    groups = lab.provider.elbv2.create_target_group(
        Name=lab.name,
        Protocol="TCP",
        Port=lab.config.provider.web_server.port,
        VpcId=vpc_id(lab, look, PROVIDER),
        TargetType="instance",
        # AWS's defaults (30 s, five times) would keep a lab waiting for two and a half minutes.
        HealthCheckProtocol="TCP",
        HealthCheckIntervalSeconds=5,
        HealthCheckTimeoutSeconds=2,
        HealthyThresholdCount=2,
        UnhealthyThresholdCount=2,
        Tags=lab.tags(KEY),
    )
    return groups["TargetGroups"][0]["TargetGroupArn"]


def _delete_groups(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return each(ids, lambda arn: account.elbv2.delete_target_group(TargetGroupArn=arn))


# The registration.


def _find_registration(lab: Lab, look: Look) -> tuple[Found, ...]:
    group, instance = look.id(KEY), look.id(WEB_SERVER)
    if not group or not instance:
        return ()
    found = tuple(
        _found_target(target)
        for target in _health(lab.provider, look, group)
        if target["Target"]["Id"] == instance and target["TargetHealth"]["State"] not in NOT_REGISTERED
    )
    return found[:1]


def _health(account: Account, look: Look, group: str) -> list[Any]:
    def ask() -> list[Any]:
        return list(account.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"])

    return look.of_parent(account, "target-health", group, ask)


def _found_target(target: Any) -> Found:
    health = target["TargetHealth"]
    state, reason = health["State"], health.get("Reason", "")
    detail = f"{state} ({reason})" if reason else state
    return Found(target["Target"]["Id"], HEALTH.get(state, Phase.FAILED), detail)


def _register(lab: Lab, look: Look, token: Token) -> str:
    group, instance = look.id(KEY) or "", look.id(WEB_SERVER) or ""
    lab.provider.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    return instance


def _resources(lab: Lab) -> tuple[Resource, ...]:
    vpc = vpc_of(lab, PROVIDER)
    inside = () if vpc and vpc.reused else ("provider/vpc",)
    return (
        Resource(KEY, "target group", inside, _find_group, _create_group, delete=_delete_groups),
        Resource(
            key=REGISTRATION,
            noun="target",
            needs=(KEY, WEB_SERVER),
            find=_find_registration,
            create=_register,
            patience=Patience(timeout=1200),  # a slow balancer takes eight minutes, and health four more
            awaits=(LISTENER, INGRESS),
        ),
    )


STEP = Step("target group", _resources)
