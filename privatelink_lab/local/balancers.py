"""Load balancers as NLBs are: slow to become active, and targets slower to become healthy."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.models import ec2_backends
from moto.elbv2.exceptions import (
    DuplicateListenerError,
    DuplicateLoadBalancerName,
    DuplicateTargetGroupName,
    LoadBalancerNotFoundError,
    ResourceInUseError,
    TargetGroupNotFoundError,
)
from moto.elbv2.models import FakeHealthStatus, FakeListener, FakeLoadBalancer, FakeTargetGroup
from moto.elbv2.responses import ELBV2Response

from privatelink_lab.local.world import World, settings_of


class Balancer(FakeLoadBalancer):
    """A load balancer that is not activated by a look at it."""

    def activate(self) -> None:
        """Called by moto in every describe. Here time does it."""


class LocalElb(ELBV2Response):
    """ELBv2 with idempotent creates, provisioning, target health and the refusals of a service."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def create_load_balancer(self) -> ActionResult:
        """The balancer, `provisioning`; the same name and settings give the same one again.

        ELBv2 has no client token: other settings under a name in use are
        `DuplicateLoadBalancerName`.
        """
        named = self._named(self.elbv2_backend.load_balancers.values())
        if named is None:
            named = self._make_balancer()
        elif self.world.asked[named.arn] != settings_of(self):
            raise DuplicateLoadBalancerName
        return ActionResult({"LoadBalancers": [named]})

    def create_target_group(self) -> ActionResult:
        """The target group; as with balancers, the same settings give the same one again."""
        named = self._named(self.elbv2_backend.target_groups.values())
        if named is None:
            made: Any = super().create_target_group().result
            named = made["TargetGroups"][0]
            self.world.asked[named.arn] = settings_of(self)
        elif self.world.asked[named.arn] != settings_of(self):
            raise DuplicateTargetGroupName
        return ActionResult({"TargetGroups": [named]})

    def create_listener(self) -> ActionResult:
        """The listener; the same settings give the same one, others `DuplicateListener`."""
        balancer = self._balancer()
        port = self._get_param("Port")
        listener = next((each for each in balancer.listeners.values() if each.port == port), None)
        if listener is None:
            made: Any = super().create_listener().result
            listener = made["Listeners"][0]
            self.world.asked[listener.arn] = settings_of(self)
            self.world.note("listening", listener.arn)
        elif self.world.asked[listener.arn] != settings_of(self):
            raise DuplicateListenerError
        return ActionResult({"Listeners": [listener]})

    def describe_load_balancers(self) -> ActionResult:
        """Those that were asked for; one missing name or ARN is `LoadBalancerNotFound` for the whole."""
        known = self.elbv2_backend.load_balancers.values()
        names = {each.name for each in known} | {each.arn for each in known}
        asked = {*self._get_param("Names", []), *self._get_param("LoadBalancerArns", [])}
        if asked - names:  # moto forgives all missing ones but the first
            raise LoadBalancerNotFoundError
        return super().describe_load_balancers()

    def delete_load_balancer(self) -> ActionResult:
        """Nothing; `ResourceInUse` while an endpoint service holds the balancer."""
        arn = self._get_param("LoadBalancerArn")
        services = ec2_backends[self.current_account][self.region].configurations.values()
        if any(arn in each.network_load_balancer_arns for each in services):
            raise ResourceInUseError(f"Load balancer '{arn}' is currently associated with another service")
        answer = super().delete_load_balancer()
        self._relink()
        return answer

    def delete_listener(self) -> ActionResult:
        """Nothing; its target group is free, and its targets are no longer in use."""
        answer = super().delete_listener()
        self._relink()
        return answer

    def register_targets(self) -> ActionResult:
        """Nothing; an instance that is not running is `InvalidTarget`. A repeat is harmless."""
        answer = super().register_targets()
        for target in self._get_param("Targets", []):
            self.world.note("registered", self._get_param("TargetGroupArn"), target["Id"])
        return answer

    def deregister_targets(self) -> ActionResult:
        """Nothing; a target that is not registered is no error on AWS, but is one in moto."""
        group = self._group()
        targets = [each for each in self._get_param("Targets", []) if each["Id"] in group.targets]
        self.elbv2_backend.deregister_targets(group.arn, targets)
        for target in targets:
            self.world.forget("registered", group.arn, target["Id"])
        return ActionResult({})

    def describe_target_health(self) -> ActionResult:
        """One row per registered or asked-for target; unused, initial or healthy, and why."""
        group = self._group()
        asked = self._get_param("Targets", []) or list(group.targets.values())
        rows = [self._health(group, group.health_for(each, self._ec2)) for each in asked]
        return ActionResult({"TargetHealthDescriptions": rows})

    @property
    def _ec2(self) -> Any:
        return ec2_backends[self.current_account][self.region]

    def _named(self, things: Any) -> Any:
        name = self._get_param("Name")
        return next((each for each in things if each.name == name), None)

    def _balancer(self) -> FakeLoadBalancer:
        found = self.elbv2_backend.load_balancers.get(self._get_param("LoadBalancerArn"))
        if found is None:
            raise LoadBalancerNotFoundError
        return found

    def _group(self) -> FakeTargetGroup:
        found = self.elbv2_backend.target_groups.get(self._get_param("TargetGroupArn"))
        if found is None:
            raise TargetGroupNotFoundError
        return found

    def _make_balancer(self) -> FakeLoadBalancer:
        made: Any = super().create_load_balancer().result
        balancer: FakeLoadBalancer = made["LoadBalancers"][0]
        balancer.__class__ = Balancer  # type: ignore[type-abstract]  # moto's own are as abstract
        if balancer.type == "network":
            self._name_as_nlb(balancer)
        self.world.asked[balancer.arn] = settings_of(self)
        self.world.agenda.after("balancer_active", lambda: self._activate(balancer))
        return balancer

    def _name_as_nlb(self, balancer: FakeLoadBalancer) -> None:
        backend, old = self.elbv2_backend, balancer.arn
        balancer.arn = old.replace("loadbalancer/app/", "loadbalancer/net/")
        number = balancer.arn.rpartition("/")[2]
        balancer.dns_name = f"{balancer.name}-{number}.elb.{self.region}.amazonaws.com"
        del backend.load_balancers[old]
        backend.load_balancers[balancer.arn] = balancer
        backend.tagging_service.copy_tags(old, balancer.arn)
        backend.tagging_service.delete_all_tags_for_resource(old)

    def _activate(self, balancer: FakeLoadBalancer) -> None:
        balancer.state = "active"
        self.world.note("active", balancer.arn)

    def _relink(self) -> None:
        """Take gone listeners' balancers out of the target groups; moto never does."""
        balancers = self.elbv2_backend.load_balancers.values()
        for group in self.elbv2_backend.target_groups.values():
            group.load_balancer_arns = [
                balancer.arn
                for balancer in balancers
                if any(forwards(each, group.arn) for each in balancer.listeners.values())
            ]

    def _health(self, group: FakeTargetGroup, row: FakeHealthStatus) -> FakeHealthStatus:
        if row.instance_id not in group.targets:
            return row
        row.status, row.reason, row.description = self._verdict(group, row.instance_id)
        return row

    def _verdict(self, group: FakeTargetGroup, target: str) -> tuple[str, str | None, str | None]:
        instance = self._ec2.get_instance_by_id(target)
        if instance is not None and instance.state != "running":
            return "unused", "Target.InvalidState", f"Target is in the {instance.state} state"
        served = self._served_since(group)
        if served is None:
            return "unused", "Target.NotInUse", "Target group is not configured to receive traffic"
        since = self.world.since
        begun = [served, since[("registered", group.arn, target)]]
        begun.append(since.get(("running", target), 0.0))
        agenda = self.world.agenda
        if agenda.now() < max(begun) + agenda.clock.delay("target_healthy"):
            return "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
        return "healthy", None, None

    def _served_since(self, group: FakeTargetGroup) -> float | None:
        """When a listener of an active balancer first forwarded to the group; None: none does.

        Infinity while the balancer is not active yet.
        """
        since = self.world.since
        moments = [
            max(since.get(("active", balancer.arn), float("inf")), since[("listening", arn)])
            for balancer in self.elbv2_backend.load_balancers.values()
            for arn, listener in balancer.listeners.items()
            if forwards(listener, group.arn)
        ]
        return min(moments, default=None)


def forwards(listener: FakeListener, group_arn: str) -> bool:
    """Whether a listener's default action sends traffic to a target group."""
    for action in listener.default_actions:
        weighted = action.data.get("ForwardConfig", {}).get("TargetGroups", [])
        arns = {action.data.get("TargetGroupArn"), *(each["TargetGroupArn"] for each in weighted)}
        if group_arn in arns:
            return True
    return False
