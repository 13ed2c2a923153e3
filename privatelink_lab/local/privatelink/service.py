"""One endpoint service, and the rules for its load balancers and regions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import ec2_backends
from moto.ec2.models.vpc_service_configuration import VPCServiceConfiguration
from moto.moto_api._internal import mock_random

from privatelink_lab.local.api.server_state import Fact, World, new_id

PERMISSION = "vpce-svc-perm"


class EndpointService(VPCServiceConfiguration):
    """An endpoint service. Its private name has to be verified before consumers can use it."""

    def __init__(self, backend: Any, balancers: Sequence[Any], regions: Sequence[str], *, accept: bool) -> None:
        super().__init__(list(balancers), backend.region_name, accept, "", list(regions), backend)
        self.id = new_id("vpce-svc")  # moto's has 8 digits, AWS's has 17
        self.service_name = f"com.amazonaws.vpce.{backend.region_name}.{self.id}"
        self.endpoint_dns_name = f"{self.id}.{backend.region_name}.vpce.amazonaws.com"
        self.permission_ids: dict[str, str] = {}  # by principal
        self.verification: dict[str, str] = {}  # the TXT record that verifies the private name, and the state
        self.set_zones(balancers)

    @property
    def has_verified_name(self) -> bool:
        """Whether consumers may use a private name."""
        return self.verification.get("State") == "verified"

    def set_zones(self, balancers: Sequence[Any]) -> None:
        """Take the zones of these load balancers, by id: every account has its own names for them."""
        self.zone_ids = {subnet.availability_zone_id for balancer in balancers for subnet in balancer.subnets}

    def set_private_dns_name(self, name: str) -> None:
        """Set the private name, which has to be verified; an empty name removes it."""
        self.private_dns_name = name
        record = {"Type": "TXT", "Name": f"_{mock_random.get_random_string(20, lower_case=True)}"}
        value = f"vpce:{mock_random.get_random_string(20)}"
        self.verification = {"State": "pendingVerification", **record, "Value": value} if name else {}


_ARN = re.compile(r"arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/net/[A-Za-z0-9-]+/[0-9a-f]+")


def check_balancers(world: World, backend: Any, arns: Sequence[str]) -> list[Any]:
    """The caller's load balancers: they must be of type network, active, and of no other service.

    AWS does not document the code for one that is still provisioning: here it is
    `InvalidParameter` (AWS facts 13).
    """
    known = backend.elbv2_backend.load_balancers
    for arn in arns:
        if ":loadbalancer/app/" in arn and arn in known:
            raise EC2ClientError("InvalidParameter", f"The load balancer '{arn}' is not of type network.")
        if not _ARN.fullmatch(arn):
            raise EC2ClientError("InvalidNetworkLoadBalancerArn.Malformed", f"The ARN '{arn}' is malformed.")
        if arn not in known or world.is_true(Fact.BALANCER_DELETED, arn):
            text = f"The network load balancer '{arn}' does not exist."
            raise EC2ClientError("InvalidNetworkLoadBalancerArn.NotFound", text)
        if known[arn].state != "active":
            text = f"The load balancer '{arn}' is {known[arn].state}; it must be active."
            raise EC2ClientError("InvalidParameter", text)
        for service in backend.configurations.values():
            if arn in service.network_load_balancer_arns:
                text = f"The load balancer {arn} is already associated with another VPC Endpoint Service: {service.id}"
                raise EC2ClientError("InvalidParameter", text)
    return [known[arn] for arn in arns]


def regions_after(
    backend: Any, supported: Sequence[str], *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> list[str]:
    """The supported regions after a change, without the service's own, which cannot be removed."""
    for region in add:
        if region not in ec2_backends[backend.account_id].regions:
            raise EC2ClientError("InvalidParameter", f"The region {region} does not exist.")
    for region in remove:
        if region not in supported:
            raise EC2ClientError("InvalidParameter", f"Cannot remove region {region}: it is not supported.")
    return [region for region in dict.fromkeys([*supported, *add]) if region not in remove]
