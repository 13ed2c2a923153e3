"""The keys of a config: the models, their defaults, and the rules that AWS or safety sets."""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from privatelink_lab.config.wording import did_you_mean, value_text

DEFAULT_LAB = "privatelink-lab"
LONGEST_NAME = 20  # characters: AWS limits the names that plab makes of it
LARGEST, SMALLEST = 16, 28  # prefix lengths of VPCs and subnets (CreateVpc, CreateSubnet)
LONGEST_MESSAGE = 8192  # bytes: user data may have 16 KiB, and base64 makes the message a third longer
ACCOUNT_ID = re.compile(r"[0-9]{12}")
PROVIDER = "provider"
LOCAL = "local"


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", value):
        raise ValueError("may only have a-z, 0-9 and inner hyphens")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"is {len(value)} characters long; AWS's names leave room for {LONGEST_NAME}")
    return value


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value_text(value)} is not a CIDR block such as 10.0.0.0/16") from None
    if ":" in value:
        raise ValueError("is IPv6; the lab's VPCs use IPv4")
    if "/" not in value or str(network) != value:
        raise ValueError(f"has host bits or no prefix length; did you mean {network}?")
    if not LARGEST <= network.prefixlen <= SMALLEST:
        raise ValueError(f"is a /{network.prefixlen}; AWS accepts /{LARGEST} to /{SMALLEST}")
    return value


def _principal(value: str) -> str:
    if value == "*" or ACCOUNT_ID.fullmatch(value):
        return value
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@-]+)", value, re.ASCII):
        raise ValueError(
            f"{value_text(value)} is not a principal: use an account id of 12 digits, *, or "
            "arn:aws:iam::ACCOUNT:root, :role/NAME or :user/NAME (PrivateLink accepts no paths)"
        )
    return value


def _role(value: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", value, re.ASCII):
        raise ValueError(f"{value_text(value)} is not a role ARN such as arn:aws:iam::123456789012:role/NAME")
    return value


def _like(pattern: str, example: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value_text(value)} does not look like {example}")
        return value

    return AfterValidator(check)


Name = Annotated[str, AfterValidator(_name)]
Cidr = Annotated[str, AfterValidator(_cidr)]
Principal = Annotated[str, AfterValidator(_principal)]
RoleArn = Annotated[str, AfterValidator(_role)]
VpcId = Annotated[str, _like(r"vpc-[0-9a-f]{8,17}", "vpc-0123456789abcdef0")]
SubnetId = Annotated[str, _like(r"subnet-[0-9a-f]{8,17}", "subnet-0123456789abcdef0")]
InstanceType = Annotated[str, _like(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "t3.micro")]


class Section(BaseModel):
    """A part of the config: it refuses unknown keys, converts no types, and never changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class Vpc(Section):
    """A VPC that plab makes (`cidr`), or an existing one that plab does not change (`id` and `subnet_ids`)."""

    cidr: Cidr | None = None
    id: VpcId | None = None
    subnet_ids: tuple[SubnetId, ...] = Field(default=(), strict=False)

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

    instance_type: InstanceType = "t3.micro"
    port: int = Field(default=80, ge=1, le=65535)
    message: str = Field(default="Hello World from provider VPC", min_length=1)

    @field_validator("message")
    @classmethod
    def _fits_user_data(cls, value: str) -> str:
        size = len(value.encode())
        if size > LONGEST_MESSAGE:
            raise ValueError(f"has {size} bytes; an instance's user data has room for {LONGEST_MESSAGE}")
        return value


class Service(Section):
    """The endpoint service: who may connect, and whether the provider must accept each connection."""

    acceptance_required: bool = True
    allowed_principals: tuple[Principal, ...] = Field(default=(), strict=False)
    allow_public: bool = False

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

    profile: str | None = Field(default=None, min_length=1)
    role_arn: RoleArn | None = None


class Provider(PartySection):
    """The provider: the side that runs the service."""

    vpc: Vpc = Vpc(cidr="10.0.0.0/16")
    zones: int = Field(default=1, ge=1, le=6)
    web_server: WebServer = WebServer()
    service: Service = Service()

    @field_validator("zones")
    @classmethod
    def _zones_fit(cls, value: int, info: ValidationInfo) -> int:
        vpc = info.data.get("vpc")
        if vpc and vpc.too_small_for(value):
            raise ValueError(f"vpc {vpc.cidr} is too small for {value} zones: a subnet must be at least a /28")
        return value

    @model_validator(mode="after")
    def _zones_are_the_subnets(self) -> Self:
        if self.vpc.reused and "zones" in self.model_fields_set and self.zones != len(self.vpc.subnet_ids):
            raise ValueError(f"has zones: {self.zones}, but {len(self.vpc.subnet_ids)} subnet_ids; remove zones")
        return self

    @property
    def zone_count(self) -> int:
        """The number of zones in which the service runs."""
        return len(self.vpc.subnet_ids) or self.zones


class Consumer(PartySection):
    """One customer: a VPC with an interface endpoint to the service."""

    name: Name
    vpc: Vpc = Vpc(cidr="10.1.0.0/16")
    accept: Literal["auto", "manual"] = "auto"

    @field_validator("name")
    @classmethod
    def _its_own_name(cls, value: str, info: ValidationInfo) -> str:
        if value == PROVIDER:
            raise ValueError("'provider' is reserved for the provider; choose another name")
        taken: list[str] = info.context["names"] if info.context else []
        if value in taken:
            raise ValueError(f"{value!r} is the name of another consumer; choose another name")
        taken.append(value)
        return value


class Config(Section):
    """A whole lab."""

    lab: Name = DEFAULT_LAB
    region: str | None = None
    creation_grace_period: float | None = Field(default=None, ge=0, le=600)
    provider: Provider = Provider()
    consumers: tuple[Consumer, ...] = Field(default=(), strict=False)

    @field_validator("lab")
    @classmethod
    def _not_local(cls, value: str) -> str:
        if value == LOCAL:
            raise ValueError("'local' is reserved for the local AWS; choose another name")
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = (info.context or {}).get("regions", ())
        if value is not None and known and value not in known:
            raise ValueError(f"{value_text(value)} is not an AWS region{did_you_mean(value, known)}")
        return value

    @field_validator("consumers")
    @classmethod
    def _consumers_fit(cls, value: tuple[Consumer, ...], info: ValidationInfo) -> tuple[Consumer, ...]:
        zones = info.data["provider"].zone_count if "provider" in info.data else 1
        small = [consumer.name for consumer in value if consumer.vpc.too_small_for(zones)]
        if small:
            raise ValueError(
                f"the VPC of {', '.join(small)} is too small for {zones} zones: a subnet must be at least a /28"
            )
        return value

    def consumer(self, name: str) -> Consumer | None:
        """The consumer of that name, or None."""
        return next((consumer for consumer in self.consumers if consumer.name == name), None)


def default_config() -> Config:
    """The config of --local without a file: a provider and one consumer, whose endpoint is accepted."""
    return Config(consumers=(Consumer(name="consumer"),))
