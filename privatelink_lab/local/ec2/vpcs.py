"""VPCs, subnets and security groups: what cannot go while something lives in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.api.call import Ec2Call
from privatelink_lab.local.api.world import once
from privatelink_lab.local.ec2.backend import is_alive
from privatelink_lab.local.ec2.interfaces import ManagedInterface, interfaces_in, interfaces_with
from privatelink_lab.local.ec2.security_groups import find_group


class Vpcs(Ec2Call):
    """The deletes that AWS refuses with `DependencyViolation`, and the names that it does not take."""

    def delete_vpc(self) -> ActionResult:
        """Nothing; subnets, own groups, interfaces and endpoints hold a VPC. moto knows of subnets only."""
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        holders = [
            *(each.id for each in backend.groups.get(vpc_id, {}).values() if not each.is_default),
            *(each.id for each in backend.vpc_end_points.values() if each.vpc_id == vpc_id and is_alive(each)),
            *(each.id for each in backend.enis.values() if each.vpc_id == vpc_id),
            *(each.id for each in backend.internet_gateways.values() if each.vpc and each.vpc.id == vpc_id),
        ]
        if holders:
            raise dependency_violation("vpc", vpc_id)
        return super().delete_vpc()

    def delete_subnet(self) -> ActionResult:
        """Nothing; any network interface in it refuses, also one of an endpoint that is `deleting`."""
        backend, subnet_id = self.ec2_backend, self._get_param("SubnetId")
        if any(interfaces_in(backend, subnet_id)):
            raise dependency_violation("subnet", subnet_id)
        return super().delete_subnet()

    def create_security_group(self) -> ActionResult:
        """The new group; its name must be new in the VPC, whatever its case."""
        name, vpc_id = self._get_param("GroupName"), self._get_param("VpcId")
        if name.startswith("sg-"):
            text = f"Invalid value '{name}' for groupName. Group names cannot start with sg-."
            raise EC2ClientError("InvalidParameterValue", text)
        if name.lower() == "default":
            text = "Cannot use reserved security group name: default"
            raise EC2ClientError("InvalidGroup.Reserved", text)
        if any(each.name.lower() == name.lower() for each in self.ec2_backend.groups.get(vpc_id, {}).values()):
            text = f"The security group '{name}' already exists for VPC '{vpc_id}'"
            raise EC2ClientError("InvalidGroup.Duplicate", text)
        return super().create_security_group()

    def delete_security_group(self) -> ActionResult:
        """Nothing; an interface that has the group refuses, and so does a rule of another one that names it."""
        group = self.ec2_backend.get_security_group_from_id(self._get_param("GroupId") or "")
        if group is None:
            return super().delete_security_group()
        if group.is_default:
            text = f'the specified group: "{group.id}" name: "default" cannot be deleted by a user'
            raise EC2ClientError("CannotDelete", text)
        if any(interfaces_with(self.ec2_backend, group.id)) or self._is_named_by_another(group):
            raise EC2ClientError("DependencyViolation", f"resource {group.id} has a dependent object")
        return super().delete_security_group()

    def create_network_interface(self) -> ActionResult:
        """The new interface; a repeated ClientToken gives the same one, and a group must exist."""
        self._check_groups()
        return self._once("NetworkInterface", super().create_network_interface, self.ec2_backend.enis)

    def modify_network_interface_attribute(self) -> ActionResult:
        """Nothing; a group must exist, and AWS's own interfaces refuse."""
        refuse_managed(self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId")))
        self._check_groups()
        return super().modify_network_interface_attribute()

    def create_route_table(self) -> ActionResult:
        """The new route table; a repeated ClientToken gives the same one."""
        return self._once("RouteTable", super().create_route_table, self.ec2_backend.route_tables)

    def delete_network_interface(self) -> ActionResult:
        """Nothing; AWS's own interfaces and attached ones refuse."""
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        refuse_managed(interface)
        if interface.attachment is not None:
            text = f"Network interface '{interface.id}' is currently in use."
            raise EC2ClientError("InvalidParameterValue", text)
        return super().delete_network_interface()

    def detach_network_interface(self) -> ActionResult:
        """Nothing; what AWS attached, only AWS detaches."""
        attachment = self._get_param("AttachmentId")
        for interface in self.ec2_backend.enis.values():
            if interface.attachment is not None and interface.attachment.attachment_id == attachment:
                refuse_managed(interface)
        return super().detach_network_interface()

    def modify_vpc_attribute(self) -> ActionResult:
        """Nothing; host names need DNS support."""
        vpc = self.ec2_backend.get_vpc(self._get_param("VpcId"))
        if self._get_param("EnableDnsHostnames.Value") is True and not vpc.enable_dns_support:
            text = "The enableDnsHostnames attribute needs enableDnsSupport."
            raise EC2ClientError("InvalidParameterValue", text)
        return super().modify_vpc_attribute()

    def _once(self, noun: str, create: Callable[[], ActionResult], kept: Mapping[str, Any]) -> ActionResult:
        """What moto's `create` makes, or what it made for this token and still is `kept`."""

        def make() -> tuple[Any, list[str]]:
            made: Any = create().result
            return made[noun], [made[noun].id]

        return ActionResult({noun: once(self.world, self, lambda ids: kept.get(ids[0]), make)})

    def _check_groups(self) -> None:
        for group_id in self._get_param("Groups", []):  # moto would make one, or keep nothing
            find_group(self.ec2_backend, group_id)

    def _is_named_by_another(self, group: Any) -> bool:
        others = self.ec2_backend.groups.get(group.vpc_id, {}).values()
        return any(
            rule.source_group.get("GroupId") == group.id
            for other in others
            if other.id != group.id
            for rule in [*other.ingress_rules, *other.egress_rules]
        )


def dependency_violation(noun: str, what: str) -> EC2ClientError:
    """EC2's word for something that is still in use."""
    return EC2ClientError("DependencyViolation", f"The {noun} '{what}' has dependencies and cannot be deleted.")


def refuse_managed(interface: Any) -> None:
    """Raise `OperationNotPermitted` for an interface that AWS runs."""
    if isinstance(interface, ManagedInterface):
        text = f"You are not allowed to manage 'ela-attach' attachments: {interface.id}"
        raise EC2ClientError("OperationNotPermitted", text)
