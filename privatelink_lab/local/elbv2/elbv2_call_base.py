"""What all calls of ELBv2 share: finding the resource of a request, and freeing unused target groups."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from moto.ec2.models import ec2_backends
from moto.elbv2.exceptions import LoadBalancerNotFoundError
from moto.elbv2.responses import ELBV2Response

from privatelink_lab.local.api.call_base import Call
from privatelink_lab.local.api.server_state import Wait
from privatelink_lab.local.elbv2.forwarding import balancers_of, is_deleted


class ElbCall(Call, ELBV2Response):
    """One ELBv2 request."""

    @property
    def ec2(self) -> Any:
        """The EC2 backend of the caller's account and region."""
        return ec2_backends[self.current_account][self.region]

    def find_named(self, resources: Iterable[Any]) -> Any:
        """The resource that has the name in the request; None without one."""
        name = self._get_param("Name")
        return next((found for found in resources if found.name == name), None)

    def balancer(self) -> Any:
        """The load balancer that LoadBalancerArn names; raises `LoadBalancerNotFound`."""
        balancer = self.elbv2_backend.load_balancers.get(self._get_param("LoadBalancerArn"))
        if balancer is None or is_deleted(self.world, balancer):
            raise LoadBalancerNotFoundError
        return balancer

    def release_target_groups(self) -> None:
        """Free the target groups that no listener uses any more; they stay locked for a moment. moto keeps them."""
        for group in self.elbv2_backend.target_groups.values():
            serving = balancers_of(self.elbv2_backend, group.arn)
            if serving != group.load_balancer_arns:
                self.world.put_off("group_unlocked", Wait.UNLOCKED, group.arn)
            group.load_balancer_arns = serving
