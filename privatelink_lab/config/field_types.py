"""The types of a config's values: what AWS takes, how a mistake is said, and how the JSON schema says it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

from privatelink_lab.config.wording import value_text

LONGEST_NAME = 20  # characters: AWS limits the names that plab makes of it
LARGEST, SMALLEST = 16, 28  # prefix lengths of VPCs and subnets (CreateVpc, CreateSubnet)
ACCOUNT_ID = re.compile(r"[0-9]{12}")
LOOKS_LIKE_ID = re.compile(r"[0-9]{12}|vpce-[0-9a-f-]+|vpce-svc-.*")
NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
PRINCIPAL = r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@-]+)"
ROLE = r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+"
TAG_TEXT = r"[\w .:/=+@-]{{{}}}"  # what EC2 and ELBv2 both take (AWS's pages on tags)
ZONE_ID = r"[a-z]+[0-9]+-az[0-9]+"  # without Local and Wavelength Zones, which take no NLB
MOST_ZONES = 6
MOST_TAGS = 40  # of 50 per resource; plab has nine of its own


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


def read_zones(value: Any) -> int | tuple[str, ...]:
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


def _like(pattern: str, example: str, **more: Any) -> tuple[AfterValidator, WithJsonSchema]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{value_text(value)} does not look like {example}")
        return value

    return AfterValidator(check), _in_schema(pattern, f"such as {example}", **more)


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
LoadBalancerArn = Annotated[
    str,
    *_like(
        r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/net/[A-Za-z0-9-]+/[0-9a-f]+",
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/api/0123456789abcdef, the ARN of a "
        "network load balancer",
    ),
]
ZoneId = Annotated[str, *_like(ZONE_ID, "use1-az1")]
ServiceId = Annotated[str, *_like(r"vpce-svc-[0-9a-f]{8,17}", "vpce-svc-0123456789abcdef0")]
ServiceName = Annotated[
    str,
    *_like(
        r"[a-z0-9]+(\.(?!vpce-svc-)[a-z0-9-]+){2,12}(\.vpce-svc-[0-9a-f]{8,17})?",
        "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0",
    ),
]
EndpointId = Annotated[str, *_like(r"vpce-[0-9a-f]{8,17}", "vpce-0123456789abcdef0")]
AccountId = Annotated[
    str, *_like(r"\d{12}", "222222222222", type=["string", "integer"])  # YAML reads an account id as a number
]
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
