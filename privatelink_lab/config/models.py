"""The keys of a config: the models, their defaults, and the rules that AWS or safety sets.

The descriptions and limits of the keys are also in the JSON schema and in docs/config.md: `make docs` writes both.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationInfo, field_validator, model_validator

from privatelink_lab.config.field_types import (
    LOOKS_LIKE_ID,
    MOST_TAGS,
    AccountId,
    EndpointId,
    Name,
    Section,
    Tags,
)
from privatelink_lab.config.provider import PartySection, Provider, Region, Vpc
from privatelink_lab.expiry import FORM as TTL_FORM
from privatelink_lab.expiry import PATTERN as TTL
from privatelink_lab.expiry import is_ttl

DEFAULT_LAB = "privatelink-lab"
PROVIDER = "provider"
LOCAL = "local"


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
    regions: tuple[Region, ...] = Field(
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


class Config(Section):
    """A lab: its name, its place, its provider and its consumers."""

    model_config = ConfigDict(json_schema_extra={"required": ["lab"]})  # of a file; `load` says so in words

    lab: Name = Field(default=DEFAULT_LAB, description="The lab's name. It is part of every name and tag in AWS.")
    region: Region | None = Field(
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
    def customers_with_access(self) -> dict[str, Customer]:
        """Those whose accounts may ask, by name."""
        return {name: one for name, one in self.customers.items() if one.access == "given"}

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
