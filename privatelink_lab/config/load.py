"""Read a config file, and report all its mistakes at once."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from privatelink_lab.config.models import Config, Consumer, Customer
from privatelink_lab.config.wording import KeyPath, mistake_sentence
from privatelink_lab.config.yaml_lines import Source
from privatelink_lab.errors import ConfigError, UsageError
from privatelink_lab.printable import on_one_line
from privatelink_lab.text_file import read_text

DEFAULT_FILE = "plab.yaml"
CUSTOMERS = "customers"
_ROWS = {"consumers": Consumer, CUSTOMERS: Customer}


def load(path: Path, regions: tuple[str, ...] = ()) -> Config:
    """The config in `path`. `regions` are the names of known regions; where it is empty, any region is accepted.

    Its `customers` may be in a file of their own. Raises ConfigError with all mistakes, one `FILE:LINE: KEY: MISTAKE`
    each; UsageError when there is no such file.
    """
    try:
        text = read_text(path)
    except FileNotFoundError:
        raise UsageError(
            f"There is no config file {path}.", hint=f"Write one: plab init {shlex.quote(str(path))}"
        ) from None
    except OSError as error:
        raise UsageError(f"The config file {path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise UsageError(f"The config file {path} cannot be read: {error}.") from None
    return parse(path, text, regions)


def parse(path: Path, text: str, regions: tuple[str, ...] = ()) -> Config:
    """The config in the text of a file, which may still have to be written; raises ConfigError as `load`."""
    source = Source(path, text)
    if not isinstance(source.data, dict):
        kind = "empty" if source.data is None else f"a {type(source.data).__name__}"
        raise ConfigError(f"{path}:1: the config is {kind}; it must be a mapping such as `lab: demo`")
    if "lab" not in source.data:
        source.add_mistake(("lab",), "is missing; plab uses it in the names and tags of all that it makes")
    sources = [*_customers_of(source), source]
    try:
        config = Config.model_validate(source.data, context={"regions": regions, "names": {}, "accounts": []})
    except ValidationError as error:
        for item in error.errors():
            where = _without_mark(item["loc"])
            holder = next(one for one in sources if where[: len(one.root)] == one.root)
            holder.add_mistake(where, mistake_sentence(item, _keys_at))
    if mistakes := [text for one in reversed(sources) for text in one.mistakes_in_order()]:
        raise ConfigError("\n".join(mistakes), hint="`plab init FILE` writes a config that explains every key.")
    return config


def _customers_of(source: Source) -> list[Source]:
    """The file that `customers` names, whose data take the place of its name; [] where the config has them itself."""
    name = source.data.get(CUSTOMERS)
    if not isinstance(name, str):
        return []
    path = source.path.parent / name
    try:
        customers = Source(path, read_text(path), (CUSTOMERS,))
    except (OSError, ValueError) as error:
        del source.data[CUSTOMERS]
        reason = getattr(error, "strerror", None) or error
        source.add_mistake((CUSTOMERS,), f"the file {on_one_line(str(path))} cannot be read: {reason}")
        return []
    source.data[CUSTOMERS] = customers.data
    return [customers]


def of_name(lab: str) -> Config:
    """The config of a lab whose name alone is known; raises UsageError for a name that no lab can have."""
    try:
        return Config(lab=lab)
    except ValidationError as error:
        text = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise UsageError(f"{lab!r} cannot be the name of a lab: {text}.", hint="plab status --lab NAME") from None


def _without_mark(where: KeyPath) -> KeyPath:
    """A path as the file has it: pydantic marks the key of a mapping."""
    return tuple(part for part in where if part != "[key]")


def _keys_at(where: KeyPath) -> list[str]:
    model: Any = Config
    for part in where:
        if model is Customer or isinstance(part, int):  # the part is a customer's name, or a consumer's number
            continue
        model = _ROWS[part] if part in _ROWS else model.model_fields[part].annotation
    return list(model.model_fields)
