"""One interface endpoint: its states, its network interfaces and its DNS names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from moto.ec2.models.vpcs import VPCEndPoint
from moto.moto_api._internal import mock_random

from privatelink_lab.local.api.server_state import Wait, World, new_id
from privatelink_lab.local.ec2.backend import ec2_everywhere
from privatelink_lab.local.ec2.interfaces import ManagedInterface, delete_managed_interfaces
from privatelink_lab.local.privatelink.service import EndpointService

ATTACHED_STATES = frozenset({"pendingAcceptance", "pending", "available"})
"""States in which an endpoint keeps its service from being deleted; the API writes them in lower camelCase."""

HOSTED_ZONE_ID = "Z7HUB22UULQXV"


class Endpoint(VPCEndPoint):
    """An interface endpoint, for the consumer's calls and for the provider's.

    `service` is None for a service of AWS itself.
    """

    def __init__(
        self,
        world: World,
        backend: Any,
        service: EndpointService | None,
        **settings: Any,
    ) -> None:
        endpoint_id = new_id("vpce")
        super().__init__(backend, endpoint_id, endpoint_type="Interface", **settings)
        self.world = world
        self.service = service
        self.connection_id = new_id("vpce-con")
        self.region = str(backend.region_name)
        self.service_region = str(service.ec2_backend.region_name) if service else self.region
        self.last_error: dict[str, str] | None = None
        needs_acceptance = service is not None and service.acceptance_required
        self.state = "pendingAcceptance" if needs_acceptance else "pending"
        self.connected = False  # whether packets pass: from the first `available` on, also during a modification
        for subnet_id in self.subnet_ids or []:
            self._place(subnet_id)
        self._suffix = mock_random.get_random_string(8, lower_case=True)
        self.dns_entries = self._dns_entries()
        world.put_off("connection_listed", Wait.VISIBLE, self.connection_id)
        expires_after = world.faults.seconds("endpoint-expires")
        if self.state == "pending":
            self._become_available()
        elif expires_after:
            world.scheduler.later(expires_after, self._expire)

    def enter_after(
        self,
        state: str,
        delay: str,
        *,
        only_from: AbstractSet[str],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Enter `state` after the transition `delay`, if the state is one of `only_from` then."""

        def enter() -> None:
            if self.state in only_from:
                self.state = state
                then()

        self.world.scheduler.after(delay, enter)

    def accept(self) -> None:
        """Go from pendingAcceptance to pending, then to available."""
        self.enter_after(
            "pending",
            "accept_pending",
            only_from={"pendingAcceptance"},
            then=self._become_available,
        )

    def reject(self) -> None:
        """Reject the endpoint; it exists, and costs the consumer money, until the consumer deletes it."""
        self.enter_after("rejected", "reject", only_from=ATTACHED_STATES, then=self._disconnect)

    def delete(self) -> None:
        """Go to deleting, then to deleted, which removes the network interfaces; later the endpoint is not found."""
        if self.state in {"deleting", "deleted"}:
            return
        self.state = "deleting"
        self._disconnect()

        def remove() -> None:
            self.ec2_backend.vpc_end_points.pop(self.id, None)
            self.ec2_backend.tags.pop(self.id, None)

        def finish() -> None:
            delete_managed_interfaces(self.ec2_backend, self.network_interface_ids)
            self.network_interface_ids = []
            self.world.scheduler.after("endpoint_gone", remove)

        self.enter_after("deleted", "endpoint_deleted", only_from={"deleting"}, then=finish)

    def change(
        self,
        *,
        add_subnets: Sequence[str] = (),
        remove_subnets: Sequence[str] = (),
        add_groups: Sequence[str] = (),
        remove_groups: Sequence[str] = (),
        private_dns: bool | None = None,
    ) -> None:
        """Apply a ModifyVpcEndpoint; an endpoint that is available is `pending` again for a while."""
        for interface in [removed for removed in self.interfaces() if removed.subnet.id in remove_subnets]:
            self.network_interface_ids.remove(interface.id)
            delete_managed_interfaces(self.ec2_backend, [interface.id])
        groups = [
            group_id for group_id in [*(self.security_group_ids or []), *add_groups] if group_id not in remove_groups
        ]
        self.security_group_ids = list(dict.fromkeys(groups))
        for interface in self.interfaces():
            interface._group_set = [self.ec2_backend.get_security_group_from_id(group_id) for group_id in groups]
        for subnet_id in add_subnets:
            self._place(subnet_id)
        self.subnet_ids = [placed.subnet.id for placed in self.interfaces()]
        self.private_dns_enabled = self.private_dns_enabled if private_dns is None else private_dns
        self.dns_entries = self._dns_entries()
        if self.state == "available":
            self.state = "pending"
            self._become_available()

    def _disconnect(self) -> None:
        self.connected = False

    def _expire(self) -> None:
        if self.state == "pendingAcceptance":
            self.state = "expired"

    def _become_available(self) -> None:
        fails = self.world.faults.strike("endpoint-fails")

        def finish() -> None:
            if fails:
                text = "The endpoint could not be set up: a fault that was switched on."
                self.last_error = {"Code": "InternalError", "Message": text}
            else:
                self.connected = True

        self.enter_after("failed" if fails else "available", "endpoint_available", only_from={"pending"}, then=finish)

    def interfaces(self) -> list[Any]:
        """Its network interfaces, one per subnet."""
        return [self.ec2_backend.enis[interface_id] for interface_id in self.network_interface_ids]

    def _place(self, subnet_id: str) -> None:
        interface = ManagedInterface(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
            self.ec2_backend,
            self.ec2_backend.get_subnet(subnet_id),
            kind="vpc_endpoint",
            groups=self.security_group_ids or [],
            description=f"VPC Endpoint Interface {self.id}",
        )
        self.network_interface_ids.append(interface.id)

    def addresses(self) -> dict[str, tuple[str, ...]]:
        """Public name -> addresses: the Regional name has those of all interfaces, a zonal name that of its zone."""
        zones = {
            interface.subnet.availability_zone: str(interface.private_ip_address) for interface in self.interfaces()
        }
        zonal = {self._name(zone): (address,) for zone, address in zones.items()}
        return {self._name(): tuple(zones.values())} | zonal

    def private_addresses(self) -> dict[str, tuple[str, ...]]:
        """Private name -> addresses, in its own VPC only; empty without a private name."""
        name = self._private_name()
        return {name: self.addresses()[self._name()]} if name else {}

    def _name(self, zone: str = "") -> str:
        base = self.service.endpoint_dns_name if self.service else self._aws_name
        return "-".join(filter(None, [self.id, self._suffix, zone])) + f".{base}"

    @property
    def _aws_name(self) -> str:
        return f"{self.service_name.rpartition('.')[2]}.{self.region}.vpce.amazonaws.com"

    def _private_name(self) -> str:
        if not self.private_dns_enabled:
            return ""
        return str(self.service.private_dns_name if self.service else self._aws_name.replace(".vpce.", "."))

    def _dns_entries(self) -> list[dict[str, str]]:
        """The Regional name, the zonal names, and the private name; the first two contain the service's region."""
        subnets = [self.ec2_backend.get_subnet(subnet_id) for subnet_id in self.subnet_ids or []]
        zones = sorted(subnet.availability_zone for subnet in subnets) if self.service_region == self.region else []
        names = [self._name(), *map(self._name, zones), self._private_name()]
        return [{"DnsName": name, "HostedZoneId": HOSTED_ZONE_ID} for name in names if name]


def connections_of(account: str, region: str) -> Iterator[tuple[str, Endpoint]]:
    """Service id and endpoint of all connections to the services of an account in a region.

    The endpoints may be in any account and region; the services may be deleted.
    """
    for backend in ec2_everywhere():
        for endpoint in backend.vpc_end_points.values():
            if not isinstance(endpoint, Endpoint) or endpoint.service is None:
                continue
            owner = endpoint.service.ec2_backend
            if (owner.account_id, owner.region_name) == (account, region):
                yield endpoint.service.id, endpoint
