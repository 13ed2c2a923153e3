"""The keys of a config: the models, their defaults, and the rules that AWS or safety sets.

The descriptions and limits of the keys are also in the JSON schema and in docs/config.md: `make docs` writes both.
"""

from __future__ import annotations

import ipaddress
import math
import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from privatelink_lab.config.wording import did_you_mean, value_text
from privatelink_lab.expiry import FORM as TTL_FORM
from privatelink_lab.expiry import PATTERN as TTL
from privatelink_lab.expiry import is_ttl

DEFAULT_LAB = "privatelink-lab"
LONGEST_NAME = 20  # characters: AWS limits the names that plab makes of it
LARGEST, SMALLEST = 16, 28  # prefix lengths of VPCs and subnets (CreateVpc, CreateSubnet)
LONGEST_MESSAGE = 8192  # bytes: user data may have 16 KiB, and base64 makes the message a third longer
ACCOUNT_ID = re.compile(r"[0-9]{12}")
NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
PRINCIPAL = r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@-]+)"
ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"
TAG_TEXT = r"[\w .:/=+@-]{{{}}}"  # what EC2 and ELBv2 both take (AWS's pages on tags)
ZONE_ID = r"[a-z]+[0-9]+-az[0-9]+"  # without Local and Wavelength Zones, which take no NLB
MOST_ZONES = 6
MOST_TAGS = 40  # of 50 per resource; plab has seven of its own
PROVIDER = "provider"
LOCAL = "local"


def _name(value: str) -> str:
    if not re.fullmatch(NAME, value):
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
    if not re.fullmatch(PRINCIPAL, value, re.ASCII):
        raise ValueError(
            f"{value_text(value)} is not a principal: use an account id of 12 digits, *, or "
            "arn:aws:iam::ACCOUNT:root, :role/NAME or :user/NAME (PrivateLink accepts no paths)"
        )
    return value


def _role(value: str) -> str:
    if not re.fullmatch(ROLE, value, re.ASCII):
        raise ValueError(f"{value_text(value)} is not a role ARN such as arn:aws:iam::123456789012:role/NAME")
    return value


def _zones(value: Any) -> int | tuple[str, ...]:
    """A number of zones, or zone IDs; YAML gives a list."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_ZONES:
            raise ValueError(f"should be 1 to {MOST_ZONES}, or a list of zone IDs")
        return value
    if not isinstance(value, (list, tuple)) or not value or len(value) > MOST_ZONES:
        raise ValueError(f"should be a number or a list of 1 to {MOST_ZONES} zone IDs, not {value_text(value)}")
    for zone in value:
        if not (isinstance(zone, str) and re.fullmatch(ZONE_ID, zone)):
            raise ValueError(
                f"{value_text(zone)} is not a zone ID such as use1-az1; the ID is the same in all accounts, and "
                "`aws ec2 describe-availability-zones` shows it"
            )
    if len(set(value)) < len(value):
        raise ValueError("names the same zone twice")
    return tuple(value)


def _tag_key(value: str) -> str:
    if not re.fullmatch(TAG_TEXT.format("1,128"), value):
        raise ValueError(f"{value_text(value)} is not a tag key: 1 to 128 letters, digits, spaces and _.:/=+-@")
    if value == "Name" or value.lower().startswith(("aws:", "plab:")):
        raise ValueError(f"{value_text(value)} is a tag that AWS or plab sets; choose another key")
    return value


def _tag_value(value: str) -> str:
    if not re.fullmatch(TAG_TEXT.format("0,256"), value):
        raise ValueError(f"{value_text(value)} is not a tag value: up to 256 letters, digits, spaces and _.:/=+-@")
    return value


def _in_schema(pattern: str, limits: str, **more: Any) -> WithJsonSchema:
    """The JSON schema of a text; `limits` is what an editor says of any other text, and what docs/config.md says."""
    return WithJsonSchema({"type": "string", "pattern": f"^({pattern})$", "patternErrorMessage": limits} | more)


def _like(pattern: str, example: str) -> tuple[AfterValidator, WithJsonSchema]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value_text(value)} does not look like {example}")
        return value

    return AfterValidator(check), _in_schema(pattern, f"such as {example}")


Name = Annotated[
    str,
    AfterValidator(_name),
    _in_schema(NAME, f"a-z, 0-9 and inner hyphens, at most {LONGEST_NAME} characters", maxLength=LONGEST_NAME),
]
Cidr = Annotated[
    str,
    AfterValidator(_cidr),
    _in_schema(r"(\d{1,3}\.){3}\d{1,3}/(1[6-9]|2[0-8])", f"an IPv4 block, /{LARGEST} to /{SMALLEST}"),
]
Principal = Annotated[
    str,
    AfterValidator(_principal),
    _in_schema(
        rf"\*|\d{{12}}|{PRINCIPAL}",
        "account ids, `*`, and ARNs such as arn:aws:iam::123456789012:root, :role/NAME or :user/NAME",
        type=["string", "integer"],  # YAML reads an account id as a number; plab takes it
    ),
]
RoleArn = Annotated[
    str, AfterValidator(_role), _in_schema(ROLE, "a role ARN such as arn:aws:iam::123456789012:role/NAME")
]
VpcId = Annotated[str, *_like(r"vpc-[0-9a-f]{8,17}", "vpc-0123456789abcdef0")]
SubnetId = Annotated[str, *_like(r"subnet-[0-9a-f]{8,17}", "subnet-0123456789abcdef0")]
InstanceType = Annotated[str, *_like(r"[a-z][a-z0-9-]*\.[a-z0-9-]+", "t3.micro")]


TagKey = Annotated[str, AfterValidator(_tag_key)]
TagValue = Annotated[str, AfterValidator(_tag_value)]
Zones = Annotated[
    int | tuple[str, ...],
    WithJsonSchema(
        {
            "type": ["integer", "array"],
            "minimum": 1,
            "maximum": MOST_ZONES,
            "items": {"type": "string", "pattern": f"^{ZONE_ID}$"},
            "minItems": 1,
            "maxItems": MOST_ZONES,
        }
    ),
]
Tags = Annotated[
    dict[TagKey, TagValue],
    WithJsonSchema(
        {
            "type": "object",
            "maxProperties": MOST_TAGS,
            "propertyNames": {"maxLength": 128},
            "additionalProperties": {"type": "string", "maxLength": 256},
            "patternErrorMessage": f"at most {MOST_TAGS}, no key `Name` or of `aws:` or `plab:`",
        }
    ),
]


class Section(BaseModel):
    """A part of the config: it refuses unknown keys, converts no types, and never changes."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


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
    """The provider: the side that runs the service."""

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
        zones, vpc = _zones(value), info.data.get("vpc")
        count = zones if isinstance(zones, int) else len(zones)
        if vpc and vpc.too_small_for(count):
            raise ValueError(f"vpc {vpc.cidr} is too small for {count} zones: a subnet must be at least a /28")
        return zones

    @model_validator(mode="after")
    def _zones_are_the_subnets(self) -> Self:
        if self.vpc.reused and "zones" in self.model_fields_set and self.zones != len(self.vpc.subnet_ids):
            zones = self.zones if isinstance(self.zones, int) else ", ".join(self.zones)
            raise ValueError(f"has zones: {zones}, but {len(self.vpc.subnet_ids)} subnet_ids; remove zones")
        return self

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
        if value == PROVIDER:
            raise ValueError("'provider' is reserved for the provider; choose another name")
        taken: list[str] = info.context["names"] if info.context else []
        if value in taken:
            raise ValueError(f"{value!r} is the name of another consumer; choose another name")
        taken.append(value)
        return value


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
        default=(), strict=False, description="The customers. Without any, plab builds the service alone."
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
