"""The resources that users have made in the local AWS, in all accounts and regions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.elbv2.models import elbv2_backends

from privatelink_lab.local.ec2.backend import ec2_everywhere, is_alive


def count_resources() -> int:
    """How many VPCs, security groups, instances, endpoint services, endpoints, load balancers and target groups exist.

    What AWS makes itself (default VPCs and default security groups) is left out, and so are
    terminated instances, and deleted endpoints and services.
    """
    return len(list(_resources()))


def _resources() -> Iterator[Any]:
    for ec2 in ec2_everywhere():
        yield from (vpc for vpc in ec2.vpcs.values() if str(vpc.is_default).lower() != "true")
        yield from (group for groups in ec2.groups.values() for group in groups.values() if not group.is_default)
        yield from (instance for instance in ec2.all_instances() if instance.state != "terminated")
        yield from (service for service in ec2.configurations.values() if service.service_state != "Deleted")
        yield from (endpoint for endpoint in ec2.vpc_end_points.values() if is_alive(endpoint))
    for _, _, backend in elbv2_backends.iter_backends():
        elb: Any = backend
        yield from [*elb.load_balancers, *elb.target_groups]
