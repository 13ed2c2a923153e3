"""The provider's section of a config: what plab builds of its side, what is there already, and who may ask.

Here are also a VPC and a party's credentials, which consumers have as well.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from privatelink_lab.config.field_types import (
    ACCOUNT_ID,
    SMALLEST,
    Cidr,
    InstanceType,
    LoadBalancerArn,
    Principal,
    RoleArn,
    Section,
    ServiceId,
    ServiceName,
    SubnetId,
    VpcId,
    Zones,
    read_zones,
)
from privatelink_lab.config.wording import did_you_mean, value_text

LONGEST_MESSAGE = 8192  # bytes: user data may have 16 KiB, and base64 makes the message a third longer
WITH = {  # by the key that says what is there already: the keys of `provider` that may stand beside it
    "nlb": {"nlb", "profile", "role_arn", "service"},
    "service.id": {"service", "profile", "role_arn"},
    "service_name": {"service_name", "region", "port", "zones"},
}


def _known_region(value: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("regions", ())
    if known and value not in known:
        raise ValueError(f"{value_text(value)} is not an AWS region{did_you_mean(value, known)}")
    return value


Region = Annotated[str, AfterValidator(_known_region)]


class Vpc(Section):
    """A VPC that plab makes (`cidr`), or an existing one that plab does not change (`id` and `subnet_ids`)."""

    cidr: Cidr | None = Field(default=None, description="The addresses of a VPC that plab makes.")
    id: VpcId | None = Field(
        default=None, description="An existing VPC, instead of `cidr`. plab never changes or deletes it."
    )
    subnet_ids: tuple[SubnetId, ...] = Field(
        default=(), strict=False, description="With `id`: the private subnets to use, one per zone."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.id and self.cidr:
            raise ValueError("has both id and cidr: use cidr to make a VPC, or id and subnet_ids to reuse one")
        if self.subnet_ids and not self.id:
            raise ValueError("has subnet_ids without id: subnets can only be reused together with their VPC")
        if self.id and not self.subnet_ids:
            raise ValueError("has id without subnet_ids: a reused VPC also requires its subnets, one per zone")
        if not self.id and not self.cidr:
            raise ValueError("requires a cidr (to make a VPC), or id and subnet_ids (to reuse one)")
        if len(set(self.subnet_ids)) < len(self.subnet_ids):
            raise ValueError("names the same subnet twice")
        return self

    @property
    def reused(self) -> bool:
        """Whether the VPC was there before the lab."""
        return self.id is not None

    def subnet_cidrs(self, zones: int) -> list[str]:
        """The CIDRs of the private subnets, one per zone in order: /24, or smaller in a small VPC."""
        network = ipaddress.IPv4Network(self.cidr or "10.0.0.0/16")
        prefix = max(24, network.prefixlen + math.ceil(math.log2(zones)))
        return [str(subnet) for subnet, _ in zip(network.subnets(new_prefix=prefix), range(zones), strict=False)]

    def too_small_for(self, zones: int) -> bool:
        """Whether a subnet per zone would be smaller than a /28, the smallest that AWS makes."""
        if self.cidr is None:
            return False
        return ipaddress.IPv4Network(self.cidr).prefixlen + math.ceil(math.log2(zones)) > SMALLEST


class WebServer(Section):
    """The provider's instance and the page that it serves."""

    instance_type: InstanceType = Field(
        default="t3.micro", description="The type of the instance, and of the instances that `plab verify` starts."
    )
    port: int = Field(
        default=80, ge=1, le=65535, description="The port of the web server, the target group and the listener."
    )
    message: str = Field(
        default="Hello World from provider VPC",
        min_length=1,
        description=f"The page, with at most {LONGEST_MESSAGE} bytes.",
    )

    @field_validator("message")
    @classmethod
    def _fits_user_data(cls, value: str) -> str:
        size = len(value.encode())
        if size > LONGEST_MESSAGE:
            raise ValueError(f"has {size} bytes; an instance's user data has room for {LONGEST_MESSAGE}")
        return value


class Service(Section):
    """The endpoint service: who may connect, and whether the provider must accept a connection."""

    id: ServiceId | None = Field(
        default=None,
        description="An endpoint service that exists. plab gives its permissions to the customers, and changes nothing "
        "else of it.",
    )
    acceptance_required: bool = Field(
        default=True, description="Whether the provider must accept a connection before it carries packets."
    )
    allowed_principals: tuple[Principal, ...] = Field(
        default=(),
        strict=False,
        description="Who may ask for a connection, besides the provider's account and the consumers of this lab.",
    )
    allow_public: bool = Field(
        default=False,
        description="Must be true for a service that every AWS account may use: `*`, without acceptance.",
    )

    @field_validator("allowed_principals")
    @classmethod
    def _accounts_of_principals(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        taken: list[str] = info.context["accounts"] if info.context else []
        taken += [account for principal in value for account in ACCOUNT_ID.findall(principal)]
        return value

    @model_validator(mode="after")
    def _alone(self) -> Self:
        if self.id and (more := sorted(self.model_fields_set - {"id"})):
            raise ValueError(f"has id and {', '.join(more)}: plab changes nothing of a service that exists")
        return self

    @model_validator(mode="after")
    def _not_open_by_accident(self) -> Self:
        if "*" in self.allowed_principals and not self.acceptance_required and not self.allow_public:
            raise ValueError(
                "is open to every AWS account: '*' may connect and acceptance_required is false; "
                "require acceptance, name principals, or set allow_public: true"
            )
        return self


class PartySection(Section):
    """The credentials of one side: a profile, a role to assume, or those of the environment."""

    profile: str | None = Field(
        default=None,
        min_length=1,
        description="A profile of the AWS config files. Without it, the credentials of the environment count.",
    )
    role_arn: RoleArn | None = Field(
        default=None, description="A role that plab assumes with the credentials of the profile or the environment."
    )


class Provider(PartySection):
    """The provider: the side that runs the service.

    plab builds all of it, or only the service on a balancer that exists (`nlb`), or only manages the customers of a
    service that exists (`service: {id: ...}`). With `service_name` somebody else runs it, and plab builds the
    customer's side alone.
    """

    nlb: LoadBalancerArn | None = Field(
        default=None,
        description="A network load balancer that exists, instead of `vpc`, `zones` and `web_server`. plab never "
        "changes or deletes it.",
    )
    service_name: ServiceName | None = Field(
        default=None, description="The service of somebody else, instead of all other keys but these two and `zones`."
    )
    region: Region | None = Field(
        default=None, description="With `service_name`: the Region of the service; without it, that of the lab."
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="With `service_name`: the port of the service; without it, 443.",
    )

    vpc: Vpc = Vpc(cidr="10.0.0.0/16")
    zones: Zones = Field(
        default=1,
        description="The number of availability zones, or a list of zone IDs (`[use1-az1, use1-az4]`). "
        "plab makes a private subnet in every zone, for every party.",
    )
    web_server: WebServer = WebServer()
    service: Service = Service()

    @field_validator("zones", mode="before")
    @classmethod
    def _zones_fit(cls, value: Any, info: ValidationInfo) -> int | tuple[str, ...]:
        zones, vpc = read_zones(value), info.data.get("vpc")
        count = zones if isinstance(zones, int) else len(zones)
        if vpc and vpc.too_small_for(count):
            raise ValueError(f"vpc {vpc.cidr} is too small for {count} zones: a subnet must be at least a /28")
        return zones

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        there = {"nlb": self.nlb, "service.id": self.service.id, "service_name": self.service_name}
        given = [name for name, value in there.items() if value]
        if len(given) > 1:
            raise ValueError(f"has {' and '.join(given)}: name one of them")
        allowed = WITH[given[0]] if given else type(self).model_fields.keys() - {"region", "port"}
        if more := sorted(name for name in self.model_fields_set - allowed if getattr(self, name) is not None):
            beside = f"beside {given[0]}" if given else "without service_name"
            raise ValueError(f"has {', '.join(more)} {beside}, which leaves no use for it")
        return self

    @model_validator(mode="after")
    def _zones_are_the_subnets(self) -> Self:
        if self.vpc.reused and "zones" in self.model_fields_set and self.zones != len(self.vpc.subnet_ids):
            zones = self.zones if isinstance(self.zones, int) else ", ".join(self.zones)
            raise ValueError(f"has zones: {zones}, but {len(self.vpc.subnet_ids)} subnet_ids; remove zones")
        return self

    @property
    def has_network(self) -> bool:
        """Whether the lab has the provider's VPC, web server and balancer."""
        return not (self.nlb or self.service.id or self.service_name)

    @property
    def has_service(self) -> bool:
        """Whether the service is plab's own: it makes it, changes it and deletes it."""
        return not (self.service.id or self.service_name)

    @property
    def zone_count(self) -> int:
        """The number of zones in which the service runs."""
        return len(self.vpc.subnet_ids) or (self.zones if isinstance(self.zones, int) else len(self.zones))

    @property
    def zone_ids(self) -> tuple[str, ...]:
        """The zone IDs that the config names, in order; () where it only has their number."""
        return () if isinstance(self.zones, int) else self.zones
