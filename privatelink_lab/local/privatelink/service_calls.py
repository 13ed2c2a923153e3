"""The provider's calls: create, describe, modify and delete endpoint services."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response
from moto.ec2.utils import add_tag_specification

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered, tag_fields, tag_set, tags_of
from privatelink_lab.local.api.responses import unsuccessful_item
from privatelink_lab.local.api.server_state import Fact, World
from privatelink_lab.local.privatelink.endpoint import ATTACHED_STATES, connections_of
from privatelink_lab.local.privatelink.service import EndpointService, check_balancers, regions_after


class Services(Ec2Call):
    """Create, describe, modify and delete endpoint services."""

    def create_vpc_endpoint_service_configuration(self) -> ActionResult:
        """The new service, `Available` at once; a repeated ClientToken gives the same one."""
        service = self.make_once(self.ec2_backend.configurations.get, self._create_service)
        return ActionResult({"ServiceConfiguration": configuration_row(service)})

    def describe_vpc_endpoint_service_configurations(self) -> ActionResult:
        """The caller's own services; an unknown id is `InvalidVpcEndpointServiceId.NotFound`."""
        chosen = self.ec2_backend.describe_vpc_endpoint_service_configurations(self._get_param("ServiceIds", []))
        found = [configuration_row(service) for service in filtered(self, chosen, fields_of)]
        return ActionResult({"ServiceConfigurations": found})

    def modify_vpc_endpoint_service_configuration(self) -> ActionResult:
        """Change a service; its zones are those of its load balancers again.

        `ExistingVpcEndpointConnections` when a load balancer is removed while endpoints are connected.
        """
        service = service_of(self)
        add = self._get_param("AddNetworkLoadBalancerArns", [])
        gone = self._get_param("RemoveNetworkLoadBalancerArns", [])
        arns = [arn for arn in [*service.network_load_balancer_arns, *add] if arn not in gone]
        check_balancers(self.world, self.ec2_backend, add)
        if not arns:
            raise EC2ClientError("InvalidParameter", "At least one load balancer must stay with the service.")
        if gone and self._has_endpoints(service.id):
            raise EC2ClientError("ExistingVpcEndpointConnections", _HAS_CONNECTIONS)
        service._supported_region_names = regions_after(
            self.ec2_backend,
            service._supported_region_names,
            add=self._get_param("AddSupportedRegions", []),
            remove=self._get_param("RemoveSupportedRegions", []),
        )
        service.network_load_balancer_arns = arns
        service.set_zones([self.ec2_backend.elbv2_backend.load_balancers[arn] for arn in arns])
        accept = self._get_param("AcceptanceRequired")
        service.acceptance_required = service.acceptance_required if accept is None else accept
        if self._get_param("PrivateDnsName") or self._get_param("RemovePrivateDnsName"):
            service.set_private_dns_name(self._get_param("PrivateDnsName", ""))
        return ActionResult({"Return": True})

    def start_vpc_endpoint_service_private_dns_verification(self) -> ActionResult:
        """Verify the private name; it ends as `failed`, since the local AWS has no DNS for the record."""
        service = service_of(self)
        if not service.private_dns_name:
            raise EC2ClientError("InvalidParameter", f"The service {service.id} has no private DNS name.")
        verification = service.verification
        verification["State"] = "pendingVerification"
        self.world.scheduler.after("domain_checked", lambda: verification.update(State="failed"))
        return ActionResult({"ReturnValue": True})

    def delete_vpc_endpoint_service_configurations(self) -> ActionResult:
        """HTTP 200; a service that is unknown or in use is an item of `Unsuccessful`."""
        refusals = [self._delete_service(service_id) for service_id in self._get_param("ServiceIds", [])]
        return ActionResult({"Unsuccessful": [refusal for refusal in refusals if refusal]})

    def _create_service(self) -> tuple[EndpointService, str]:
        backend, arns = self.ec2_backend, self._get_param("NetworkLoadBalancerArns", [])
        if bool(arns) == bool(self._get_param("GatewayLoadBalancerArns", [])):
            text = "Exactly one of network_load_balancer_arn or gateway_load_balancer_arn members must be specified."
            raise EC2ClientError("InvalidParameter", text)
        if not arns:
            raise EC2ClientError("UnsupportedOperation", "The local AWS has no Gateway Load Balancers.")
        balancers = check_balancers(self.world, backend, arns)
        regions = regions_after(backend, [], add=self._get_param("SupportedRegions", []))
        service = EndpointService(  # type: ignore[abstract]  # CloudFormation's hooks, as in moto
            backend, balancers, regions, accept=self._get_param("AcceptanceRequired", True)
        )
        if self._get_param("PrivateDnsName"):
            service.set_private_dns_name(self._get_param("PrivateDnsName"))
        service.add_tags(add_tag_specification(self._get_param("TagSpecifications", [])))
        backend.configurations[service.id] = service
        self.world.record(Fact.SERVICE_CREATED, service.id)
        return service, service.id

    def _has_endpoints(self, service_id: str) -> bool:
        rows = connections_of(self.current_account, self.region)
        return any(endpoint.state in ATTACHED_STATES for service, endpoint in rows if service == service_id)

    def _delete_service(self, service_id: str) -> dict[str, Any] | None:
        config = self.ec2_backend.configurations.get(service_id)
        if config is None or config.service_state == "Deleted" or not self.world.is_visible(service_id):
            return unsuccessful_item(
                service_id,
                "InvalidVpcEndpointService.NotFound",
                f"The VpcEndpointService Id '{service_id}' does not exist",
            )
        if self._has_endpoints(service_id):
            return unsuccessful_item(service_id, "ExistingVpcEndpointConnections", _HAS_CONNECTIONS)
        if config.service_state == "Available":
            start_deletion(self.world, self.ec2_backend, config)
        return None


_HAS_CONNECTIONS = "Service has existing active VPC Endpoint connections!"


def start_deletion(world: World, backend: Any, service: EndpointService) -> None:
    """Delete a service: Deleting, then Deleted, then not found."""

    def remove() -> None:
        backend.configurations.pop(service.id, None)
        backend.tags.pop(service.id, None)

    def finish() -> None:
        service.service_state = "Deleted"
        world.scheduler.after("service_gone", remove)

    service.service_state = "Deleting"
    world.scheduler.after("service_deleted", finish)


def service_of(request: EC2Response) -> EndpointService:
    """The caller's service that ServiceId names.

    Raises `InvalidVpcEndpointServiceId.NotFound` for an unknown or foreign one.
    """
    ids = [request._get_param("ServiceId")]
    found = request.ec2_backend.describe_vpc_endpoint_service_configurations(ids)
    service: EndpointService = found[0]
    return service


def fields_of(service: EndpointService) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpointServiceConfigurations can filter by."""
    return {
        "service-id": service.id,
        "service-name": service.service_name,
        "service-state": service.service_state,
        "supported-region": service._supported_region_names,
    } | tag_fields(tags_of(service))


def configuration_row(service: EndpointService) -> dict[str, Any]:
    """The owner's view of a service. ServiceState is PascalCase, unlike the states of endpoints."""
    return shared_view(service, service.ec2_backend) | {
        "ServiceState": service.service_state,
        "NetworkLoadBalancerArns": service.network_load_balancer_arns,
        "PrivateDnsName": service.private_dns_name or None,
        "PrivateDnsNameConfiguration": service.verification or None,
        "SupportedRegions": service.supported_regions,
    }


def shared_view(service: EndpointService, reader: Any) -> dict[str, Any]:
    """The part of the response that owner and consumers see, with the zones of the reader's region by its own names."""
    zones = [zone for zone in reader.describe_availability_zones() if zone.zone_id in service.zone_ids]
    return {
        "ServiceId": service.id,
        "ServiceName": service.service_name,
        "ServiceType": service.service_type,
        "AvailabilityZones": [zone.name for zone in zones],
        "AvailabilityZoneIds": [zone.zone_id for zone in zones],
        "AcceptanceRequired": service.acceptance_required,
        "ManagesVpcEndpoints": False,
        "BaseEndpointDnsNames": [service.endpoint_dns_name],
        "SupportedIpAddressTypes": ["ipv4"],
        "Tags": tag_set(tags_of(service)),
    }
