"""Collect evidence: describes only, both sides at once, stage by stage. What is denied is `unseen`, and no error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from privatelink_lab import tags
from privatelink_lab.aws import Account
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.why import metrics
from privatelink_lab.why.evidence import Evidence, Half, Request, distinct

InParallel = Callable[[Sequence[Callable[[], object]]], object]
Fetch = Callable[[], Iterable[Row]]
OF_ELBV2 = {"balancers", "listeners", "target_groups"}
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Asked:
    """What to look at: the service (its id, or the lab's by its tag), and who asks for it with which account.

    The account of a request is None where plab has no credentials of it, that of the provider likewise.
    """

    provider: Account | None
    requests: tuple[tuple[Request, Account | None], ...] = ()
    lab: str = ""
    service: str = ""
    balancer: str = ""  # the name of the lab's, for a lab without a service
    port: int | None = None
    speaks: str = ""
    refusals: tuple[Row, ...] = ()
    named: Callable[[str], bool] = field(default=lambda _: False)  # whether the config names an account
    expected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by endpoint: accounts that may own it
    customer: Callable[[str], str] = field(default=lambda _: "")  # the name of who has an account
    revoked: Callable[[str], bool] = field(default=lambda _: False)  # whether the config takes an account's access
    service_name: str = ""  # where the config names it


@dataclass
class _HalfBeingRead:
    """One account in one Region; several parties may share it."""

    account: Account
    rows: dict[str, list[Row]] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, kind: str, fetch: Fetch) -> Callable[[], None]:
        """A task that adds rows of a kind, or why there are none."""

        def run() -> None:
            try:
                found = [_plain(row) for row in fetch()]
            except PlabError as error:
                code = f"{error.code}: " if isinstance(error, AwsError) else ""
                with self.lock:
                    self.unseen[kind] = f"{code}{error.message if isinstance(error, AwsError) else error}"
                return
            with self.lock:
                self.rows.setdefault(kind, []).extend(found)

        return run

    def pages(self, kind: str, operation: str, result: str, **request: Any) -> Callable[[], None]:
        """A task for one describe of EC2, or of ELBv2 where its answer is about balancers."""
        service = "elbv2" if kind in OF_ELBV2 else "ec2"
        return self.ask(kind, lambda: self.account.pages(service, operation, result, **request))

    def of(self, kind: str, name: str) -> list[str]:
        """The values of `name` in the rows of a kind, once each."""
        return list(dict.fromkeys(row[name] for row in self.rows.get(kind, []) if row.get(name)))

    def done(self) -> Half:
        """What it showed, each row once."""
        rows = {kind: distinct(kind, found) for kind, found in self.rows.items()}
        return Half(self.account.id, self.account.region, rows, dict(self.unseen))  # also what was shown in part


@calls(
    "ec2:DescribeVpcEndpointServiceConfigurations",
    "ec2:DescribeVpcEndpointServicePermissions",
    "ec2:DescribeVpcEndpointConnections",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcEndpointServices",
    "ec2:DescribeVpcs",
    "ec2:DescribeVpcAttribute",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeNetworkAcls",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeInstances",
    "elasticloadbalancing:DescribeLoadBalancers",
    "elasticloadbalancing:DescribeLoadBalancerAttributes",
    "elasticloadbalancing:DescribeListeners",
    "elasticloadbalancing:DescribeTargetGroups",
    "elasticloadbalancing:DescribeTargetGroupAttributes",
    "elasticloadbalancing:DescribeTargetHealth",
)
def collect(asked: Asked, in_parallel: InParallel) -> Evidence:
    """The evidence; `in_parallel` runs tasks at once. Raises nothing that one refused describe could cause."""
    return _Collection(asked, in_parallel).run()


class _Collection:
    def __init__(self, asked: Asked, in_parallel: InParallel) -> None:
        self.asked, self.in_parallel = asked, in_parallel
        self.halves: dict[tuple[str, str], _HalfBeingRead] = {}
        self.unreached: list[Half] = []
        self.provider = self._half(asked.provider)
        self.consumers = {id(request): self._half(account) for request, account in asked.requests}

    def run(self) -> Evidence:
        """Five stages: each needs what the one before has shown."""
        self.in_parallel([*self._endpoints(), *self._services()])
        self.in_parallel([*self._offers(), *self._about_service()])
        self.in_parallel(list(self._about_balancers()))
        self.in_parallel(list(self._about_target_groups()))
        self.in_parallel([*self._networks(), *self._instances(), *self._metrics()])
        asked = [self._complete(request) for request, _ in self.asked.requests]
        requests = [*asked, *self._others(asked)]
        halves = (*(half.done() for half in self.halves.values()), *self.unreached)
        return Evidence(
            at=datetime.now(UTC).strftime(TIME),
            service=self._service_name(),
            lab=self.asked.lab,
            port=self.asked.port,
            speaks=self.asked.speaks,
            is_customers=bool(self.asked.lab) and self.asked.provider is None,
            requests=tuple(map(self._with_customer, requests)),
            halves=tuple(replace(h, rows=dict(h.rows) | {"refusals": self.asked.refusals}) for h in halves),
        )

    def _half(self, account: Account | None) -> _HalfBeingRead | None:
        if account is None:
            return None
        try:
            key = (account.id, account.region)
        except PlabError:
            return None
        return self.halves.setdefault(key, _HalfBeingRead(account))

    # Stage by stage.

    def _endpoints(self) -> list[Callable[[], None]]:
        """The endpoints of the lab in each account, and those that were named by their id."""
        tasks = []
        for half in self.halves.values():
            mine = [request for request, _ in self.asked.requests if self.consumers[id(request)] is half]
            ids = [request.endpoint for request in mine if request.endpoint and not self.asked.lab]
            if ids:
                tasks.append(half.pages("endpoints", "describe_vpc_endpoints", "VpcEndpoints", VpcEndpointIds=ids))
            elif mine and self.asked.lab:
                filters = [{"Name": f"tag:{tags.LAB}", "Values": [self.asked.lab]}]
                tasks.append(half.pages("endpoints", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters))
        return tasks

    def _services(self) -> list[Callable[[], None]]:
        if self.provider is None:
            return []
        operation, result = "describe_vpc_endpoint_service_configurations", "ServiceConfigurations"
        if self.asked.service:
            return [self.provider.pages("services", operation, result, ServiceIds=[self.asked.service])]
        if self.asked.lab:
            filters = [{"Name": f"tag:{tags.LAB}", "Values": [self.asked.lab]}]
            return [self.provider.pages("services", operation, result, Filters=filters)]
        return [self.provider.pages("services", operation, result)]

    def _offers(self) -> list[Callable[[], None]]:
        """The service as each account of a consumer sees it."""
        tasks = []
        for half in self.halves.values():
            mine = [request for request, _ in self.asked.requests if self.consumers[id(request)] is half]
            names = half.of("endpoints", "ServiceName") or ([self._service_name()] if self._service_name() else [])
            if mine and names:  # also those that are not of the lab
                filters = [{"Name": "service-name", "Values": names[:1]}]
                tasks.append(half.pages("endpoints", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters))
            if mine and names and half is not self.provider:
                tasks.append(
                    half.pages("offers", "describe_vpc_endpoint_services", "ServiceDetails", ServiceNames=names[:1])
                )
        return tasks

    def _about_service(self) -> list[Callable[[], None]]:
        half: _HalfBeingRead | None = self.provider
        tasks: list[Callable[[], None]] = []
        if half is None:
            return []
        if not self.asked.lab and not self.asked.service:
            joined = {name for other in self.halves.values() for name in other.of("endpoints", "ServiceName")}
            half.rows["services"] = [row for row in half.rows.get("services", []) if row["ServiceName"] in joined]
            if not half.rows["services"]:
                del half.rows["services"]  # it is of another account
        if self.asked.service and (names := half.of("services", "ServiceName")):
            filters = [{"Name": "service-name", "Values": names}]
            tasks.append(half.pages("endpoints", "describe_vpc_endpoints", "VpcEndpoints", Filters=filters))
        for id_ in half.of("services", "ServiceId"):
            filters = [{"Name": "service-id", "Values": [id_]}]
            tasks += [
                half.ask("permissions", self._permissions(half, id_)),
                half.pages(
                    "connections", "describe_vpc_endpoint_connections", "VpcEndpointConnections", Filters=filters
                ),
            ]
        arns = [arn for row in half.rows.get("services", []) for arn in row.get("NetworkLoadBalancerArns") or ()]
        of = {"LoadBalancerArns": arns} if arns else {"Names": [self.asked.balancer]} if self.asked.balancer else {}
        if of:
            tasks.append(half.pages("balancers", "describe_load_balancers", "LoadBalancers", **of))
        return tasks

    @staticmethod
    def _permissions(half: _HalfBeingRead, service: str) -> Fetch:
        operation = "describe_vpc_endpoint_service_permissions"
        return lambda: [
            row | {"ServiceId": service}
            for row in half.account.pages("ec2", operation, "AllowedPrincipals", ServiceId=service)
        ]

    def _about_balancers(self) -> list[Callable[[], None]]:
        half, tasks = self.provider, []
        for row in half.rows.get("balancers", []) if half else []:
            assert half is not None  # noqa: S101 (there are rows)
            of = {"LoadBalancerArn": row["LoadBalancerArn"]}
            tasks += [
                half.ask("attributes", partial(_add_attributes, half, row, "describe_load_balancer_attributes", of)),
                half.pages("listeners", "describe_listeners", "Listeners", **of),
                half.pages("target_groups", "describe_target_groups", "TargetGroups", **of),
            ]
        return tasks

    def _about_target_groups(self) -> list[Callable[[], None]]:
        half, tasks = self.provider, []
        for row in half.rows.get("target_groups", []) if half else []:
            assert half is not None  # noqa: S101 (there are rows)
            of = {"TargetGroupArn": row["TargetGroupArn"]}
            tasks += [
                half.ask("attributes", partial(_add_attributes, half, row, "describe_target_group_attributes", of)),
                half.ask("targets", partial(_targets, half, of)),
            ]
        return tasks

    def _networks(self) -> list[Callable[[], None]]:
        """What stands in the VPCs of endpoints, requests and balancers."""
        tasks: list[Callable[[], None]] = []
        for half in self.halves.values():
            mine = [request for request, _ in self.asked.requests if self.consumers[id(request)] is half]
            vpcs = {*half.of("endpoints", "VpcId"), *half.of("balancers", "VpcId"), *(r.vpc for r in mine if r.vpc)}
            if not vpcs:
                continue
            filters = [{"Name": "vpc-id", "Values": sorted(vpcs)}]
            tasks += [
                half.pages("subnets", "describe_subnets", "Subnets", Filters=filters),
                half.pages("groups", "describe_security_groups", "SecurityGroups", Filters=filters),
                half.pages("acls", "describe_network_acls", "NetworkAcls", Filters=filters),
                half.pages("vpcs", "describe_vpcs", "Vpcs", VpcIds=sorted(vpcs)),
            ]
            if mine:
                tasks.append(half.pages("dhcp_options", "describe_dhcp_options", "DhcpOptions"))
                tasks += [half.ask("vpc_dns", partial(_dns_of, half, vpc)) for vpc in half.of("endpoints", "VpcId")]
        return tasks

    def _instances(self) -> list[Callable[[], None]]:
        half = self.provider
        ids = {row["Target"]["Id"] for row in (half.rows.get("targets", []) if half else [])}
        ids = {id_ for id_ in ids if id_.startswith("i-")}
        if half is None or not (ids or self.asked.lab):
            return []
        filters = [{"Name": "instance-id", "Values": sorted(ids)}]
        if self.asked.lab and not ids:
            filters = [{"Name": f"tag:{tags.LAB}", "Values": [self.asked.lab]}]

        def fetch() -> Iterable[Row]:
            found = half.account.pages("ec2", "describe_instances", "Reservations", Filters=filters)
            return [row for reservation in found for row in reservation["Instances"]]

        return [half.ask("instances", fetch)]

    def _metrics(self) -> list[Callable[[], None]]:
        """What came from customers whose half is not seen."""
        half = self.provider
        seen = {id_ for other in self.halves.values() for id_ in other.of("endpoints", "VpcEndpointId")}
        rows = [row for row in (half.rows.get("connections", []) if half else []) if row.get("VpcEndpointId")]
        hidden = [row["VpcEndpointId"] for row in rows if row["VpcEndpointId"] not in seen and not _has_ended(row)]
        if half is None or not hidden:
            return []
        service, arns = rows[0]["ServiceId"], half.of("balancers", "LoadBalancerArn")
        return [half.ask("metrics", lambda: metrics.fetch(half.account, service, hidden, arns))]

    # What the requests are, now that their endpoints are seen.

    def _complete(self, request: Request) -> Request:
        """A consumer of the lab with its endpoint's id, by the endpoint's tag."""
        half = self.consumers[id(request)]
        if half is None and not (request.name or request.endpoint):
            return replace(request, endpoint=self._connected(request))
        rows = half.rows.get("endpoints", []) if half else []
        mine = [row for row in rows if tags.of(row).get(tags.KEY) == f"{request.name}/endpoint" and not _has_ended(row)]
        known = next((row for row in rows if row["VpcEndpointId"] == request.endpoint and not _has_ended(row)), None)
        row = known or next(iter(mine), None)
        account = half.account.id if half else request.account
        region = half.account.region if half else request.region
        if row is None:
            gone = half is not None and "endpoints" in half.rows and self.asked.lab
            return replace(request, account=account, region=region, endpoint="" if gone else request.endpoint)
        return replace(request, account=account, region=region, endpoint=row["VpcEndpointId"], vpc=row["VpcId"])

    def _expected(self, connection: Row) -> str:
        """The account of a connection; another one where the config says that it must be of that."""
        owner = str(connection["VpcEndpointOwner"])
        accounts = self.asked.expected.get(connection["VpcEndpointId"], (owner,))
        return owner if owner in accounts else accounts[0]

    def _connected(self, request: Request) -> str:
        """The endpoint of an account that asks from a Region; '' while the provider sees none."""
        for row in self.provider.rows.get("connections", []) if self.provider else []:
            is_its = (row.get("VpcEndpointOwner"), self._region_of(row)) == (request.account, request.region)
            if is_its and row.get("VpcEndpointId") and not _has_ended(row):
                return str(row["VpcEndpointId"])
        return ""

    def _region_of(self, connection: Row) -> str:
        assert self.provider is not None  # noqa: S101 (it has connections)
        return str(connection.get("VpcEndpointRegion") or self.provider.account.region)

    def _others(self, requests: Iterable[Request]) -> list[Request]:
        """The connections of accounts that no request names."""
        if self.provider is None or not (self.asked.lab or self.asked.service):
            return []
        known = {request.endpoint for request in requests}
        return [
            Request(
                "",
                self._expected(row),
                self._region_of(row),
                row["VpcEndpointId"],
                named=self.asked.named(row["VpcEndpointOwner"]),
            )
            for row in self.provider.rows.get("connections", [])
            if row.get("VpcEndpointId") and row["VpcEndpointId"] not in known and not _has_ended(row)
        ]

    def _with_customer(self, request: Request) -> Request:
        account = request.account
        return replace(request, customer=self.asked.customer(account), revoked=self.asked.revoked(account))

    def _service_name(self) -> str:
        rows = self.provider.rows.get("services", []) if self.provider else []
        return str(rows[0]["ServiceName"]) if len(rows) == 1 else self.asked.service_name


def _add_attributes(half: _HalfBeingRead, row: Row, operation: str, of: Row) -> list[Row]:
    """Put the attributes of a balancer or a target group into its row."""
    row["Attributes"] = list(getattr(half.account.elbv2, operation)(**of)["Attributes"])
    return []


def _dns_of(half: _HalfBeingRead, vpc: str) -> list[Row]:
    """Whether AWS's resolver answers in a VPC, and, where an endpoint there has private DNS, whether it may."""
    rows = [row for row in half.rows.get("endpoints", []) if row.get("VpcId") == vpc and row.get("PrivateDnsEnabled")]
    ask, found = half.account.ec2.describe_vpc_attribute, {"VpcId": vpc}
    shown: Any = ask(VpcId=vpc, Attribute="enableDnsSupport")
    found["EnableDnsSupport"] = shown["EnableDnsSupport"]["Value"]
    if rows:
        shown = ask(VpcId=vpc, Attribute="enableDnsHostnames")
        found["EnableDnsHostnames"] = shown["EnableDnsHostnames"]["Value"]
    return [found]


def _targets(half: _HalfBeingRead, of: Row) -> list[Row]:
    answer: Any = half.account.elbv2.describe_target_health(**of)
    return [row | of for row in answer["TargetHealthDescriptions"]]


def _has_ended(row: Row) -> bool:
    return str(row.get("State") or row.get("VpcEndpointState") or "").lower() in {"deleted", "deleting"}


def _plain(row: Row) -> Row:
    """A row without the tags of others."""
    own = [{"Key": name, "Value": value} for name, value in tags.own(tags.of(row)).items()]
    return {name: value for name, value in row.items() if name != "Tags"} | ({"Tags": own} if own else {})
