"""The config file: what it may say, and every mistake in it at once, with file and line.

The only module that knows pydantic and YAML. `load` makes no AWS call.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from privatelink_lab.errors import ConfigError, UsageError

DEFAULT_FILE = "plab.yaml"
DEFAULT_LAB = "privatelink-lab"
LONGEST_NAME = 20  # so that every AWS name made of it fits
LARGEST, SMALLEST = 16, 28  # prefix lengths of VPCs and subnets (CreateVpc, CreateSubnet)
LONGEST_MESSAGE = 8192  # bytes: user data may have 16 KiB, and base64 makes a third more of the message
MOST_VALUES = 100_000  # far more than a lab has; a few lines of YAML aliases can make billions
ACCOUNT_ID = re.compile(r"[0-9]{12}")
PROVIDER = "provider"
LOCAL = "local"

SHOWN = 60  # characters of a value that a message repeats
IN_YAML = {"model_type": "should be a mapping", "tuple_type": "should be a list"}  # not Python's words

Path_ = tuple[str | int, ...]
Loaded = TypeVar("Loaded")


def _name(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", value):
        raise ValueError("use a-z, 0-9 and inner hyphens only")
    if len(value) > LONGEST_NAME:
        raise ValueError(f"is {len(value)} characters long; at most {LONGEST_NAME} fit into AWS's names")
    return value


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{_shown(value)} is not a CIDR block such as 10.0.0.0/16") from None
    if ":" in value:
        raise ValueError("is IPv6; the lab's VPCs are IPv4")
    if "/" not in value or str(network) != value:
        raise ValueError(f"has host bits set or no prefix; did you mean {network}?")
    if not LARGEST <= network.prefixlen <= SMALLEST:
        raise ValueError(f"is a /{network.prefixlen}; AWS takes /{LARGEST} to /{SMALLEST}")
    return value


def _principal(value: str) -> str:
    if value == "*" or ACCOUNT_ID.fullmatch(value):
        return value
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:(root|(role|user)/[\w+=,.@-]+)", value, re.ASCII):
        raise ValueError(
            f"{_shown(value)} is no principal: give an account id of 12 digits, *, or "
            "arn:aws:iam::ACCOUNT:root, :role/NAME or :user/NAME (PrivateLink takes no paths)"
        )
    return value


def _role(value: str) -> str:
    if not re.fullmatch(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+", value, re.ASCII):
        raise ValueError(f"{_shown(value)} is no role: it looks like arn:aws:iam::123456789012:role/NAME")
    return value


def _like(pattern: str, example: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{_shown(value)} does not look like {example}")
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
    """A part of the config: unknown keys are mistakes, values keep their types, nothing changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, validate_default=True)


class Vpc(Section):
    """A VPC that plab makes (`cidr`), or one that exists (`id` and `subnet_ids`) and stays untouched."""

    cidr: Cidr | None = None
    id: VpcId | None = None
    subnet_ids: tuple[SubnetId, ...] = Field(default=(), strict=False)

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.id and self.cidr:
            raise ValueError("has both id and cidr: give a cidr to make a VPC, or id and subnet_ids to reuse one")
        if self.subnet_ids and not self.id:
            raise ValueError("has subnet_ids without id: subnets are reused together with their VPC")
        if self.id and not self.subnet_ids:
            raise ValueError("has id without subnet_ids: a reused VPC needs the subnets to use, one per zone")
        if not self.id and not self.cidr:
            raise ValueError("needs a cidr (to make a VPC), or id and subnet_ids (to reuse one)")
        if len(set(self.subnet_ids)) < len(self.subnet_ids):
            raise ValueError("names a subnet twice")
        return self

    @property
    def reused(self) -> bool:
        """Whether the VPC was there before the lab."""
        return self.id is not None

    def subnet_cidrs(self, zones: int) -> list[str]:
        """The CIDRs of the private subnets, one per zone in order: /24 each, smaller in a small VPC."""
        network = ipaddress.IPv4Network(self.cidr or "10.0.0.0/16")
        prefix = max(24, network.prefixlen + math.ceil(math.log2(zones)))
        return [str(subnet) for subnet, _ in zip(network.subnets(new_prefix=prefix), range(zones), strict=False)]

    def too_small_for(self, zones: int) -> bool:
        """Whether a subnet per zone would be smaller than a /28, the least that AWS makes."""
        if self.cidr is None:
            return False
        return ipaddress.IPv4Network(self.cidr).prefixlen + math.ceil(math.log2(zones)) > SMALLEST


class WebServer(Section):
    """The provider's instance and what it serves."""

    instance_type: InstanceType = "t3.micro"
    port: int = Field(default=80, ge=1, le=65535)
    message: str = Field(default="Hello World from provider VPC", min_length=1)

    @field_validator("message")
    @classmethod
    def _fits_user_data(cls, value: str) -> str:
        size = len(value.encode())
        if size > LONGEST_MESSAGE:
            raise ValueError(f"has {size} bytes; at most {LONGEST_MESSAGE} fit into an instance's user data")
        return value


class Service(Section):
    """The endpoint service: who may ask, and whether each request must be accepted."""

    acceptance_required: bool = True
    allowed_principals: tuple[Principal, ...] = Field(default=(), strict=False)
    i_know_it_is_public: bool = False

    @model_validator(mode="after")
    def _not_open_by_accident(self) -> Self:
        if "*" in self.allowed_principals and not self.acceptance_required and not self.i_know_it_is_public:
            raise ValueError(
                "is open to every AWS account: '*' may connect and acceptance_required is false; "
                "require acceptance, name principals, or say i_know_it_is_public: true"
            )
        return self


class Party(Section):
    """Whose credentials act: a profile, a role to assume, or (neither) the environment's."""

    profile: str | None = Field(default=None, min_length=1)
    role_arn: RoleArn | None = None


class Provider(Party):
    """The side that runs the service."""

    vpc: Vpc = Vpc(cidr="10.0.0.0/16")
    zones: int = Field(default=1, ge=1, le=6)
    web_server: WebServer = WebServer()
    service: Service = Service()

    @field_validator("zones")
    @classmethod
    def _zones_fit(cls, value: int, info: ValidationInfo) -> int:
        vpc = info.data.get("vpc")
        if vpc and vpc.too_small_for(value):
            raise ValueError(f"vpc {vpc.cidr} is too small for {value} zones: a subnet needs at least a /28")
        return value

    @model_validator(mode="after")
    def _zones_are_the_subnets(self) -> Self:
        if self.vpc.reused and "zones" in self.model_fields_set and self.zones != len(self.vpc.subnet_ids):
            raise ValueError(f"has zones: {self.zones} but {len(self.vpc.subnet_ids)} subnet_ids; leave zones out")
        return self

    @property
    def zone_count(self) -> int:
        """In how many zones the service runs."""
        return len(self.vpc.subnet_ids) or self.zones


class Consumer(Party):
    """One customer: a VPC with an interface endpoint to the service."""

    name: Name
    vpc: Vpc = Vpc(cidr="10.1.0.0/16")
    accept: Literal["auto", "manual"] = "auto"

    @field_validator("name")
    @classmethod
    def _its_own_name(cls, value: str, info: ValidationInfo) -> str:
        if value == PROVIDER:
            raise ValueError("'provider' is the provider's own name; call the consumer something else")
        taken: list[str] = info.context["names"] if info.context else []
        if value in taken:
            raise ValueError(f"{value!r} is another consumer's name; names tell them apart")
        taken.append(value)
        return value


class Config(Section):
    """A whole lab."""

    lab: Name = DEFAULT_LAB
    region: str | None = None
    settle: float | None = Field(default=None, ge=0, le=600)
    provider: Provider = Provider()
    consumers: tuple[Consumer, ...] = Field(default=(), strict=False)

    @field_validator("lab")
    @classmethod
    def _not_local(cls, value: str) -> str:
        if value == LOCAL:
            raise ValueError("'local' is the local AWS's own name; call the lab something else")
        return value

    @field_validator("region")
    @classmethod
    def _known_region(cls, value: str | None, info: ValidationInfo) -> str | None:
        known = (info.context or {}).get("regions", ())
        if value is not None and known and value not in known:
            raise ValueError(f"{_shown(value)} is no AWS region{_did_you_mean(value, known)}")
        return value

    @field_validator("consumers")
    @classmethod
    def _consumers_fit(cls, value: tuple[Consumer, ...], info: ValidationInfo) -> tuple[Consumer, ...]:
        zones = info.data["provider"].zone_count if "provider" in info.data else 1
        small = [consumer.name for consumer in value if consumer.vpc.too_small_for(zones)]
        if small:
            raise ValueError(f"the VPC of {', '.join(small)} is too small for {zones} zones: a subnet needs a /28")
        return value

    def consumer(self, name: str) -> Consumer | None:
        """The consumer of that name, or None."""
        return next((consumer for consumer in self.consumers if consumer.name == name), None)


def default_config() -> Config:
    """What `--local` runs without a file: one provider, one consumer, both accepted."""
    return Config(consumers=(Consumer(name="consumer"),))


def load(path: Path, regions: tuple[str, ...] = ()) -> Config:
    """The config in `path`; `regions` are the region names that count as known (none: any).

    Raises ConfigError with every mistake, each as `FILE:LINE: path: what`; UsageError when there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"There is no config file {path}.", hint="Write one with `plab init`.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The config file {path} cannot be read: {error}.") from None
    source = _Source(path, text)
    if not isinstance(source.data, dict):
        raise ConfigError([f"{path}:1: the config is {_kind(source.data)}; it must be a mapping such as `lab: demo`"])
    mistakes = list(source.repeated)
    if "lab" not in source.data:
        mistakes.append(f"{path}:1: lab: is missing; it names and tags everything that the lab makes")
    try:
        config = Config.model_validate(source.data, context={"regions": regions, "names": []})
    except ValidationError as error:
        mistakes += [source.explain(item) for item in error.errors()]
    if mistakes:
        raise ConfigError(sorted(mistakes, key=_line_of), hint="Every key is explained in config.example.yaml.")
    return config


class _Source:
    """The YAML of one file: its data, where each key stands, and which keys stand twice."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines: dict[Path_, int] = {}
        self.repeated: list[str] = []
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data = self._build(node, ()) if node else None
        except RecursionError:
            raise self._not_yaml(1, "it is nested too deeply, or contains itself") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._not_yaml(line, ", ".join(filter(None, (error.context, error.problem)))) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self._not_yaml(line, f"the character {chr(error.character)!a} may not stand in it") from None
        except (ValueError, OverflowError) as error:  # PyYAML on escapes and directives beyond Unicode and int
            raise self._not_yaml(1, str(error)) from None

    def _not_yaml(self, line: int, problem: str) -> ConfigError:
        return ConfigError([f"{self.path}:{line}: is not YAML: {problem}"])

    def _build(self, node: yaml.Node, path: Path_) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(self.lines) > MOST_VALUES:
            raise ConfigError([f"{self.path}:{line}: the config has more than {MOST_VALUES} values"])
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, index)) for index, item in enumerate(node.value)]
        # YAML reads 012345678901 as an octal number; twelve digits are an AWS account id.
        if ACCOUNT_ID.fullmatch(str(node.value)):
            return node.value
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):  # as PyYAML's constructors do
            kind = node.tag.rpartition(":")[2]
            raise ConfigError([f"{self.path}:{line}: {_shown(node.value)} is no {kind}; quote it for text"]) from None

    def _mapping(self, node: yaml.MappingNode, path: Path_) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError([f"{self.path}:{line}: {_dotted(path)}: has a key that is no plain word"])
            key = str(key_node.value)
            if key in data:
                self.repeated.append(f"{self.path}:{line}: {_dotted((*path, key))}: stands twice; keep one")
            self.lines[(*path, key)] = line
            data[key] = self._build(value_node, (*path, key))
        return data

    def explain(self, item: Any) -> str:
        """One pydantic error as `FILE:LINE: path: what`."""
        where: Path_ = item["loc"]
        line = next(self.lines[where[:cut]] for cut in range(len(where), -1, -1) if where[:cut] in self.lines)
        return f"{self.path}:{line}: {_dotted(where)}: {_sentence(item)}"


def _sentence(item: Any) -> str:
    if item["type"] == "extra_forbidden":
        return f"is not a key here{_did_you_mean(str(item['loc'][-1]), _keys_at(item['loc'][:-1]))}"
    if item["type"] == "missing":
        return "is missing"
    text = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    text = IN_YAML.get(item["type"], text)
    if item["type"].endswith("_type") or item["type"] == "literal_error":
        return f"{text}, not {_shown(item['input'])}"
    return text


def _shown(value: Any) -> str:
    """A value of the file on one short line."""
    if value is None:
        return "empty"
    try:
        text = repr(value)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a very long number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _keys_at(where: Path_) -> list[str]:
    model: Any = Config
    for part in where:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = Consumer if part == "consumers" else annotation
    return list(model.model_fields)


def _did_you_mean(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _dotted(path: Path_) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return (text if text.isprintable() else ascii(text)) or "config"


def _kind(data: Any) -> str:
    return "empty" if data is None else f"a {type(data).__name__}"


def _line_of(mistake: str) -> tuple[str, int]:
    found = re.match(r"(.*?):(\d+): ", mistake)
    return (found[1], int(found[2])) if found else (mistake, 0)
