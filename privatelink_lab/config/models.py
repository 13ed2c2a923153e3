"""The keys of a config: the models, their defaults, and the rules that AWS or safety sets.

The descriptions and limits of the keys are also in the JSON schema and in docs/config.md: `make docs` writes both.
"""

from __future__ import annotations

import ipaddress
import math
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from privatelink_lab.config.field_types import (
    ACCOUNT_ID,
    LOOKS_LIKE_ID,
    MOST_TAGS,
    SMALLEST,
    AccountId,
    Cidr,
    EndpointId,
    InstanceType,
    LoadBalancerArn,
    Name,
    Principal,
    RoleArn,
    Section,
    ServiceId,
    ServiceName,
    SubnetId,
    Tags,
    VpcId,
    Zones,
    read_zones,
)
from privatelink_lab.config.wording import did_you_mean, value_text
from privatelink_lab.expiry import FORM as TTL_FORM
from privatelink_lab.expiry import PATTERN as TTL
from privatelink_lab.expiry import is_ttl

DEFAULT_LAB = "privatelink-lab"
LONGEST_MESSAGE = 8192  # bytes: user data may have 16 KiB, and base64 makes the message a third longer
PROVIDER = "provider"
LOCAL = "local"
WITH = {  # by the key that says what is there already: the keys of `provider` that may stand beside it
    "nlb": {"nlb", "profile", "role_arn", "service"},
    "service.id": {"service", "profile", "role_arn"},
    "service_name": {"service_name", "region", "port", "zones"},
}


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
    region: str | None = Field(
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

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            _refuse_unknown_region(value, info)
        return value

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


class Consumer(PartySection):
    """A customer: a VPC with an interface endpoint to the service."""

    name: Name = Field(description="The consumer's name: unique, and not `provider`.")
    vpc: Vpc = Vpc(cidr="10.1.0.0/16")
    accept: Literal["auto", "manual"] = Field(
        default="auto",
        description="auto: `plab up` accepts this endpoint. manual: the endpoint waits for `plab accept`.",
    )

    @field_validator("name")
    @classmethod
    def _its_own_name(cls, value: str, info: ValidationInfo) -> str:
        return _own_name(value, "consumer", info)


class Customer(Section):
    """Somebody else who may use the service: their accounts, and which of their endpoints are admitted.

    **Allowed** is an account that may ask; **admitted** is an endpoint that is accepted.
    """

    accounts: tuple[AccountId, ...] = Field(
        strict=False,
        json_schema_extra={"minItems": 1},
        description="Their AWS accounts. Each of them may ask for a connection.",
    )
    endpoints: int = Field(
        default=1, ge=1, le=1000, description="How many of their endpoints are admitted by rule, the oldest first."
    )
    admit: tuple[EndpointId, ...] = Field(
        default=(), strict=False, description="Instead of `endpoints`: admit exactly these endpoints of theirs."
    )
    regions: tuple[str, ...] = Field(
        default=(), strict=False, description="From which Regions they may ask; without it, the service's own."
    )
    accept: Literal["auto", "manual"] = Field(
        default="auto", description="auto: the rules admit their endpoints. manual: a person does, with `plab accept`."
    )
    access: Literal["given", "revoked"] = Field(
        default="given", description="revoked: they may not ask, and nobody admits them, whatever else stands here."
    )
    note: str = Field(default="", max_length=200, description="A note for your colleagues.")

    @field_validator("accounts")
    @classmethod
    def _accounts_of_one(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        taken: list[str] = info.context["accounts"] if info.context else []
        if not value:
            raise ValueError("names no account")
        for account in value:
            if account in taken:
                raise ValueError(
                    f"account {account} stands here twice, or in allowed_principals, or under another customer"
                )
            taken.append(account)
        return value

    @field_validator("regions")
    @classmethod
    def _known_regions(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for region in value:
            _refuse_unknown_region(region, info)
        return value

    @model_validator(mode="after")
    def _by_number_or_by_id(self) -> Self:
        if self.admit and "endpoints" in self.model_fields_set:
            raise ValueError("has both admit and endpoints: name the endpoints, or say how many")
        return self


def _own_name(value: str, what: str, info: ValidationInfo) -> str:
    """A name that is no other's, and that no id can be taken for."""
    if value == PROVIDER:
        raise ValueError("'provider' is reserved for the provider; choose another name")
    if LOOKS_LIKE_ID.fullmatch(value):
        raise ValueError(f"{value!r} looks like an id of AWS; choose another name")
    taken: dict[str, str] = info.context["names"] if info.context else {}
    if value in taken:
        raise ValueError(f"{value!r} is the name of another {taken[value]}; choose another name")
    taken[value] = what
    return value


def _refuse_unknown_region(value: str, info: ValidationInfo) -> None:
    known = (info.context or {}).get("regions", ())
    if known and value not in known:
        raise ValueError(f"{value_text(value)} is not an AWS region{did_you_mean(value, known)}")


class Config(Section):
    """A lab: its name, its place, its provider and its consumers."""

    model_config = ConfigDict(json_schema_extra={"required": ["lab"]})  # of a file; `load` says so in words

    lab: Name = Field(default=DEFAULT_LAB, description="The lab's name. It is part of every name and tag in AWS.")
    region: str | None = Field(
        default=None, description="The AWS region. Without it, AWS_REGION or the profile's region counts."
    )
    tags: Tags = Field(
        default={},
        max_length=MOST_TAGS,
        description="Tags of your own on everything that plab creates, for an organization that demands them.",
    )
    ttl: str | None = Field(
        default=None,
        pattern=rf"^{TTL}$",
        description="When the lab expires, counted from the first `plab up`: 90m, 2h or 3d. The end is in the tag "
        "`plab:expires`. The option `--ttl` of `plab up` moves it. `plab reap` deletes what has expired.",
    )

    @field_validator("ttl", mode="before")
    @classmethod
    def _is_duration(cls, value: Any) -> Any:
        if value is not None and not (isinstance(value, str) and is_ttl(value)):
            raise ValueError(f"must be {TTL_FORM}")
        return value

    creation_grace_period: float | None = Field(
        default=None,
        ge=0,
        le=600,
        description="For how many seconds AWS may not show a new resource before plab takes it for gone. "
        "Without it, 20 seconds, or 90 where a second one would cost money.",
    )
    provider: Provider = Provider()
    consumers: tuple[Consumer, ...] = Field(
        default=(),
        strict=False,
        description="Consumers of your own: VPCs in accounts whose credentials plab has. Without any, plab builds the "
        "service alone.",
    )
    customers: dict[Name, Customer] = Field(
        default={},
        json_schema_extra={"type": ["object", "string"]},  # `load` reads the file
        description="Other people's accounts, by the customer's name; plab has no credentials of them. Or the path, "
        "relative to the config, of a YAML file that holds this mapping alone.",
    )

    @field_validator("lab")
    @classmethod
    def _not_local(cls, value: str) -> str:
        if value == LOCAL:
            raise ValueError("'local' is reserved for the local AWS; choose another name")
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None:
            _refuse_unknown_region(value, info)
        return value

    @field_validator("consumers")
    @classmethod
    def _consumers_fit(cls, value: tuple[Consumer, ...], info: ValidationInfo) -> tuple[Consumer, ...]:
        zones = info.data["provider"].zone_count if "provider" in info.data else 1
        if "provider" in info.data and info.data["provider"].service_name and not value:
            raise ValueError("are needed beside service_name: without any, plab would build nothing")
        small = [consumer.name for consumer in value if consumer.vpc.too_small_for(zones)]
        if small:
            raise ValueError(
                f"the VPC of {', '.join(small)} is too small for {zones} zones: a subnet must be at least a /28"
            )
        return value

    @field_validator("customers")
    @classmethod
    def _customers_fit(cls, value: dict[str, Customer], info: ValidationInfo) -> dict[str, Customer]:
        for name in value:
            _own_name(name, "customer", info)
        provider = info.data.get("provider")
        if value and provider and provider.service_name:
            raise ValueError("stand beside service_name: the customers are those of the provider of that service")
        if value and provider and not provider.service.acceptance_required:
            raise ValueError("stand beside acceptance_required: false, with which AWS admits every allowed account")
        return value

    def customer_of(self, account: str) -> tuple[str, Customer] | None:
        """The customer whose account it is, with its name; None for an account of nobody."""
        return next(((name, one) for name, one in self.customers.items() if account in one.accounts), None)

    @property
    def is_customers(self) -> bool:
        """Whether the lab is the customer's side alone: somebody else runs the service."""
        return self.provider.service_name is not None

    def consumer(self, name: str) -> Consumer | None:
        """The consumer of that name, or None."""
        return next((consumer for consumer in self.consumers if consumer.name == name), None)


def default_config() -> Config:
    """The config of --local without a file: a provider and one consumer, whose endpoint is accepted."""
    return Config(consumers=(Consumer(name="consumer"),))
