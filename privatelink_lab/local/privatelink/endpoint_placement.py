"""Where an interface endpoint may be placed: subnets and zones; and when it may have a private name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.ec2.interfaces import require_free_addresses
from privatelink_lab.local.privatelink.service import EndpointService


def check_subnets(
    backend: Any, vpc_id: str, ids: Sequence[str], service: EndpointService | None, new: Sequence[str] | None = None
) -> None:
    """Refuse subnets of other VPCs, two in one zone, zones that the service lacks, and full subnets.

    `new` are those of `ids` that still need an address, by default all. A service of another region
    is reached from any zone; AWS's own services are in all zones.
    """
    subnets = [backend.get_subnet(subnet_id) for subnet_id in ids]
    for subnet in subnets:
        if subnet.vpc_id != vpc_id:  # AWS does not document the code (AWS facts 13)
            text = f"The subnet '{subnet.id}' does not belong to the VPC '{vpc_id}'."
            raise EC2ClientError("InvalidParameter", text)
    if len({found.availability_zone_id for found in subnets}) < len(subnets):
        text = "Found another VPC endpoint subnet in the availability zone of an existing one."
        raise EC2ClientError("DuplicateSubnetsInSameZone", text)
    if service is not None and service.ec2_backend.region_name == backend.region_name:
        for subnet in subnets:
            if subnet.availability_zone_id not in service.zone_ids:
                named = f"The VPC endpoint service {service.service_name}"
                text = f"{named} does not support the availability zone of the subnet: {subnet.id}."
                raise EC2ClientError("InvalidParameter", text)
    for subnet in subnets:
        if new is None or subnet.id in new:
            require_free_addresses(subnet)


def check_private_dns(vpc: Any, service: EndpointService | None) -> None:
    """Refuse a private name that the service lacks or has not verified, and a VPC without both DNS attributes."""
    if service is not None and not service.has_verified_name:
        named = f"the service {service.service_name}"
        text = f"Private DNS can't be enabled because {named} does not provide a private DNS name."
        raise EC2ClientError("InvalidParameter", text)
    if not (vpc.enable_dns_support and vpc.enable_dns_hostnames):
        text = (
            "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true "
            f"for {vpc.id}"
        )
        raise EC2ClientError("InvalidParameter", text)
