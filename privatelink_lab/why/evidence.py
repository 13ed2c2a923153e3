"""What AWS showed of a service and of those who ask for it: plain data that can be saved, sent and judged elsewhere.

It holds rows of describes, without tags of others and without any secret. The files of both sides are one evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.kind import Row
from privatelink_lab.text_file import read_text

SCHEMA = 1
SAFE = re.compile(r"[\w:./*@+=,-]*")
TYPED = re.compile(  # the names of what commands are made of
    r"(.*(Ids?|Arns?|Region|RegionName|CidrIp|CidrBlock|Owner)|Principal|ServiceName|SecurityGroups|Subnets"
    r"|endpoint|vpc|subnets|account|region|name|customer|service|lab)"
)
IDS = {  # by kind of rows: the names in a row that tell it from others
    "services": ("ServiceId",),
    "permissions": ("ServiceId", "Principal"),
    "connections": ("ServiceId", "VpcEndpointId"),
    "endpoints": ("VpcEndpointId",),
    "offers": ("ServiceName",),  # what a consumer sees of a service
    "balancers": ("LoadBalancerArn",),
    "listeners": ("ListenerArn",),
    "target_groups": ("TargetGroupArn",),
    "targets": ("TargetGroupArn", "Target"),
    "instances": ("InstanceId",),
    "subnets": ("SubnetId",),
    "groups": ("GroupId",),
    "acls": ("NetworkAclId",),
    "vpcs": ("VpcId",),
    "vpc_dns": ("VpcId",),  # its DNS attributes
    "dhcp_options": ("DhcpOptionsId",),
    "hosted_zones": ("HostedZoneId",),
    "clients": ("InstanceId",),  # instances that ask
    "zonal_shifts": ("zonalShiftId",),
    "account_regions": ("RegionName",),
    "metrics": ("Name", "VpcEndpointId", "LoadBalancerArn"),  # sums of an hour
    "probes": ("VpcEndpointId", "saw"),  # what a probe or a person saw: see causes
    "refusals": ("operation", "code"),  # of calls that the state remembers
}


@dataclass(frozen=True)
class Half:
    """What one account showed in one Region: rows by kind, and by kind why AWS did not show them."""

    account: str
    region: str
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    unseen: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """Who wants to reach the service: a consumer of the config, or an account that somebody asks about.

    `endpoint` is its id where it has one. `subnets` are those that it would use. `named` says that the config names the
    account, so that plab may admit it; `customer` is the customer whose account it is, and `revoked` that the config
    says so of it. `caller` is the ARN that asks, where it is known.
    """

    name: str
    account: str
    region: str
    endpoint: str = ""
    subnets: tuple[str, ...] = ()
    vpc: str = ""
    named: bool = False
    caller: str = ""
    private_dns: bool = False
    customer: str = ""
    revoked: bool = False

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from others in several files: its name and its endpoint, or the account that has neither."""
        return (self.name, self.endpoint) if self.name or self.endpoint else (self.account, "")


@dataclass(frozen=True)
class Evidence:
    """All of it. `port` is the one that clients use, where it is known; `speaks` what the server speaks: 'http'.

    `is_customers`: the lab is the customer's side alone, so that nothing of the provider's can be done here.
    """

    at: str
    service: str = ""  # its name
    lab: str = ""
    port: int | None = None
    speaks: str = ""
    is_customers: bool = False
    requests: tuple[Request, ...] = ()
    halves: tuple[Half, ...] = ()

    def as_text(self) -> str:
        """The file of `--save`."""
        return json.dumps({"schema": SCHEMA} | asdict(self), indent=1, default=str) + "\n"


def load(paths: Iterable[Path]) -> Evidence:
    """The evidence of these files as one. Raises UsageError for what is none."""
    return merged([_load(path) for path in paths])


def merged(parts: list[Evidence]) -> Evidence:
    """Several evidences as one: both halves of a path. What one of them saw is seen."""
    halves: dict[tuple[str, str], Half] = {}
    for half in (half for part in parts for half in part.halves):
        known = halves.get((half.account, half.region))
        halves[half.account, half.region] = _both(known, half) if known else half
    requests = {request.identity: request for part in reversed(parts) for request in part.requests}
    return Evidence(
        at=max(part.at for part in parts),
        service=next((part.service for part in parts if part.service), ""),
        lab=next((part.lab for part in parts if part.lab), ""),
        port=next((part.port for part in parts if part.port), None),
        speaks=next((part.speaks for part in parts if part.speaks), ""),
        is_customers=all(part.is_customers for part in parts),
        requests=tuple(requests.values()),
        halves=tuple(halves.values()),
    )


def _both(one: Half, other: Half) -> Half:
    rows = {}
    for kind in {*one.rows, *other.rows}:
        rows[kind] = distinct(kind, [*one.rows.get(kind, ()), *other.rows.get(kind, ())])
    unseen = {kind: why for kind, why in one.unseen.items() if kind not in other.rows or kind in other.unseen}
    unseen |= {kind: why for kind, why in other.unseen.items() if kind not in one.rows or kind in one.unseen}
    return Half(one.account, one.region, rows, unseen)


def distinct(kind: str, rows: Iterable[Row]) -> tuple[Row, ...]:
    """Each row of a kind once."""
    return tuple({repr([row.get(name) for name in IDS[kind]]): row for row in rows}.values())


def _load(path: Path) -> Evidence:
    try:
        data = json.loads(read_text(path))
        if data.pop("schema") != SCHEMA:
            raise UsageError(f"{path} has another schema than {SCHEMA}.", hint="Save it again with this plab.")
        _refuse_unsafe(data)
        requests = tuple(
            Request(**_known(row, Request) | {"subnets": tuple(row["subnets"]), "named": bool(row["name"])})
            for row in data["requests"]
        )
        halves = tuple(
            Half(row["account"], row["region"], _rows(row["rows"]), dict(row["unseen"])) for row in data["halves"]
        )
        return Evidence(**_known(data, Evidence) | {"requests": requests, "halves": halves})
    except PlabError:
        raise
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{path} is no evidence of plab.", hint="plab why --save FILE") from None


def _refuse_unsafe(data: Any, name: str = "") -> None:
    """Raise ValueError for an id, a name or a Region with other characters than AWS's: commands are made of them."""
    if isinstance(data, dict):
        for key, value in data.items():
            _refuse_unsafe(value, key)
    elif isinstance(data, list):
        for value in data:
            _refuse_unsafe(value, name)
    elif isinstance(data, str) and TYPED.fullmatch(name) and not SAFE.fullmatch(data):
        raise ValueError(name)


def _known(data: Mapping[str, Any], type_: Any) -> dict[str, Any]:
    return {name: data[name] for name in type_.__dataclass_fields__ if name in data}


def _rows(data: Mapping[str, Any]) -> dict[str, tuple[Row, ...]]:
    return {kind: tuple(dict(row) for row in data[kind]) for kind in data if kind in IDS}
