"""Read a config file, and report all its mistakes at once."""

from __future__ import annotations

import shlex
from operator import itemgetter
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from privatelink_lab.config.models import Config, Consumer, Customer
from privatelink_lab.config.wording import KeyPath, key_text, mistake_sentence
from privatelink_lab.config.yaml_lines import Source
from privatelink_lab.errors import ConfigError, UsageError
from privatelink_lab.text_file import read_text

DEFAULT_FILE = "plab.yaml"
_ROWS = {"consumers": Consumer, "customers": Customer}


def load(path: Path, regions: tuple[str, ...] = ()) -> Config:
    """The config in `path`. `regions` are the names of known regions; where it is empty, any region is accepted.

    Raises ConfigError with all mistakes, one `FILE:LINE: KEY: MISTAKE` each; UsageError when there is no such file.
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
    mistakes = list(source.repeated)
    if "lab" not in source.data:
        mistakes.append((1, "lab: is missing; plab uses it in the names and tags of all that it makes"))
    try:
        config = Config.model_validate(source.data, context={"regions": regions, "names": {}, "accounts": []})
    except ValidationError as error:
        items = [(_without_mark(item["loc"]), mistake_sentence(item, _keys_at)) for item in error.errors()]
        mistakes += [(source.line_of(where), f"{key_text(where)}: {sentence}") for where, sentence in items]
    if mistakes:
        mistakes.sort(key=itemgetter(0))
        text = "\n".join(f"{path}:{line}: {mistake}" for line, mistake in mistakes)
        raise ConfigError(text, hint="`plab init FILE` writes a config that explains every key.")
    return config


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
