"""The consumer's calls: create, describe, modify and delete VPC endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.vpcs import VPCEndPoint
from moto.ec2.utils import add_tag_specification

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered, tag_fields, tag_set, tags_of
from privatelink_lab.local.api.responses import unsuccessful_item
from privatelink_lab.local.ec2.security_groups import check_groups
from privatelink_lab.local.privatelink.endpoint import ATTACHED_STATES, Endpoint
from privatelink_lab.local.privatelink.endpoint_placement import check_private_dns, check_subnets
from privatelink_lab.local.privatelink.service_discovery import SHARED_SERVICES, find_service, require_aws_service

# What AWS shows of an endpoint that was made without a policy.
FULL_ACCESS = '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}'
_INTERFACE_ONLY = ("SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled")


class Endpoints(Ec2Call):
    """CreateVpcEndpoint, DescribeVpcEndpoints, ModifyVpcEndpoint and DeleteVpcEndpoints."""

    def create_vpc_endpoint(self) -> ActionResult:
        """The new endpoint; a repeated ClientToken gives the same one, in its current state.

        Without VpcEndpointType it is a gateway endpoint, which moto makes. A service that is
        unknown, not permitted or of another region is `InvalidServiceName`.
        """
        if self._get_param("VpcEndpointType", "Gateway") != "Interface":
            return self._create_gateway()
        endpoint = self.make_once(self.ec2_backend.vpc_end_points.get, self._create)
        return ActionResult({"VpcEndpoint": endpoint_row(endpoint)})

    def describe_vpc_endpoints(self) -> ActionResult:
        """The caller's endpoints; an unknown id is `InvalidVpcEndpointId.NotFound`."""
        chosen = self.ec2_backend.describe_vpc_endpoints(self._get_param("VpcEndpointIds", []))
        kept = filtered(self, chosen, endpoint_fields)
        return ActionResult({"VpcEndpoints": [endpoint_row(endpoint) for endpoint in kept]})

    def modify_vpc_endpoint(self) -> ActionResult:
        """Change subnets, security groups and the private name of an endpoint, by the rules of a new one.

        A new subnet in the zone of one that leaves is refused: a call of its own lets that one leave (AWS facts 6).
        """
        (endpoint,) = self.ec2_backend.describe_vpc_endpoints([self._get_param("VpcEndpointId")])
        if not isinstance(endpoint, Endpoint):
            return super().modify_vpc_endpoint()
        if endpoint.state not in ATTACHED_STATES:  # AWS does not document it: the stricter reading
            raise EC2ClientError("IncorrectState", f"The Vpc Endpoint '{endpoint.id}' is {endpoint.state}.")
        self._modify(endpoint)
        return ActionResult({"Return": True})

    def delete_vpc_endpoints(self) -> ActionResult:
        """HTTP 200; an unknown id is an item of `Unsuccessful`."""
        refusals = [self._delete(endpoint_id) for endpoint_id in self._get_param("VpcEndpointIds", [])]
        return ActionResult({"Unsuccessful": [refusal for refusal in refusals if refusal]})

    def _create_gateway(self) -> ActionResult:
        given = [name for name in _INTERFACE_ONLY if self._get_param(name)]
        if given:
            text = f"{given[0]} can be specified only for Interface endpoints; VpcEndpointType is Gateway by default."
            raise EC2ClientError("InvalidParameter", text)
        if self._get_param("ServiceName", "").startswith(SHARED_SERVICES):
            text = "Endpoint type (Gateway) does not match available service types ([Interface])."
            raise EC2ClientError("InvalidParameter", text)
        require_aws_service(self, self._get_param("ServiceName"))
        made: Any = super().create_vpc_endpoint().result
        made["VpcEndpoint"].vpc_endpoint_type = "Gateway"  # moto leaves None, and fails on it later
        return ActionResult(made)

    def _create(self) -> tuple[VPCEndPoint, str]:
        backend, vpc_id = self.ec2_backend, self._get_param("VpcId")
        vpc = backend.get_vpc(vpc_id)
        service = find_service(self, self._get_param("ServiceName"), self._get_param("ServiceRegion", ""))
        subnets = self._get_param("SubnetIds", [])
        check_subnets(backend, vpc_id, subnets, service)
        wants_private_dns = self._get_bool_param("PrivateDnsEnabled", service is None)
        if wants_private_dns:
            check_private_dns(vpc, service)
        endpoint = Endpoint(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
            self.world,
            backend,
            service,
            vpc_id=vpc_id,
            service_name=self._get_param("ServiceName"),
            policy_document=self._get_param("PolicyDocument") or FULL_ACCESS,
            route_table_ids=[],
            subnet_ids=subnets,
            client_token=self._get_param("ClientToken"),
            security_group_ids=self._groups(vpc_id),
            tags=add_tag_specification(self._get_param("TagSpecifications", [])),
            private_dns_enabled=wants_private_dns,
        )
        backend.vpc_end_points[endpoint.id] = endpoint
        return endpoint, endpoint.id

    def _groups(self, vpc_id: str) -> list[str]:
        ids: list[str] = self._get_param("SecurityGroupIds", [])
        check_groups(self.ec2_backend, vpc_id, ids)
        return ids or [self.ec2_backend.get_default_security_group(vpc_id).id]

    def _modify(self, endpoint: Endpoint) -> None:
        backend, vpc_id = self.ec2_backend, endpoint.vpc_id
        add, gone = self._get_param("AddSubnetIds", []), self._get_param("RemoveSubnetIds", [])
        present = endpoint.subnet_ids or []
        new = [subnet_id for subnet_id in add if subnet_id not in present]
        check_subnets(backend, vpc_id, [*present, *new] if new else [], endpoint.service, new=new)
        groups = self._get_param("AddSecurityGroupIds", [])
        check_groups(backend, vpc_id, groups)
        private_dns = self._get_param("PrivateDnsEnabled")
        if private_dns:
            check_private_dns(backend.get_vpc(vpc_id), endpoint.service)
        reset = FULL_ACCESS if self._get_bool_param("ResetPolicy", False) else ""
        endpoint.policy_document = reset or self._get_param("PolicyDocument") or endpoint.policy_document
        endpoint.change(
            add_subnets=new,
            remove_subnets=gone,
            add_groups=groups,
            remove_groups=self._get_param("RemoveSecurityGroupIds", []),
            private_dns=private_dns,
        )

    def _delete(self, endpoint_id: str) -> dict[str, Any] | None:
        endpoint = self.ec2_backend.vpc_end_points.get(endpoint_id)
        if endpoint is None or not self.world.is_visible(endpoint_id):
            return unsuccessful_item(
                endpoint_id,
                "InvalidVpcEndpoint.NotFound",
                f"The Vpc Endpoint Id '{endpoint_id}' does not exist",
            )
        if isinstance(endpoint, Endpoint):
            endpoint.delete()
        else:
            with suppress(EC2ClientError):  # its route table is already deleted
                self.ec2_backend.delete_vpc_endpoints([endpoint_id])
            del self.ec2_backend.vpc_end_points[endpoint_id]
            self.ec2_backend.tags.pop(endpoint_id, None)
        return None


def endpoint_fields(endpoint: VPCEndPoint) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpoints can filter by."""
    return {
        "vpc-endpoint-id": endpoint.id,
        "vpc-id": endpoint.vpc_id,
        "service-name": endpoint.service_name,
        "vpc-endpoint-state": endpoint.state,
        "vpc-endpoint-type": endpoint.vpc_endpoint_type or "Gateway",
    } | tag_fields(tags_of(endpoint))


def endpoint_row(endpoint: VPCEndPoint) -> Any:
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
        "Groups": [] if endpoint.state == "deleted" else endpoint.groups,  # they may be deleted before the row
        "IpAddressType": "ipv4",
        "DnsOptions": {"DnsRecordIpType": "ipv4"},
        "PrivateDnsEnabled": endpoint.private_dns_enabled,
        "RequesterManaged": False,
        "NetworkInterfaceIds": endpoint.network_interface_ids,
        "DnsEntries": endpoint.dns_entries,
        "CreationTimestamp": endpoint.creation_timestamp,
        "Tags": tag_set(tags_of(endpoint)),
        "OwnerId": endpoint.owner_id,
        "LastError": endpoint.last_error,
    }
