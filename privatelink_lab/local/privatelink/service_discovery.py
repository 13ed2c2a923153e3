"""The endpoint services that a consumer finds: AWS's own, and those whose permissions name its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from moto.core.base_backend import BaseBackend
from moto.core.responses import ActionResult, BaseResponse
from moto.ec2.exceptions import InvalidServiceName
from moto.ec2.models import ec2_backends
from moto.ec2.models.vpcs import AWS_ENDPOINT_SERVICES
from moto.iam.models import iam_backends

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered, page, tag_fields
from privatelink_lab.local.api.responses import CallRefused, Refusal
from privatelink_lab.local.api.server_state import Fact, Wait, World
from privatelink_lab.local.ec2.backend import ec2_everywhere
from privatelink_lab.local.privatelink.service import EndpointService
from privatelink_lab.local.privatelink.service_calls import shared_view

SHARED_SERVICES = "com.amazonaws.vpce."


class Discovery(Ec2Call):
    """DescribeVpcEndpointServices."""

    def describe_vpc_endpoint_services(self) -> ActionResult:
        """AWS's own services and those that the caller's account may use.

        A name that is unknown or not permitted fails the whole call: `InvalidServiceName`.
        """
        regions = self._get_param("ServiceRegions", []) or [self.region]
        own = aws_services(self.region) if self.region in regions else ()
        offers = {details["ServiceName"]: details for details in own}
        for region in regions:
            found = visible_services(self, region)
            offers |= {service.service_name: offer(service, self.ec2_backend) for service in found}
        names = self._get_param("ServiceNames", []) or sorted(offers)
        for name in names:
            if name not in offers:
                raise InvalidServiceName(name)
        rows, token = page(self, filtered(self, [offers[name] for name in names], offer_fields))
        names = [row["ServiceName"] for row in rows]
        return ActionResult({"ServiceNames": names, "ServiceDetails": rows, "NextToken": token})


def find_service(request: Ec2Call, name: str, region: str) -> EndpointService | None:
    """The service that an endpoint may be created for; None for one of AWS's own.

    Raises `InvalidServiceName` for a service that is unknown, not permitted, or of another region
    than the requested one; CallRefused with 503 `Unavailable` while a new service is not ready.
    """
    if not name.startswith(SHARED_SERVICES):
        require_aws_service(request, name)
        return None
    for service in visible_services(request, region or request.region):
        if service.service_name == name:
            if not is_ready(request.world, service):
                raise CallRefused(_UNAVAILABLE)
            return service
    raise InvalidServiceName(name)


def is_ready(world: World, service: EndpointService) -> bool:
    """Whether a service accepts endpoints: a new one does after a delay, or after the fault `unavailable`."""
    wait = max(world.scheduler.clock.delay("service_ready"), world.faults.seconds("unavailable"))
    return world.scheduler.now() >= world.since(Fact.SERVICE_CREATED, service.id) + wait


_UNAVAILABLE = Refusal(503, "Unavailable", "The service is unavailable. Please try again shortly.")


def require_aws_service(request: Ec2Call, name: str) -> None:
    """Raise `InvalidServiceName` unless AWS runs a service of that name in the caller's region."""
    if name not in {details["ServiceName"] for details in aws_services(request.region)}:
        raise InvalidServiceName(name)


def visible_services(request: Ec2Call, region: str) -> list[EndpointService]:
    """The services in `region` that may be used from the caller's account and region: their own, or a supported one."""
    return [
        service
        for backend in ec2_everywhere()
        for service in backend.configurations.values()
        if service.service_state == "Available"
        and backend.region_name == region
        and request.world.is_visible(service.id)
        and request.region in {region, *service._supported_region_names}
        and allows_caller(service, request)
    ]


def allows_caller(service: EndpointService, request: Ec2Call) -> bool:
    """Whether the service's permissions allow the caller, and have taken effect.

    The owner needs no permission. An account is allowed by its `:root` ARN, a role by its own ARN,
    and all principals by `*`.
    """
    account = request.current_account
    if account == service.ec2_backend.account_id:
        return True
    root = f"arn:{request.partition}:iam::{account}:root"
    principals = {"*", root, _role_of(request)}.intersection(service.principals)
    return any(request.world.is_due(Wait.ALLOWED, service.id, principal) for principal in principals)


def _role_of(request: BaseResponse) -> str:
    keys = iam_backends[request.current_account][request.partition].access_keys
    return str(getattr(keys.get(request.access_key), "role_arn", ""))


def offer(service: EndpointService, consumer: Any) -> dict[str, Any]:
    """The view of a consumer's EC2 backend; the zones are listed in the service's own region only."""
    view = shared_view(service, consumer) | {
        "Owner": service.ec2_backend.account_id,
        "ServiceRegion": service.ec2_backend.region_name,
        "VpcEndpointPolicySupported": False,
        "PayerResponsibility": None,
    }
    if service.private_dns_name:
        names = [{"PrivateDnsName": service.private_dns_name}]
        state = service.verification["State"]
        view |= {"PrivateDnsNames": names, "PrivateDnsNameVerificationState": state}
    return view


def offer_fields(details: Mapping[str, Any]) -> Mapping[str, str | Sequence[str]]:
    """What DescribeVpcEndpointServices can filter by."""
    tags = {tag["Key"]: tag["Value"] for tag in details["Tags"]}
    return {
        "owner": details["Owner"],
        "service-name": details["ServiceName"],
        "service-region": details["ServiceRegion"],
        "service-type": [row["ServiceType"] for row in details["ServiceType"]],
    } | tag_fields(tags)


@lru_cache
def aws_services(region: str) -> tuple[dict[str, Any], ...]:
    """The endpoint services that AWS itself runs in a region, in the consumer's view.

    moto's own list would load every service of moto, and dozens of packages.
    """
    backend = next(iter(ec2_backends.values()))[region]
    zones = sorted(zone.name for zone in backend.describe_availability_zones())
    made = [BaseBackend.default_vpc_endpoint_service_factory(region, zones, name)[0] for name in AWS_ENDPOINT_SERVICES]
    return tuple(details | {"ServiceRegion": region} for details in made)
