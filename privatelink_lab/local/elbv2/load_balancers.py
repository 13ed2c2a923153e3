"""Load balancers: slow to become active, in use by endpoint services, and outlived by their interfaces."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError, InvalidSubnetIdError
from moto.elbv2.exceptions import (
    DuplicateLoadBalancerName,
    ELBClientError,
    LoadBalancerNotFoundError,
    ResourceInUseError,
    SubnetNotFoundError,
)
from moto.elbv2.models import FakeLoadBalancer

from privatelink_lab.local.api.server_state import Fact
from privatelink_lab.local.ec2.interfaces import (
    ManagedInterface,
    delete_managed_interfaces,
    nodes_of,
    require_free_addresses,
)
from privatelink_lab.local.elbv2.elbv2_call_base import ElbCall
from privatelink_lab.local.elbv2.forwarding import is_deleted

_NAME = re.compile(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_ENFORCE = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"


class LoadBalancer(FakeLoadBalancer):
    """A load balancer that time activates, not a describe; its security groups may ignore PrivateLink traffic."""

    enforcement = "on"

    @property
    def enforce_security_group_inbound_rules_on_private_link_traffic(self) -> str | None:
        """`on` or `off`: whether the groups' rules apply to PrivateLink traffic; None without groups."""
        return self.enforcement if self.security_groups else None

    def activate(self) -> None:
        """Do nothing: moto calls this in every describe; here a transition activates."""

    @property
    def arn_suffix(self) -> str:
        """`net/NAME/NUMBER`: the end of its ARN; the description of its interfaces ends with it."""
        return str(self.arn.partition(":loadbalancer/")[2])


class LoadBalancers(ElbCall):
    """Create, describe, change and delete load balancers."""

    def create_load_balancer(self) -> ActionResult:
        """The load balancer, `provisioning`; the same name and settings give the same one again.

        ELBv2 has no client token: other settings under a name in use are
        `DuplicateLoadBalancerName`.
        """
        living = [
            balancer for balancer in self.elbv2_backend.load_balancers.values() if not is_deleted(self.world, balancer)
        ]
        found = self.find_named(living)
        if found is None:
            found = self._make()
        elif self.world.settings[found.arn] != self.settings():
            raise DuplicateLoadBalancerName
        return ActionResult({"LoadBalancers": [found]})

    def describe_load_balancers(self) -> ActionResult:
        """The requested load balancers; one unknown name or ARN makes the whole call `LoadBalancerNotFound`."""
        known = [
            balancer for balancer in self.elbv2_backend.load_balancers.values() if self.world.is_visible(balancer.arn)
        ]
        names = {balancer.name for balancer in known} | {balancer.arn for balancer in known}
        requested = {*self._get_param("Names", []), *self._get_param("LoadBalancerArns", [])}
        if requested - names:  # moto checks only the first one
            raise LoadBalancerNotFoundError
        return super().describe_load_balancers()

    def set_subnets(self) -> ActionResult:
        """The zones; subnets can be added to an NLB, not removed."""
        balancer = self.balancer()
        if balancer.type != "network":
            return super().set_subnets()
        subnets = self._subnets()
        before = {subnet.id for subnet in balancer.subnets}
        if not before <= {subnet.id for subnet in subnets}:
            raise ELBClientError(
                "InvalidConfigurationRequest", "A subnet cannot be removed from a Network Load Balancer"
            )
        self._place(balancer, [subnet for subnet in subnets if subnet.id not in before])
        balancer.subnets = subnets
        return ActionResult({"AvailabilityZones": balancer.availability_zones})

    def set_security_groups(self) -> ActionResult:
        """The security groups; an NLB that was created without groups cannot get any."""
        balancer = self.balancer()
        if balancer.type == "network" and not balancer.security_groups:
            text = "You cannot set security groups on a Network Load Balancer that was created without them"
            raise ELBClientError("InvalidConfigurationRequest", text)
        super().set_security_groups()
        balancer.enforcement = self._get_param(_ENFORCE) or balancer.enforcement
        groups = [self.ec2.get_security_group_from_id(group_id) for group_id in balancer.security_groups]
        for interface in nodes_of(self.ec2, balancer):
            interface._group_set = groups
        return ActionResult({"SecurityGroupIds": balancer.security_groups, _ENFORCE: balancer.enforcement})

    def delete_load_balancer(self) -> ActionResult:
        """Delete a load balancer; `ResourceInUse` while an endpoint service uses it. It is listed for a moment more."""
        arn = self._get_param("LoadBalancerArn")
        balancer = self.elbv2_backend.load_balancers.get(arn)
        if balancer is None or is_deleted(self.world, balancer):
            return ActionResult({})
        if balancer.attrs.get("deletion_protection.enabled") == "true":
            raise ELBClientError("OperationNotPermitted", f"Load balancer '{arn}' has deletion protection enabled")
        if any(arn in service.network_load_balancer_arns for service in self.ec2.configurations.values()):
            raise ResourceInUseError(f"Load balancer '{arn}' is currently associated with another service")
        self.world.record(Fact.BALANCER_DELETED, arn)
        self.world.scheduler.after("balancer_deleted", lambda: self._remove(balancer))
        return ActionResult({})

    def _make(self) -> FakeLoadBalancer:
        if not _NAME.fullmatch(self._get_param("Name") or ""):
            text = (
                "A name has 1 to 32 letters, digits and hyphens, no hyphen at its ends, and no internal- at its start"
            )
            raise ELBClientError("ValidationError", text)
        is_network = self._get_param("Type") == "network"
        subnets = self._subnets() if is_network else []
        for group_id in self._get_param("SecurityGroups", []):
            if self.ec2.get_security_group_from_id(group_id) is None:
                raise ELBClientError("InvalidSecurityGroup", f"Security group {group_id} does not exist")
        made: Any = super().create_load_balancer().result
        balancer: FakeLoadBalancer = made["LoadBalancers"][0]
        balancer.__class__ = LoadBalancer  # type: ignore[type-abstract]  # moto's own are as abstract
        if is_network:
            self._make_network(balancer)
            self._place(balancer, subnets)
        self.world.settings[balancer.arn] = self.settings()
        self.world.scheduler.after("balancer_active", lambda: self._activate(balancer))
        return balancer

    def _make_network(self, balancer: Any) -> None:
        backend, old = self.elbv2_backend, balancer.arn
        balancer.arn = old.replace("loadbalancer/app/", "loadbalancer/net/")
        number = balancer.arn.rpartition("/")[2]
        balancer.dns_name = f"{balancer.name}-{number}.elb.{self.region}.amazonaws.com"
        del backend.load_balancers[old]
        backend.load_balancers[balancer.arn] = balancer
        backend.tagging_service.copy_tags(old, balancer.arn)
        backend.tagging_service.delete_all_tags_for_resource(old)

    def _subnets(self) -> list[Any]:
        """The subnets of the request; every one must exist, be in a zone of its own, and have a free address."""
        mappings = [mapping["SubnetId"] for mapping in self._get_param("SubnetMappings", [])]
        ids = [*self._get_param("Subnets", []), *mappings]
        try:
            subnets = [self.ec2.get_subnet(subnet_id) for subnet_id in ids]
        except InvalidSubnetIdError as error:
            raise SubnetNotFoundError from error
        if len({found.availability_zone_id for found in subnets}) < len(subnets):
            text = "A load balancer cannot be attached to multiple subnets in the same Availability Zone"
            raise ELBClientError("InvalidConfigurationRequest", text)
        for subnet in subnets:
            try:
                require_free_addresses(subnet)
            except EC2ClientError as error:
                raise ELBClientError("InvalidSubnet", f"Not enough IP space available in {subnet.id}") from error
        return subnets

    def _place(self, balancer: Any, subnets: Sequence[Any]) -> None:
        groups = balancer.security_groups or []
        for subnet in subnets:
            described = f"ELB {balancer.arn_suffix}"
            ManagedInterface(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
                self.ec2, subnet, kind="network_load_balancer", groups=groups, description=described
            )

    def _activate(self, balancer: Any) -> None:
        failed = self.world.faults.strike("balancer-fails")
        balancer.state = "failed" if failed else "active"
        if not failed:
            self.world.record(Fact.BALANCER_ACTIVE, balancer.arn)

    def _remove(self, balancer: Any) -> None:
        """Remove a load balancer; its target groups and interfaces are free a little later."""
        ec2, interfaces = self.ec2, [node.id for node in nodes_of(self.ec2, balancer)]
        self.elbv2_backend.delete_load_balancer(balancer.arn)
        self.release_target_groups()
        self.world.scheduler.after("interfaces_gone", lambda: delete_managed_interfaces(ec2, interfaces))
