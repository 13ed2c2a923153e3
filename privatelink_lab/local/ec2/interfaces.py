"""Network interfaces: their calls, and those that AWS makes for endpoints and load balancers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.ec2.backend import NetworkInterface
from privatelink_lab.local.ec2.security_groups import find_group


@dataclass(frozen=True)
class HeldBy:
    """The attachment of an interface to an endpoint or load balancer."""

    attachment_id: str
    instance_owner_id: str
    device_index: int = 1
    status: str = "attached"
    delete_on_termination: bool = False
    network_card_index: int = 0


class ManagedInterface(NetworkInterface):
    """An interface that AWS made; users may not change it. `kind` is its InterfaceType."""

    def __init__(self, backend: Any, subnet: Any, *, kind: str, groups: Sequence[str], description: str) -> None:
        address = take_address(subnet, self)
        super().__init__(backend, subnet, address, group_ids=list(groups), description=description)
        if not groups and kind == "network_load_balancer":
            self._group_set = []  # a load balancer without groups does not get the VPC's default group
        self.interface_type = kind
        self.requester_managed = True
        self.status = "in-use"
        self.held_by = HeldBy(f"ela-attach-{self.id[4:]}", "amazon-aws")
        backend.enis[self.id] = self

    @property
    def network_interface_id(self) -> str:
        """Its id; moto would look for an attribute named after the class."""
        return str(self.id)

    @property
    def attachment(self) -> Any:
        """The attachment; it belongs to AWS, not to an instance of the account."""
        return self.held_by

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """As moto's, and the filters by which tools find such interfaces."""
        own = {
            "attachment.instance-owner-id": self.held_by.instance_owner_id,
            "attachment.attachment-id": self.held_by.attachment_id,
            "interface-type": self.interface_type,
            "requester-managed": "true",
            "status": self.status,
        }
        return own[filter_name] if filter_name in own else super().get_filter_value(filter_name, method_name)


class NetworkInterfaces(Ec2Call):
    """Create, modify, detach and delete network interfaces; those that AWS made cannot be changed."""

    def create_network_interface(self) -> ActionResult:
        """The new interface; a repeated ClientToken gives the same one, and a group must exist."""
        self._check_groups()
        return self.create_once("NetworkInterface", super().create_network_interface, self.ec2_backend.enis)

    def modify_network_interface_attribute(self) -> ActionResult:
        """Change an attribute; a group must exist, and an interface that AWS made is refused."""
        refuse_managed(self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId")))
        self._check_groups()
        return super().modify_network_interface_attribute()

    def delete_network_interface(self) -> ActionResult:
        """Delete an interface; one that AWS made, or that is attached, is refused."""
        interface = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        refuse_managed(interface)
        if interface.attachment is not None:
            text = f"Network interface '{interface.id}' is currently in use."
            raise EC2ClientError("InvalidParameterValue", text)
        return super().delete_network_interface()

    def detach_network_interface(self) -> ActionResult:
        """Detach an interface; only AWS detaches what AWS attached."""
        attachment = self._get_param("AttachmentId")
        for interface in self.ec2_backend.enis.values():
            if interface.attachment is not None and interface.attachment.attachment_id == attachment:
                refuse_managed(interface)
        return super().detach_network_interface()

    def _check_groups(self) -> None:
        for group_id in self._get_param("Groups", []):  # moto would create the group, or ignore it
            find_group(self.ec2_backend, group_id)


def refuse_managed(interface: Any) -> None:
    """Raise `OperationNotPermitted` for an interface that AWS made."""
    if isinstance(interface, ManagedInterface):
        text = f"You are not allowed to manage 'ela-attach' attachments: {interface.id}"
        raise EC2ClientError("OperationNotPermitted", text)


def take_address(subnet: Any, holder: Any) -> str:
    """Take a free address of the subnet; raises `InsufficientFreeAddressesInSubnet`."""
    try:
        return str(subnet.get_available_subnet_ip(holder))
    except (RuntimeError, StopIteration) as error:  # what moto raises when there is none
        text = f"insufficient free addresses in subnet '{subnet.id}' to satisfy the request"
        raise EC2ClientError("InsufficientFreeAddressesInSubnet", text) from error


def require_free_addresses(subnet: Any, count: int = 1) -> None:
    """Raise `InsufficientFreeAddressesInSubnet` unless the subnet has `count` free addresses."""
    taken: list[str] = []
    try:
        taken.extend(take_address(subnet, subnet) for _ in range(count))
    finally:
        for address in taken:
            subnet.del_subnet_ip(address)


def delete_managed_interfaces(backend: Any, ids: Iterable[str]) -> None:
    """Delete those of the interfaces that still exist; their addresses are free again."""
    for interface_id in ids:
        if interface := backend.enis.get(interface_id):
            interface.delete()


def interfaces_in(backend: Any, subnet_id: str) -> Iterator[Any]:
    """All interfaces in a subnet."""
    return (interface for interface in backend.enis.values() if interface.subnet.id == subnet_id)


def nodes_of(backend: Any, balancer: Any) -> list[Any]:
    """The interfaces of a load balancer, one per zone."""
    return [interface for interface in backend.enis.values() if interface.description == f"ELB {balancer.arn_suffix}"]
