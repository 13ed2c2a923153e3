"""The resources that users have made in the local AWS, in all accounts and regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto.elbv2.models import elbv2_backends

from privatelink_lab.local.ec2.backend import all_subnets, ec2_everywhere, is_alive
from privatelink_lab.local.server.local_aws import LocalAws

EC2_KINDS: Mapping[str, Callable[[Any], Iterable[Any]]] = {
    "vpc": lambda ec2: (vpc for vpc in ec2.vpcs.values() if str(vpc.is_default).lower() != "true"),
    "subnet": lambda ec2: (subnet for subnet in all_subnets(ec2) if not subnet.default_for_az),
    "security-group": lambda ec2: (
        group for groups in ec2.groups.values() for group in groups.values() if not group.is_default
    ),
    "route-table": lambda ec2: (table for table in ec2.route_tables.values() if not table.main_association_id),
    "internet-gateway": lambda ec2: ec2.internet_gateways.values(),
    "network-interface": lambda ec2: ec2.enis.values(),
    "volume": lambda ec2: ec2.volumes.values(),
    "instance": lambda ec2: (
        instance
        for reservation in ec2.reservations.values()
        for instance in reservation.instances
        if instance.state != "terminated"
    ),
    "service": lambda ec2: (service for service in ec2.configurations.values() if service.service_state != "Deleted"),
    "endpoint": lambda ec2: (endpoint for endpoint in ec2.vpc_end_points.values() if is_alive(endpoint)),
}


class InventoriedAws(LocalAws):
    """A local AWS that lists what is in it."""

    def inventory(self) -> dict[str, list[str]]:
        """Kind -> the resources that users have made and that exist now, with their tags."""
        with self._lock:
            self._sync.run_due()
            return take_inventory()


def take_inventory() -> dict[str, list[str]]:
    """Kind -> the existing resources, as sorted lines `account/region id {tags}`.

    Resources that AWS makes itself (default VPCs and what belongs to a VPC), terminated instances,
    and deleted endpoints and services are left out. The lines of security groups have their rules,
    those of services their principals, so that two inventories can be compared.
    """
    found: dict[str, list[str]] = {}
    for kind, line in [*_ec2_lines(), *_elb_lines()]:
        found.setdefault(kind, []).append(line)
    return {kind: sorted(lines) for kind, lines in sorted(found.items())}


def _ec2_lines() -> Iterator[tuple[str, str]]:
    for ec2 in ec2_everywhere():
        place = f"{ec2.account_id}/{ec2.region_name}"
        for kind, things in EC2_KINDS.items():
            for thing in things(ec2):
                tags = dict(sorted(ec2.tags.get(thing.id, {}).items()))
                yield kind, f"{place} {thing.id} {tags}{_extra(kind, thing)}"


def _extra(kind: str, thing: Any) -> str:
    if kind == "security-group":
        rules = [*thing.ingress_rules, *thing.egress_rules]
        return f" {sorted(rule.id for rule in rules)}"
    return f" {thing.principals}" if kind == "service" else ""


def _elb_lines() -> Iterator[tuple[str, str]]:
    for _, _, backend in elbv2_backends.iter_backends():
        elb: Any = backend
        listeners = [arn for lb in elb.load_balancers.values() for arn in lb.listeners]
        kinds = {
            "load-balancer": elb.load_balancers,
            "listener": listeners,
            "target-group": elb.target_groups,
        }
        for kind, arns in kinds.items():
            for arn in arns:
                tags = elb.tagging_service.get_tag_dict_for_resource(arn)
                yield kind, f"{arn} {dict(sorted(tags.items()))}"
        for group in elb.target_groups.values():
            for target in group.targets:
                yield "target", f"{group.arn} {target}"
