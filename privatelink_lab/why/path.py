"""The way of a packet from one customer to the server, as far as the evidence shows it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from privatelink_lab import tags
from privatelink_lab.kind import Row
from privatelink_lab.why.evidence import Evidence, Half, Request

CONSUMER_KINDS = ("endpoints", "offers", "subnets", "groups", "acls", "vpcs")
PROVIDER_KINDS = ("services", "permissions", "connections", "balancers", "listeners", "target_groups", "targets")
CROSS_ZONE = "load_balancing.cross_zone.enabled"


@dataclass(frozen=True)
class Path:
    """One request and what it passes. A half is None where its account was not asked."""

    evidence: Evidence
    request: Request
    service_name: str
    consumer: Half | None
    provider: Half | None

    # What there is.

    def rows(self, kind: str) -> Iterator[Row]:
        """The rows of a kind in both halves."""
        halves = {id(half): half for half in (self.provider, self.consumer) if half}
        return (row for half in halves.values() for row in half.rows.get(kind, ()))

    def one(self, kind: str, name: str, value: object) -> Row | None:
        """The row of a kind whose `name` has this value."""
        return next((row for row in self.rows(kind) if value and row.get(name) == value), None)

    def why_unseen(self, kind: str) -> str:
        """AWS's code where it did not show a kind, `not asked` where the account was not; '' where it was seen."""
        half = self.provider if kind in PROVIDER_KINDS else self.consumer
        if half is None:
            return "not asked"
        return half.unseen.get(kind, "" if kind in half.rows else "not asked")

    def sees(self, *kinds: str) -> bool:
        """Whether all these kinds were shown."""
        return not any(self.why_unseen(kind) for kind in kinds)

    @property
    def lab(self) -> bool:
        """Whether plab made the path, so that plab's commands repair it."""
        return bool(self.evidence.lab)

    # The consumer's half.

    @cached_property
    def endpoint(self) -> Row | None:
        """The endpoint as its owner sees it."""
        return self.one("endpoints", "VpcEndpointId", self.request.endpoint)

    @property
    def vpc(self) -> str:
        """The consumer's VPC; '' where it is not known."""
        return str((self.endpoint or {}).get("VpcId") or self.request.vpc)

    @property
    def endpoint_subnets(self) -> list[Row]:
        """The subnets of the endpoint, or those that a request would use."""
        ids = (self.endpoint or {}).get("SubnetIds") or self.request.subnets
        return [row for id_ in ids if (row := self.one("subnets", "SubnetId", id_))]

    @cached_property
    def endpoint_zones(self) -> list[str]:
        """Their zone IDs."""
        return [row["AvailabilityZoneId"] for row in self.endpoint_subnets]

    @cached_property
    def endpoint_groups(self) -> list[Row]:
        """The endpoint's security groups."""
        ids = [entry["GroupId"] for entry in (self.endpoint or {}).get("Groups") or ()]
        return [row for id_ in ids if (row := self.one("groups", "GroupId", id_))]

    @cached_property
    def client_cidrs(self) -> list[str]:
        """The addresses that clients have: those of the consumer's VPC."""
        return self._cidrs(self.vpc)

    @cached_property
    def offer(self) -> Row | None:
        """The service as the consumer sees it."""
        half = self.consumer
        return next((row for row in (half.rows.get("offers", ()) if half else ()) if self._is_service(row)), None)

    # Permission and acceptance.

    @cached_property
    def connection(self) -> Row | None:
        """The endpoint as the provider sees it."""
        return self.one("connections", "VpcEndpointId", self.request.endpoint)

    @property
    def state(self) -> str:
        """The state of the connection in lower case: the provider's word, or else the endpoint's; '' without one."""
        word = (self.connection or {}).get("VpcEndpointState") or (self.endpoint or {}).get("State") or ""
        return str(word).lower()

    @property
    def account(self) -> str:
        """The account that asks; '' where it is not known."""
        return self.request.account or str((self.connection or {}).get("VpcEndpointOwner", ""))

    @cached_property
    def principals(self) -> list[str]:
        """Who may ask, as ARNs."""
        service = (self.service or {}).get("ServiceId")
        return [row["Principal"] for row in self.rows("permissions") if row.get("ServiceId") == service]

    # The provider's half.

    @cached_property
    def service(self) -> Row | None:
        """The service's configuration."""
        half = self.provider
        return next((row for row in (half.rows.get("services", ()) if half else ()) if self._is_service(row)), None)

    @cached_property
    def balancers(self) -> list[Row]:
        """The service's load balancers."""
        if self.service is None and self.lab and self.provider:  # it is not made yet, or is gone
            return list(self.provider.rows.get("balancers", ()))
        arns = (self.service or {}).get("NetworkLoadBalancerArns") or ()
        return [row for arn in arns if (row := self.one("balancers", "LoadBalancerArn", arn))]

    @cached_property
    def all_listeners(self) -> list[Row]:
        """The listeners of these balancers."""
        arns = {row["LoadBalancerArn"] for row in self.balancers}
        return [row for row in self.rows("listeners") if row["LoadBalancerArn"] in arns]

    @cached_property
    def listeners(self) -> list[Row]:
        """Those on the port that clients use; all where it is not known."""
        port = self.evidence.port
        return [row for row in self.all_listeners if port is None or row["Port"] == port]

    @cached_property
    def ports(self) -> list[int]:
        """The port that clients use, or else those of the listeners."""
        return [self.evidence.port] if self.evidence.port else sorted({row["Port"] for row in self.listeners})

    @property
    def port(self) -> int | None:
        """The port, if there is one alone."""
        return self.ports[0] if len(self.ports) == 1 else None

    @cached_property
    def target_groups(self) -> list[Row]:
        """The target groups to which the listeners forward."""
        arns = {action.get("TargetGroupArn") for row in self.listeners for action in row.get("DefaultActions") or ()}
        return [row for row in self.rows("target_groups") if row["TargetGroupArn"] in arns]

    @cached_property
    def targets(self) -> list[Row]:
        """The targets in them, with their health."""
        arns = {row["TargetGroupArn"] for row in self.target_groups}
        return [row for row in self.rows("targets") if row["TargetGroupArn"] in arns]

    def instance(self, target: Row) -> Row | None:
        """The instance of a target; None for an address."""
        return self.one("instances", "InstanceId", target["Target"]["Id"])

    def groups_of(self, row: Row) -> list[Row]:
        """The security groups of an instance or a balancer."""
        ids = [entry["GroupId"] if isinstance(entry, dict) else entry for entry in row.get("SecurityGroups") or ()]
        return [found for id_ in ids if (found := self.one("groups", "GroupId", id_))]

    def balancer_subnets(self, balancer: Row) -> list[Row]:
        """The subnets of a balancer."""
        ids = [zone.get("SubnetId") for zone in balancer.get("AvailabilityZones") or ()]
        return [row for id_ in ids if (row := self.one("subnets", "SubnetId", id_))]

    def balancer_zones(self, balancer: Row) -> set[str]:
        """The zone IDs of a balancer, as far as its subnets are seen."""
        return {row["AvailabilityZoneId"] for row in self.balancer_subnets(balancer)}

    @cached_property
    def service_zones(self) -> set[str]:
        """The zone IDs in which the service can be asked, as its owner or its consumer sees them."""
        for row in (self.service, self.offer):
            if row and row.get("AvailabilityZoneIds"):
                return set(row["AvailabilityZoneIds"])
        names = set((self.service or self.offer or {}).get("AvailabilityZones") or ())
        half = self.provider if self.service else self.consumer
        rows = half.rows.get("subnets", ()) if half else ()
        return {row["AvailabilityZoneId"] for row in rows if row.get("AvailabilityZone") in names}

    def zone_of(self, target: Row) -> str:
        """The zone ID of a target; '' where it is not seen."""
        subnet = self.one("subnets", "SubnetId", (self.instance(target) or {}).get("SubnetId"))
        return str(subnet["AvailabilityZoneId"]) if subnet else ""

    def acl_of(self, subnet: Row) -> Row | None:
        """The network ACL of a subnet."""
        for row in self.rows("acls"):
            if any(entry.get("SubnetId") == subnet["SubnetId"] for entry in row.get("Associations") or ()):
                return row
        return None

    @cached_property
    def provider_cidrs(self) -> list[str]:
        """The CIDRs of the balancers' subnets: what targets see, and where health checks come from."""
        return [subnet["CidrBlock"] for row in self.balancers for subnet in self.balancer_subnets(row)]

    def sum_of(self, metric: str) -> float | None:
        """A metric of this endpoint in the last hour, as the provider's CloudWatch has it; None without one."""
        rows = (row for row in self.rows("metrics") if row.get("Name") == metric)
        return next((row["Sum"] for row in rows if row.get("VpcEndpointId") == self.request.endpoint), None)

    @property
    def partition(self) -> str:
        """The first part of ARNs in the provider's Region."""
        region = self.provider.region if self.provider else self.request.region
        return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rsplit("-", 2)[0], "aws")

    @property
    def is_own(self) -> bool:
        """Whether the endpoint is a consumer's of the lab, so that plab has made it and its groups."""
        return self.lab and bool(self.request.name)

    @property
    def repair(self) -> str:
        """Plab's command for what a consumer of the lab has; it adopts what has lost the lab's tags."""
        has_lost = self.endpoint is not None and tags.LAB not in tags.of(self.endpoint)
        return ("plab up --adopt" if has_lost else "plab up") if self.is_own else ""

    @property
    def is_permitted(self) -> bool:
        """Whether a principal lets the account ask, or might: one of an organization, say. Its owner always may."""
        account = self.account
        if not account or (self.provider and account == self.provider.account):
            return True
        return any(":iam::" not in principal or f":{account}:" in principal for principal in self.principals)

    # Words.

    def consumer_words(self, *commands: str) -> str:
        """One line of `aws` commands in the consumer's Region."""
        return ByHand(_in_region(self.request.region, commands), self.account)

    def provider_words(self, *commands: str) -> str:
        """One line of `aws` commands in the provider's Region."""
        region = self.provider.region if self.provider else self.request.region
        return ByHand(_in_region(region, commands), self.provider.account if self.provider else "")

    def _cidrs(self, vpc: str) -> list[str]:
        row = self.one("vpcs", "VpcId", vpc) or {}
        blocks = [
            block["CidrBlock"]
            for block in row.get("CidrBlockAssociationSet") or ()
            if (block.get("CidrBlockState") or {}).get("State", "associated") == "associated"
        ]
        return blocks or [cidr for cidr in [row.get("CidrBlock")] if cidr]

    def _is_service(self, row: Row) -> bool:
        return bool(self.service_name) and row.get("ServiceName") == self.service_name


class ByHand(str):
    """A line of commands of the AWS CLI, and the account whose credentials it takes; '' where it is not known."""

    __slots__ = ("account",)
    account: str

    def __new__(cls, text: str, account: str) -> Self:
        """The line, for that account."""
        made = super().__new__(cls, text)
        made.account = account
        return made


def _in_region(region: str, commands: Iterable[str]) -> str:
    return " && ".join(f"aws {command} --region {region}" for command in commands)


def value_of(row: Row, key: str) -> str:
    """An attribute of a balancer, a target group or a listener; '' where it was not shown."""
    found: Any = next((pair for pair in row.get("Attributes") or () if pair["Key"] == key), None)
    return str(found["Value"]) if found else ""


def paths(evidence: Evidence) -> list[Path]:
    """The path of each request, and of each endpoint and connection that no request names."""
    found = [_path(evidence, request) for request in evidence.requests]
    named = {request.endpoint for request in evidence.requests}
    for half in evidence.halves:
        for row in half.rows.get("endpoints", ()):
            if row["VpcEndpointId"] not in named and row.get("ServiceName") in _service_names(evidence):
                named.add(row["VpcEndpointId"])
                account = row.get("OwnerId") or half.account
                found.append(_path(evidence, Request("", account, half.region, row["VpcEndpointId"])))
    for half in evidence.halves:
        for row in half.rows.get("connections", ()):
            if row.get("VpcEndpointId") and row["VpcEndpointId"] not in named:
                named.add(row["VpcEndpointId"])
                region = row.get("VpcEndpointRegion") or half.region
                found.append(_path(evidence, Request("", row["VpcEndpointOwner"], region, row["VpcEndpointId"])))
    return found


def _service_names(evidence: Evidence) -> set[str]:
    names = (row["ServiceName"] for half in evidence.halves for row in half.rows.get("services", ()))
    return {*names, *([evidence.service] if evidence.service else [])}


def _path(evidence: Evidence, request: Request) -> Path:
    ours = [half for half in evidence.halves if half.account == request.account and half.region == request.region]
    name = evidence.service or _joined(request, evidence.halves)
    owners = [half for half in evidence.halves if any(r["ServiceName"] == name for r in half.rows.get("services", ()))]
    providers = owners or [half for half in evidence.halves if "services" in {**half.rows, **half.unseen}]
    return Path(evidence, request, name, next(iter(ours), None), next(iter(providers), None))


def _joined(request: Request, halves: Iterable[Half]) -> str:
    """The service that an endpoint asks, or that its connection is with."""
    for half in halves:
        for row in half.rows.get("endpoints", ()):
            if row["VpcEndpointId"] == request.endpoint:
                return str(row.get("ServiceName") or "")
    for half in halves:
        for row in half.rows.get("connections", ()):
            if row.get("VpcEndpointId") == request.endpoint:
                named = (r["ServiceName"] for r in half.rows.get("services", ()) if r["ServiceId"] == row["ServiceId"])
                return str(next(named, ""))
    return next((str(r["ServiceName"]) for half in halves for r in half.rows.get("services", ())), "")
