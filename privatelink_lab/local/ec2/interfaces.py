"""Network interfaces that AWS makes for endpoints and balancers: nobody else may touch them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.ec2.backend import NetworkInterface


@dataclass(frozen=True)
class HeldBy:
    """The attachment of an interface to something that AWS runs."""

    attachment_id: str
    instance_owner_id: str
    device_index: int = 1
    status: str = "attached"
    delete_on_termination: bool = False
    network_card_index: int = 0


class ManagedInterface(NetworkInterface):
    """An interface that AWS made; `kind` is its interface type as DescribeNetworkInterfaces says it."""

    def __init__(self, backend: Any, subnet: Any, *, kind: str, groups: Sequence[str], description: str) -> None:
        address = free_address(subnet, self)
        super().__init__(backend, subnet, address, group_ids=list(groups), description=description)
        if not groups and kind == "network_load_balancer":
            self._group_set = []  # a balancer without groups has none, not the VPC's default one
        self.interface_type = kind
        self.requester_managed = True
        self.status = "in-use"
        self.held_by = HeldBy(f"ela-attach-{self.id[4:]}", "amazon-aws")

    @property
    def network_interface_id(self) -> str:
        """Its id; moto would find it by the name of the class."""
        return str(self.id)

    @property
    def attachment(self) -> Any:
        """What holds it: no instance of the account's own."""
        return self.held_by

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """As moto's; and the filters by which tools find such interfaces."""
        own = {
            "attachment.instance-owner-id": self.held_by.instance_owner_id,
            "attachment.attachment-id": self.held_by.attachment_id,
            "interface-type": self.interface_type,
            "requester-managed": "true",
            "status": self.status,
        }
        return own[filter_name] if filter_name in own else super().get_filter_value(filter_name, method_name)


def free_address(subnet: Any, holder: Any) -> str:
    """A free address of the subnet, now taken; raises `InsufficientFreeAddressesInSubnet`."""
    try:
        return str(subnet.get_available_subnet_ip(holder))
    except (RuntimeError, StopIteration) as error:  # how moto says that there is none
        text = f"insufficient free addresses in subnet '{subnet.id}' to satisfy the request"
        raise EC2ClientError("InsufficientFreeAddressesInSubnet", text) from error


def require_room(subnet: Any, count: int = 1) -> None:
    """Raise `InsufficientFreeAddressesInSubnet` unless the subnet has so many free addresses."""
    taken: list[str] = []
    try:
        taken.extend(free_address(subnet, subnet) for _ in range(count))
    finally:
        for address in taken:
            subnet.del_subnet_ip(address)


def place(backend: Any, subnet: Any, *, kind: str, groups: Sequence[str], description: str) -> ManagedInterface:
    """A new interface of AWS's in a subnet."""
    interface = ManagedInterface(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
        backend, subnet, kind=kind, groups=groups, description=description
    )
    backend.enis[interface.id] = interface
    return interface


def remove(backend: Any, interface_id: str) -> None:
    """Take an interface of AWS's away, and give its address back."""
    interface = backend.enis.get(interface_id)
    if interface is not None:
        interface.delete()


def interfaces_in(backend: Any, subnet_id: str) -> Iterator[Any]:
    """The interfaces that live in a subnet, whoever made them."""
    return (each for each in backend.enis.values() if each.subnet.id == subnet_id)


def interfaces_with(backend: Any, group_id: str) -> Iterator[Any]:
    """The interfaces that a security group is attached to."""
    return (each for each in backend.enis.values() if group_id in {group.id for group in each.group_set})


def nodes_of(backend: Any, balancer: Any) -> list[Any]:
    """The interfaces of a balancer, one per zone."""
    return [each for each in backend.enis.values() if each.description == f"ELB {balancer.slug}"]
