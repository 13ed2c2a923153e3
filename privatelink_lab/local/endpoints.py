"""Interface endpoints: the consumer's side of PrivateLink."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.vpc_service_configuration import VPCServiceConfiguration
from moto.ec2.models.vpcs import VPCEndPoint

from privatelink_lab.local.filters import as_tag_set, tag_fields
from privatelink_lab.local.world import World, new_id

BLOCKING = frozenset({"pendingAcceptance", "pending", "available"})
"""States in which an endpoint holds its service; the wire says lower camelCase."""

HOSTED_ZONE = "Z7HUB22UULQXV"
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


class Endpoint(VPCEndPoint):
    """An interface endpoint, and at the same time its row in the provider's view.

    `service` is None for a service of AWS itself.
    """

    def __init__(
        self,
        world: World,
        backend: Any,
        service: VPCServiceConfiguration | None,
        **settings: Any,
    ) -> None:
        endpoint_id = new_id("vpce")
        super().__init__(backend, endpoint_id, endpoint_type="Interface", **settings)
        self.world = world
        self.service = service
        self.connection_id = new_id("vpce-con")
        self.region = str(backend.region_name)
        self.service_region = str(service.ec2_backend.region_name) if service else self.region
        needs_acceptance = service is not None and service.acceptance_required
        self.state = "pendingAcceptance" if needs_acceptance else "pending"
        self._make_interfaces()
        self.dns_entries = self._names()
        if self.state == "pending":
            self.become("available", "endpoint_available", only_from={"pending"})

    def become(
        self,
        state: str,
        delay: str,
        *,
        only_from: AbstractSet[str],
        then: Callable[[], None] = lambda: None,
    ) -> None:
        """Enter `state` once `delay` has passed, if the state is one of `only_from` by then."""

        def arrive() -> None:
            if self.state in only_from:
                self.state = state
                then()

        self.world.agenda.after(delay, arrive)

    def accept(self) -> None:
        """Go from pendingAcceptance by way of pending, which is no error, to available."""
        self.become(
            "pending",
            "accept_pending",
            only_from={"pendingAcceptance"},
            then=lambda: self.become("available", "endpoint_available", only_from={"pending"}),
        )

    def reject(self) -> None:
        """The object and its bill stay with the consumer until the consumer deletes it."""
        self.become("rejected", "reject", only_from=BLOCKING)

    def delete(self) -> None:
        """Go from deleting to deleted, when the network interfaces go, and then away."""
        if self.state in {"deleting", "deleted"}:
            return
        self.state = "deleting"

        def vanish() -> None:
            self.ec2_backend.vpc_end_points.pop(self.id, None)
            self.ec2_backend.tags.pop(self.id, None)

        def deleted() -> None:
            for interface_id in self.network_interface_ids:
                self.ec2_backend.get_network_interface(interface_id).delete()
            self.network_interface_ids = []
            self.world.agenda.after("endpoint_gone", vanish)

        self.become("deleted", "endpoint_deleted", only_from={"deleting"}, then=deleted)

    def _make_interfaces(self) -> None:
        for subnet_id in self.subnet_ids or []:
            subnet = self.ec2_backend.get_subnet(subnet_id)
            interface = self.ec2_backend.create_network_interface(
                subnet,
                subnet.get_available_subnet_ip(self),
                group_ids=self.security_group_ids,
                description=f"VPC Endpoint Interface {self.id}",
            )
            interface.interface_type = "vpc_endpoint"
            interface.requester_managed = True
            interface.status = "in-use"
            self.network_interface_ids.append(interface.id)

    def _names(self) -> list[dict[str, str]]:
        """The Regional name first, then one per zone; they carry the service's region."""
        suffix = "".join(secrets.choice(_LETTERS) for _ in range(8))
        aws_name = f"{self.service_name.rpartition('.')[2]}.{self.region}.vpce.amazonaws.com"
        base = self.service.endpoint_dns_name if self.service else aws_name
        subnets = [self.ec2_backend.get_subnet(each) for each in self.subnet_ids or []]
        zones = sorted(subnet.availability_zone for subnet in subnets)
        names = [f"{self.id}-{suffix}.{base}"]
        if self.service_region == self.region:
            names += [f"{self.id}-{suffix}-{zone}.{base}" for zone in zones]
        return [{"DnsName": name, "HostedZoneId": HOSTED_ZONE} for name in names]


def ec2_everywhere() -> Iterator[Any]:
    """The EC2 backend of every account and region that somebody has used."""
    for _, _, backend in ec2_backends.iter_backends():
        yield backend


def connections_of(account: str, region: str) -> Iterator[tuple[str, Endpoint]]:
    """Service id and endpoint of all connections to the services of an account in a region.

    The endpoints may be in any account and region; the services may be gone.
    """
    for backend in ec2_everywhere():
        for each in backend.vpc_end_points.values():
            if not isinstance(each, Endpoint) or each.service is None:
                continue
            owner = each.service.ec2_backend
            if (owner.account_id, owner.region_name) == (account, region):
                yield each.service.id, each


def endpoint_fields(endpoint: VPCEndPoint) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpoints can filter by."""
    return {
        "vpc-endpoint-id": endpoint.id,
        "vpc-id": endpoint.vpc_id,
        "service-name": endpoint.service_name,
        "vpc-endpoint-state": endpoint.state,
        "vpc-endpoint-type": endpoint.vpc_endpoint_type or "Gateway",
    } | tag_fields(tags_of(endpoint))


def tags_of(endpoint: VPCEndPoint) -> dict[str, str]:
    """The tags of an endpoint."""
    return dict(endpoint.ec2_backend.tags.get(endpoint.id, {}))


def endpoint_answer(endpoint: VPCEndPoint) -> Any:
    """The consumer's view of an endpoint; moto's own for a gateway endpoint."""
    if not isinstance(endpoint, Endpoint):
        return endpoint
    return {
        "VpcEndpointId": endpoint.id,
        "VpcEndpointType": endpoint.vpc_endpoint_type,
        "VpcId": endpoint.vpc_id,
        "ServiceName": endpoint.service_name,
        "ServiceRegion": endpoint.service_region,
        "State": endpoint.state,
        "PolicyDocument": endpoint.policy_document,
        "RouteTableIds": [],
        "SubnetIds": endpoint.subnet_ids,
        "Groups": [] if endpoint.state == "deleted" else endpoint.groups,  # they may be gone before the row is
        "IpAddressType": "ipv4",
        "DnsOptions": {"DnsRecordIpType": "ipv4"},
        "PrivateDnsEnabled": endpoint.private_dns_enabled,
        "RequesterManaged": False,
        "NetworkInterfaceIds": endpoint.network_interface_ids,
        "DnsEntries": endpoint.dns_entries,
        "CreationTimestamp": endpoint.creation_timestamp,
        "Tags": as_tag_set(tags_of(endpoint)),
        "OwnerId": endpoint.owner_id,
    }


def connection_answer(service_id: str, endpoint: Endpoint) -> dict[str, Any]:
    """The provider's view of the same endpoint. A rejected row can outlive its service."""
    balancers = endpoint.service.network_load_balancer_arns if endpoint.service else []
    return {
        "ServiceId": service_id,
        "VpcEndpointId": endpoint.id,
        "VpcEndpointOwner": endpoint.owner_id,
        "VpcEndpointState": endpoint.state,
        "VpcEndpointRegion": endpoint.region,
        "VpcEndpointConnectionId": endpoint.connection_id,
        "CreationTimestamp": endpoint.creation_timestamp,
        "DnsEntries": endpoint.dns_entries,
        "NetworkLoadBalancerArns": balancers,
        "IpAddressType": "ipv4",
    }
