"""The desired network: the server builds it, the agent carries it out. Plain values that go through JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

LONGEST_LINE = 1 << 26  # bytes of a plan on its way to the agent: some 100,000 entries


@dataclass(frozen=True)
class VpcPlan:
    """One network. `routers` are the first addresses of its subnets with prefix lengths; `names` is its DNS."""

    routers: Sequence[str] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class InstancePlan:
    """An instance, also the one that `plab local shell` opens a shell in. Its disk stays while it is in the plan.

    `boot` counts its starts and is 0 while it is stopped; `user_data` is in base64. The instance reaches
    `vpc_cidrs` directly and everything else through `router`.
    """

    vpc: str
    address: str
    router: str
    vpc_cidrs: Sequence[str]
    host_name: str
    boot: int
    user_data: str = ""


@dataclass(frozen=True)
class Target:
    """A target in a balancer's VPC. `check` is the id of its health check, `source` the address of the balancer."""

    check: str
    vpc: str
    source: str
    address: str
    port: int


@dataclass(frozen=True)
class ListeningPort:
    """A port of a balancer's or endpoint's network interface.

    `allowed_cidrs` are the networks that its security groups admit. `connected` is False while the
    endpoint's connection is not accepted: the port does not answer then, and open connections are reset.
    """

    vpc: str
    address: str
    port: int
    allowed_cidrs: Sequence[str]
    connected: bool
    targets: Sequence[Target]


@dataclass(frozen=True)
class HealthCheck:
    """A health check, in real seconds. With a `path` it is HTTP, and `codes` are the statuses of a healthy target."""

    target: Target
    interval: float
    timeout: float
    healthy_threshold: int
    unhealthy_threshold: int
    path: str | None = None
    codes: str = "200-399"


@dataclass(frozen=True)
class NetworkPlan:
    """The whole desired network at one moment, by id."""

    vpcs: Mapping[str, VpcPlan] = field(default_factory=dict)
    instances: Mapping[str, InstancePlan] = field(default_factory=dict)
    ports: Mapping[str, ListeningPort] = field(default_factory=dict)
    checks: Mapping[str, HealthCheck] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The plan from its JSON."""
        return cls(
            vpcs={key: VpcPlan(**row) for key, row in data["vpcs"].items()},
            instances={key: InstancePlan(**row) for key, row in data["instances"].items()},
            ports={
                key: ListeningPort(**row | {"targets": [Target(**target) for target in row["targets"]]})
                for key, row in data["ports"].items()
            },
            checks={
                key: HealthCheck(**row | {"target": Target(**row["target"])}) for key, row in data["checks"].items()
            },
        )
