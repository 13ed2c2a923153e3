"""VPCs, subnets and route tables: what cannot be deleted while something is in it."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.ec2.backend import is_alive
from privatelink_lab.local.ec2.interfaces import interfaces_in


class Vpcs(Ec2Call):
    """DeleteVpc, DeleteSubnet, CreateRouteTable and ModifyVpcAttribute."""

    def delete_vpc(self) -> ActionResult:
        """Delete a VPC; `DependencyViolation` while it has security groups, endpoints, interfaces or a gateway.

        moto itself checks subnets only.
        """
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        holders = [
            *(group.id for group in backend.groups.get(vpc_id, {}).values() if not group.is_default),
            *(
                endpoint.id
                for endpoint in backend.vpc_end_points.values()
                if endpoint.vpc_id == vpc_id and is_alive(endpoint)
            ),
            *(interface.id for interface in backend.enis.values() if interface.vpc_id == vpc_id),
            *(gateway.id for gateway in backend.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id),
        ]
        if holders:
            raise _dependency_violation("vpc", vpc_id)
        return super().delete_vpc()

    def delete_subnet(self) -> ActionResult:
        """Delete a subnet; `DependencyViolation` while a network interface is in it, also of a `deleting` endpoint."""
        backend, subnet_id = self.ec2_backend, self._get_param("SubnetId")
        if any(interfaces_in(backend, subnet_id)):
            raise _dependency_violation("subnet", subnet_id)
        return super().delete_subnet()

    def create_route_table(self) -> ActionResult:
        """The new route table; a repeated ClientToken gives the same one."""
        return self.create_once("RouteTable", super().create_route_table, self.ec2_backend.route_tables)

    def modify_vpc_attribute(self) -> ActionResult:
        """Change an attribute; host names need DNS support."""
        vpc = self.ec2_backend.get_vpc(self._get_param("VpcId"))
        if self._get_param("EnableDnsHostnames.Value") is True and not vpc.enable_dns_support:
            text = "The enableDnsHostnames attribute needs enableDnsSupport."
            raise EC2ClientError("InvalidParameterValue", text)
        return super().modify_vpc_attribute()


def _dependency_violation(noun: str, what: str) -> EC2ClientError:
    return EC2ClientError("DependencyViolation", f"The {noun} '{what}' has dependencies and cannot be deleted.")
