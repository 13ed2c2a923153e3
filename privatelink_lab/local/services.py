"""Endpoint services: the provider's side of PrivateLink, and who may see one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from moto.core.base_backend import BaseBackend
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.exceptions import InvalidServiceName
from moto.ec2.models import ec2_backends
from moto.ec2.models.vpc_service_configuration import VPCServiceConfiguration
from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES
from moto.ec2.responses import EC2Response
from moto.iam.models import iam_backends

from privatelink_lab.local.endpoints import BLOCKING, connections_of, ec2_everywhere
from privatelink_lab.local.filters import as_tag_set, page, passes, tag_fields, wanted
from privatelink_lab.local.world import Ec2Call, new_id, once


class Services(Ec2Call):
    """Create, describe and delete endpoint services; permissions; the consumer's catalogue."""

    def create_vpc_endpoint_service_configuration(self) -> ActionResult:
        """The new service, `Available` at once; a repeated ClientToken gives the same one."""
        config = once(
            self.world,
            self,
            lambda ids: self.ec2_backend.configurations.get(ids[0]),
            self._create_service,
        )
        return ActionResult({"ServiceConfiguration": configuration(config)})

    def describe_vpc_endpoint_service_configurations(self) -> ActionResult:
        """The caller's own services; an unknown id is `InvalidVpcEndpointServiceId.NotFound`."""
        chosen = self.ec2_backend.describe_vpc_endpoint_service_configurations(self._get_param("ServiceIds", []))
        filters = wanted(self)
        rows, token = page(self, [each for each in chosen if passes(filters, fields_of(each))])
        answer = {"ServiceConfigurations": [configuration(row) for row in rows]}
        return ActionResult(answer | {"NextToken": token})

    def delete_vpc_endpoint_service_configurations(self) -> ActionResult:
        """HTTP 200; what is refused or unknown is an item of `Unsuccessful`."""
        refusals = [self._delete_service(each) for each in self._get_param("ServiceIds", [])]
        return ActionResult({"Unsuccessful": [each for each in refusals if each]})

    def modify_vpc_endpoint_service_permissions(self) -> ActionResult:
        """Add, then remove principals; the list keeps its order and holds none twice."""
        config = service_of(self)
        added = [*config.principals, *self._get_param("AddAllowedPrincipals", [])]
        removed = set(self._get_param("RemoveAllowedPrincipals", []))
        config.principals = [each for each in dict.fromkeys(added) if each not in removed]
        return ActionResult({"ReturnValue": True})

    def describe_vpc_endpoint_services(self) -> ActionResult:
        """AWS's own services and those that the caller's account may use.

        One unknown name, or one without permission, fails the whole call: `InvalidServiceName`.
        """
        offers = {each["ServiceName"]: each for each in aws_services(self.region)}
        offers |= {each.service_name: offer(each) for each in visible_services(self)}
        names = self._get_param("ServiceNames", []) or sorted(offers)
        for name in names:
            if name not in offers:
                raise InvalidServiceName(name)
        filters = wanted(self)
        chosen = [offers[name] for name in names if passes(filters, offer_fields(offers[name]))]
        rows, token = page(self, chosen)
        found = {"ServiceNames": [row["ServiceName"] for row in rows], "ServiceDetails": rows}
        return ActionResult(found | {"NextToken": token})

    def _create_service(self) -> tuple[VPCServiceConfiguration, list[str]]:
        made: Any = super().create_vpc_endpoint_service_configuration().result
        config: VPCServiceConfiguration = made["ServiceConfiguration"]
        backend = self.ec2_backend
        tags = backend.tags.pop(config.id, {})
        del backend.configurations[config.id]
        config.id = new_id("vpce-svc")  # moto's has 8 digits, AWS's has 17
        config.service_name = f"com.amazonaws.vpce.{self.region}.{config.id}"
        config.endpoint_dns_name = f"{config.id}.{self.region}.vpce.amazonaws.com"
        config.availability_zones = sorted(set(config.availability_zones))
        backend.configurations[config.id] = config
        config.add_tags(tags)
        return config, [config.id]

    def _delete_service(self, service_id: str) -> dict[str, Any] | None:
        config = self.ec2_backend.configurations.get(service_id)
        if config is None or config.service_state == "Deleted":
            return refusal(
                service_id,
                "InvalidVpcEndpointService.NotFound",
                f"The VpcEndpointService Id '{service_id}' does not exist",
            )
        rows = connections_of(self.current_account, self.region)
        if any(each.state in BLOCKING for service, each in rows if service == service_id):
            return refusal(
                service_id,
                "ExistingVpcEndpointConnections",
                "Service has existing active VPC Endpoint connections!",
            )
        if config.service_state == "Available":
            self._retire(config)
        return None

    def _retire(self, config: VPCServiceConfiguration) -> None:
        backend, agenda = self.ec2_backend, self.world.agenda

        def vanish() -> None:
            backend.configurations.pop(config.id, None)
            backend.tags.pop(config.id, None)

        def deleted() -> None:
            config.service_state = "Deleted"
            agenda.after("service_gone", vanish)

        config.service_state = "Deleting"
        agenda.after("service_deleted", deleted)


def refusal(resource_id: str, code: str, message: str) -> dict[str, Any]:
    """One item of `Unsuccessful`."""
    return {"ResourceId": resource_id, "Error": {"Code": code, "Message": message}}


def service_of(request: EC2Response) -> VPCServiceConfiguration:
    """The caller's service that ServiceId names.

    Raises `InvalidVpcEndpointServiceId.NotFound` for an unknown or foreign one.
    """
    ids = [request._get_param("ServiceId")]
    found = request.ec2_backend.describe_vpc_endpoint_service_configurations(ids)
    config: VPCServiceConfiguration = found[0]
    return config


def all_services() -> Iterator[VPCServiceConfiguration]:
    """Every endpoint service of every account and region."""
    for backend in ec2_everywhere():
        yield from backend.configurations.values()


def visible_services(request: BaseResponse, region: str = "") -> list[VPCServiceConfiguration]:
    """The services that may be used from the caller's account and region.

    `region` is where the service runs, by default the caller's own; a service of another region
    must support the caller's.
    """
    return [
        config
        for config in all_services()
        if config.service_state == "Available"
        and config.ec2_backend.region_name == (region or request.region)
        and reaches(config, request.region)
        and admits(config, request)
    ]


def reaches(config: VPCServiceConfiguration, region: str) -> bool:
    """Whether consumers of that region can use the service: its own, or one it supports."""
    return region in {config.ec2_backend.region_name, *config._supported_region_names}


def admits(config: VPCServiceConfiguration, request: BaseResponse) -> bool:
    """Whether a principal of the service stands for the caller.

    The owner needs none. An account is allowed by its `:root` ARN, a role by its own ARN, and
    everybody by `*`.
    """
    account = request.current_account
    if account == config.ec2_backend.account_id:
        return True
    keys = iam_backends[account][request.partition].access_keys
    role = getattr(keys.get(request.access_key), "role_arn", None)
    root = f"arn:{request.partition}:iam::{account}:root"
    return not {"*", root, role}.isdisjoint(config.principals)


def zone_ids(config: VPCServiceConfiguration) -> list[str]:
    """The ids of a service's zones, in the order of their names."""
    zones = config.ec2_backend.describe_availability_zones()
    ids = {zone.name: zone.zone_id for zone in zones}
    return [ids[name] for name in config.availability_zones]


def tags_of(config: VPCServiceConfiguration) -> dict[str, str]:
    """The tags of a service."""
    return dict(config.ec2_backend.tags.get(config.id, {}))


def fields_of(config: VPCServiceConfiguration) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpointServiceConfigurations can filter by."""
    return {
        "service-id": config.id,
        "service-name": config.service_name,
        "service-state": config.service_state,
        "supported-region": config._supported_region_names,
    } | tag_fields(tags_of(config))


def configuration(config: VPCServiceConfiguration) -> dict[str, Any]:
    """The owner's view of a service. ServiceState is PascalCase, unlike endpoint states."""
    private_name = config.private_dns_name
    return _shared(config) | {
        "ServiceState": config.service_state,
        "NetworkLoadBalancerArns": config.network_load_balancer_arns or None,
        "GatewayLoadBalancerArns": config.gateway_load_balancer_arns or None,
        "PrivateDnsName": private_name,
        "PrivateDnsNameConfiguration": config.private_dns_name_configuration or None,
        "SupportedRegions": config.supported_regions,
    }


def offer(config: VPCServiceConfiguration) -> dict[str, Any]:
    """The consumer's view of a service."""
    return _shared(config) | {
        "Owner": config.ec2_backend.account_id,
        "ServiceRegion": config.ec2_backend.region_name,
        "VpcEndpointPolicySupported": False,
    }


def _shared(config: VPCServiceConfiguration) -> dict[str, Any]:
    return {
        "ServiceId": config.id,
        "ServiceName": config.service_name,
        "ServiceType": config.service_type,
        "AvailabilityZones": config.availability_zones,
        "AvailabilityZoneIds": zone_ids(config),
        "AcceptanceRequired": config.acceptance_required,
        "ManagesVpcEndpoints": False,
        "BaseEndpointDnsNames": [config.endpoint_dns_name],
        "SupportedIpAddressTypes": ["ipv4"],
        "Tags": as_tag_set(tags_of(config)),
    }


def offer_fields(details: Mapping[str, Any]) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpointServices can filter by."""
    tags = {tag["Key"]: tag["Value"] for tag in details["Tags"]}
    return {
        "owner": details["Owner"],
        "service-name": details["ServiceName"],
        "service-region": details["ServiceRegion"],
        "service-type": [each["ServiceType"] for each in details["ServiceType"]],
    } | tag_fields(tags)


@lru_cache
def aws_services(region: str) -> tuple[dict[str, Any], ...]:
    """The endpoint services that AWS itself runs in a region, in the consumer's view.

    moto's own list loads every service that moto knows, and with it dozens of packages.
    """
    backend = next(iter(ec2_backends.values()))[region]
    zones = sorted(zone.name for zone in backend.describe_availability_zones())
    made = [BaseBackend.default_vpc_endpoint_service_factory(region, zones, name)[0] for name in AWS_ENDPOINT_SERVICES]
    return tuple(each | {"ServiceRegion": region} for each in made)
