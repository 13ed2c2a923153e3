"""The consumer's calls: create, describe and delete VPC endpoints."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import (
    EC2ClientError,
    InvalidSecurityGroupNotFoundError,
    InvalidServiceName,
)
from moto.ec2.models.vpc_service_configuration import VPCServiceConfiguration
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.utils import add_tag_specification

from privatelink_lab.local.endpoints import Endpoint, endpoint_answer, endpoint_fields
from privatelink_lab.local.filters import page, passes, wanted
from privatelink_lab.local.services import aws_services, refusal, visible_services
from privatelink_lab.local.world import Ec2Call, once

SHARED_SERVICES = "com.amazonaws.vpce."


class Consumer(Ec2Call):
    """CreateVpcEndpoint, DescribeVpcEndpoints and DeleteVpcEndpoints."""

    def create_vpc_endpoint(self) -> ActionResult:
        """The new endpoint; a repeated ClientToken gives the same one, in its state of now.

        Without VpcEndpointType it is a gateway endpoint, which moto makes. A service that is
        unknown, not permitted or of another region is `InvalidServiceName`.
        """
        if self._get_param("VpcEndpointType", "Gateway") != "Interface":
            return self._create_gateway()
        backend = self.ec2_backend
        endpoint = once(self.world, self, lambda ids: backend.vpc_end_points.get(ids[0]), self._create)
        return ActionResult({"VpcEndpoint": endpoint_answer(endpoint)})

    def describe_vpc_endpoints(self) -> ActionResult:
        """The caller's endpoints; an unknown id is `InvalidVpcEndpointId.NotFound`."""
        chosen = self.ec2_backend.describe_vpc_endpoints(self._get_param("VpcEndpointIds", []))
        filters = wanted(self)
        kept = [each for each in chosen if passes(filters, endpoint_fields(each))]
        rows, token = page(self, kept)
        return ActionResult({"VpcEndpoints": [endpoint_answer(row) for row in rows], "NextToken": token})

    def delete_vpc_endpoints(self) -> ActionResult:
        """HTTP 200; an unknown id is an item of `Unsuccessful`."""
        refusals = [self._delete(each) for each in self._get_param("VpcEndpointIds", [])]
        return ActionResult({"Unsuccessful": [each for each in refusals if each]})

    def _create_gateway(self) -> ActionResult:
        if self._get_param("ServiceName", "").startswith(SHARED_SERVICES):
            raise EC2ClientError(
                "InvalidParameter",
                "Endpoint type (Gateway) does not match available service types ([Interface]).",
            )
        made: Any = super().create_vpc_endpoint().result
        made["VpcEndpoint"].vpc_endpoint_type = "Gateway"  # moto leaves None, and then stumbles
        return ActionResult(made)

    def _create(self) -> tuple[VPCEndPoint, list[str]]:
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        name = self._get_param("ServiceName")
        service = self._service(name)
        backend.get_vpc(vpc_id)
        endpoint = Endpoint(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
            self.world,
            backend,
            service,
            vpc_id=vpc_id,
            service_name=name,
            policy_document=self._get_param("PolicyDocument"),
            route_table_ids=[],
            subnet_ids=self._subnets(),
            client_token=self._get_param("ClientToken"),
            security_group_ids=self._groups(vpc_id),
            tags=add_tag_specification(self._get_param("TagSpecifications", [])),
            private_dns_enabled=self._get_bool_param("PrivateDnsEnabled", service is None),
        )
        backend.vpc_end_points[endpoint.id] = endpoint
        return endpoint, [endpoint.id]

    def _service(self, name: str) -> VPCServiceConfiguration | None:
        if not name.startswith(SHARED_SERVICES):
            if name not in {each["ServiceName"] for each in aws_services(self.region)}:
                raise InvalidServiceName(name)
            return None
        for config in visible_services(self, self._get_param("ServiceRegion", "")):
            if config.service_name == name:
                return config
        raise InvalidServiceName(name)

    def _subnets(self) -> list[str]:
        ids: list[str] = self._get_param("SubnetIds", [])
        for subnet_id in ids:
            self.ec2_backend.get_subnet(subnet_id)
        return ids

    def _groups(self, vpc_id: str) -> list[str]:
        ids: list[str] = self._get_param("SecurityGroupIds", [])
        for group_id in ids:  # moto would make a group of this id
            if self.ec2_backend.get_security_group_from_id(group_id) is None:
                raise InvalidSecurityGroupNotFoundError(group_id)
        return ids or [self.ec2_backend.get_default_security_group(vpc_id).id]

    def _delete(self, endpoint_id: str) -> dict[str, Any] | None:
        endpoint = self.ec2_backend.vpc_end_points.get(endpoint_id)
        if endpoint is None:
            return refusal(
                endpoint_id,
                "InvalidVpcEndpoint.NotFound",
                f"The Vpc Endpoint Id '{endpoint_id}' does not exist",
            )
        if isinstance(endpoint, Endpoint):
            endpoint.delete()
        else:
            self.ec2_backend.delete_vpc_endpoints([endpoint_id])
            del self.ec2_backend.vpc_end_points[endpoint_id]
        return None
