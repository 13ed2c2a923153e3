"""What should be: the server draws it, the carrier makes it so. Plain values that go through JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass(frozen=True)
class Vpc:
    """One network. `routers` are the first addresses of its subnets with their lengths; `names` is its DNS."""

    routers: tuple[str, ...] = ()
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Machine:
    """One instance, or a visitor's shell. Its disk stays as long as it is in the picture.

    `boot` counts its starts, 0 while it does not run; `script` is its user data, in base64.
    """

    vpc: str
    address: str
    router: str
    reaches: tuple[str, ...]
    host_name: str
    boot: int
    script: str = ""


@dataclass(frozen=True)
class Target:
    """Where a balancer may send a flow: an address in its own VPC, from a node's address; `check` tells its health."""

    check: str
    vpc: str
    source: str
    address: str
    port: int


@dataclass(frozen=True)
class Door:
    """A port of a balancer's or endpoint's network interface.

    `admits` are the networks that its security groups let in. `connected` is False where nobody has
    accepted, or somebody has rejected: nothing answers then, and what flows is cut.
    """

    vpc: str
    address: str
    port: int
    admits: tuple[str, ...]
    connected: bool
    targets: tuple[Target, ...]


@dataclass(frozen=True)
class Check:
    """A health check, in real seconds; with a `path` it is HTTP, and `codes` are the answers that are well."""

    target: Target
    interval: float
    timeout: float
    healthy: int
    unhealthy: int
    path: str | None = None
    codes: str = "200-399"


@dataclass(frozen=True)
class Picture:
    """Everything at one moment, by id."""

    vpcs: Mapping[str, Vpc] = field(default_factory=dict)
    machines: Mapping[str, Machine] = field(default_factory=dict)
    doors: Mapping[str, Door] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The same in JSON's types."""
        return asdict(self)

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """The picture that `as_json` gave."""
        return cls(
            vpcs={key: Vpc(tuple(row["routers"]), _lists(row["names"])) for key, row in data["vpcs"].items()},
            machines={
                key: Machine(**row | {"reaches": tuple(row["reaches"])}) for key, row in data["machines"].items()
            },
            doors={key: _door(row) for key, row in data["doors"].items()},
            checks={key: Check(**row | {"target": Target(**row["target"])}) for key, row in data["checks"].items()},
        )


def _lists(names: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: tuple(addresses) for name, addresses in names.items()}


def _door(row: Mapping[str, Any]) -> Door:
    targets = tuple(Target(**each) for each in row["targets"])
    return Door(**{**row, "admits": tuple(row["admits"]), "targets": targets})
