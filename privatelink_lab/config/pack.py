"""The pack: what a provider gives a customer so that it can ask for a connection. A YAML file of one page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from privatelink_lab.config.field_types import AccountId, Name, Section, ServiceName, ZoneId
from privatelink_lab.config.wording import mistake_sentence
from privatelink_lab.config.yaml_lines import Source
from privatelink_lab.errors import ConfigError, UsageError
from privatelink_lab.text_file import read_text

SCHEMA = 1
Port = Annotated[int, Field(ge=1, le=65535)]
Region = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d{1,2}$")]


class Pack(Section):
    """What the customer has to know. No secret is in it: only the accounts that the provider allows can use it."""

    schema_: Literal[1] = Field(alias="schema")
    service_name: ServiceName
    region: Region
    supported_regions: tuple[Region, ...] = Field(strict=False, min_length=1)
    zone_ids: tuple[ZoneId, ...] = Field(strict=False, min_length=1)
    ports: tuple[Port, ...] = Field(strict=False, min_length=1)
    provider_account: AccountId
    customer: Name
    accounts: tuple[AccountId, ...] = Field(strict=False, min_length=1)
    endpoints: int = Field(ge=1)
    acceptance: Literal["by rule", "by a person", "not required"]

    def as_yaml(self) -> str:
        """The pack as a YAML file: JSON's texts and lists are YAML's, too."""
        values = self.model_dump(by_alias=True, mode="json")
        return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


def load_pack(path: Path) -> Pack:
    """The pack in `path`. Raises ConfigError with all mistakes, one `FILE:LINE: KEY: MISTAKE` each; UsageError."""
    try:
        source = Source(path, read_text(path))
    except OSError as error:
        raise UsageError(f"The pack {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"The pack {path} cannot be read: {error}.") from None
    hint = "The provider writes a new one: plab share CUSTOMER"
    if not isinstance(source.data, dict):
        raise ConfigError(f"{path}:1: the pack must be a mapping such as `schema: {SCHEMA}`", hint=hint)
    try:
        found = Pack.model_validate(source.data)
    except ValidationError as error:
        for item in error.errors():
            source.add_mistake(item["loc"], mistake_sentence(item, lambda _: Pack.model_fields))
        raise ConfigError("\n".join(source.mistakes_in_order()), hint=hint) from None
    if mistakes := source.mistakes_in_order():
        raise ConfigError("\n".join(mistakes), hint=hint)
    return found
