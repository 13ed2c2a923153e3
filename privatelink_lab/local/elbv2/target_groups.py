"""Target groups, and the targets that are registered with them."""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.elbv2.exceptions import (
    DuplicateTargetGroupName,
    ELBClientError,
    InvalidTargetError,
    ResourceInUseError,
    TargetGroupNotFoundError,
    TargetNotRunning,
)
from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup

from privatelink_lab.local.api.server_state import Fact, Wait
from privatelink_lab.local.elbv2.elbv2_call_base import ElbCall
from privatelink_lab.local.elbv2.target_health import target_health

MOST_PORTS = 65535
_NETWORK = frozenset({"TCP", "UDP", "TCP_UDP", "TLS"})
"""The protocols of target groups of network load balancers."""


class TargetGroups(ElbCall):
    """Create, describe and delete target groups; register targets and describe their health."""

    def create_target_group(self) -> ActionResult:
        """The target group; the same name and settings give the same one again."""
        self._check_health_port()
        found = self.find_named(self.elbv2_backend.target_groups.values())
        if found is None:
            made: Any = super().create_target_group().result
            found = made["TargetGroups"][0]
            if found.protocol in _NETWORK and found.health_check_protocol != "TCP" and not self._get_param("Matcher"):
                found.matcher = {"HttpCode": "200-399"}  # moto has 200, as for application load balancers
            self.world.settings[found.arn] = self.settings()
        elif self.world.settings[found.arn] != self.settings():
            raise DuplicateTargetGroupName
        return ActionResult({"TargetGroups": [found]})

    def modify_target_group(self) -> ActionResult:
        """Change the health check of a target group."""
        self._check_health_port()
        return super().modify_target_group()

    def _check_health_port(self) -> None:
        port = self._get_param("HealthCheckPort") or "traffic-port"
        is_number = re.fullmatch("[1-9][0-9]{0,4}", port) and int(port) <= MOST_PORTS
        if port != "traffic-port" and not is_number:
            text = f"Health check port '{port}' must be 'traffic-port' or in the range 1-{MOST_PORTS}"
            raise ELBClientError("ValidationError", text)

    def describe_target_groups(self) -> ActionResult:
        """The requested target groups; an unknown name is `TargetGroupNotFound`."""
        names = {group.name for group in self.elbv2_backend.target_groups.values() if self.world.is_visible(group.arn)}
        if set(self._get_param("Names", [])) - names:
            raise TargetGroupNotFoundError
        return super().describe_target_groups()

    def delete_target_group(self) -> ActionResult:
        """Delete a target group; `ResourceInUse` while a listener uses it, and for a moment after that."""
        arn = self._get_param("TargetGroupArn")
        if not self.world.is_due(Wait.UNLOCKED, arn):
            raise ResourceInUseError(f"The target group '{arn}' is currently in use by a listener or a rule")
        return super().delete_target_group()

    def register_targets(self) -> ActionResult:
        """Register targets; an instance that is not running, unknown or in another VPC is `InvalidTarget`."""
        group, targets = self._group(), self._get_param("Targets", [])
        for target in targets:
            instance = self.ec2.get_instance_by_id(target["Id"]) if group.target_type == "instance" else None
            if group.target_type == "instance" and (instance is None or instance.vpc_id != group.vpc_id):
                raise InvalidTargetError
            if instance is not None and instance.state != "running":  # moto would register the targets before it
                raise TargetNotRunning(target["Id"])
        answer = super().register_targets()
        for target in targets:
            self.world.record(Fact.REGISTERED, group.arn, target["Id"])
            self.world.forget(Fact.FAILING, group.arn, target["Id"])
            if self.world.faults.strike("target-fails"):
                self.world.record(Fact.FAILING, group.arn, target["Id"])
        return answer

    def deregister_targets(self) -> ActionResult:
        """Deregister targets; an unregistered target is no error on AWS, only in moto."""
        group = self._group()
        targets = [row for row in self._get_param("Targets", []) if row["Id"] in group.targets]
        self.elbv2_backend.deregister_targets(group.arn, targets)
        for target in targets:
            self.world.forget(Fact.REGISTERED, group.arn, target["Id"])
            self.world.forget(Fact.FAILING, group.arn, target["Id"])
        return ActionResult({})

    def describe_target_health(self) -> ActionResult:
        """One row per requested or registered target: unused, initial, healthy or unhealthy, and the reason."""
        group = self._group()
        targets = self._get_param("Targets", []) or list(group.targets.values())
        rows = [self._health(group, group.health_for(target, self.ec2)) for target in targets]
        return ActionResult({"TargetHealthDescriptions": rows})

    def _group(self) -> FakeTargetGroup:
        found = self.elbv2_backend.target_groups.get(self._get_param("TargetGroupArn"))
        if found is None:
            raise TargetGroupNotFoundError
        return found

    def _health(self, group: FakeTargetGroup, row: FakeHealthStatus) -> FakeHealthStatus:
        if row.instance_id not in group.targets:
            return row
        row.status, row.reason, row.description = target_health(self.world, self.ec2, group, row.instance_id)
        return row
