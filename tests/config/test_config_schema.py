"""What `make docs` writes from the models: the JSON schema for editors, and the tables of docs/config.md."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.command_line import Run

from privatelink_lab.config import default_config, load
from privatelink_lab.errors import ConfigError

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "privatelink_lab"
SCHEMA = json.loads((PACKAGE / "config.schema.json").read_text(encoding="utf-8"))
EXAMPLE = (PACKAGE / "config.example.yaml").read_text(encoding="utf-8")
TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}
ANNOTATIONS = {"$schema", "$defs", "title", "description", "default", "patternErrorMessage"}


def accepts(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a JSON schema accepts a value; KeyError for a word of the standard that our schema does not use."""
    words = sorted(schema.keys() - ANNOTATIONS, key=lambda word: word != "type")  # a wrong type ends it
    return all(WORDS[word](value, schema[word], schema) for word in words)


def is_of_type(value: Any, wanted: str | list[str], _: object) -> bool:
    """Whether a value is of one of these types; true and false are no numbers."""
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(isinstance(value, TYPES[name]) and isinstance(value, bool) == (name == "boolean") for name in names)


WORDS: dict[str, Callable[[Any, Any, dict[str, Any]], bool]] = {
    "type": is_of_type,
    "$ref": lambda value, wanted, _: accepts(value, SCHEMA["$defs"][wanted.rpartition("/")[2]]),
    "anyOf": lambda value, wanted, _: any(accepts(value, choice) for choice in wanted),
    "enum": lambda value, wanted, _: value in wanted,
    "properties": lambda value, wanted, _: all(accepts(value[key], wanted[key]) for key in wanted if key in value),
    "additionalProperties": lambda value, wanted, schema: (
        all(accepts(more, wanted) for more in value.values()) if wanted else set(value) <= set(schema["properties"])
    ),
    "patternProperties": lambda value, wanted, _: (
        isinstance(value, str)
        or all(
            any(re.search(pattern, name) and accepts(more, schema) for pattern, schema in wanted.items())
            for name, more in value.items()
        )
    ),
    "propertyNames": lambda value, wanted, _: isinstance(value, str) or all(accepts(name, wanted) for name in value),
    "maxProperties": lambda value, wanted, _: len(value) <= wanted,
    "required": lambda value, wanted, _: set(wanted) <= set(value),
    "items": lambda value, wanted, _: not isinstance(value, list) or all(accepts(item, wanted) for item in value),
    "pattern": lambda value, wanted, _: not isinstance(value, str) or bool(re.search(wanted, value)),
    "minItems": lambda value, wanted, _: not isinstance(value, list) or len(value) >= wanted,
    "maxItems": lambda value, wanted, _: not isinstance(value, list) or len(value) <= wanted,
    "minLength": lambda value, wanted, _: len(value) >= wanted,
    "maxLength": lambda value, wanted, _: len(value) <= wanted,
    "minimum": lambda value, wanted, _: isinstance(value, list) or value >= wanted,
    "maximum": lambda value, wanted, _: isinstance(value, list) or value <= wanted,
}


def test_the_written_files_are_up_to_date() -> None:
    """The schema and the page say what the models say; `make docs` writes them."""
    for path, text in runpy.run_path(str(ROOT / "docs" / "write_config.py"))["files"]().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: make docs"


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        json.dumps(default_config().model_dump(mode="json")),
        "lab: a",
        "{lab: a, customers: {acme: {accounts: [222222222222], admit: [vpce-0123456789abcdef0]}}}",
        "{lab: a, customers: customers.yaml}",
        "{lab: a, provider: {vpc: {id: vpc-0123456789abcdef0, subnet_ids: [subnet-0123456789abcdef0]}}}",
        "{lab: a, provider: {service: {allowed_principals: [123456789012, '*', 'arn:aws:iam::123456789012:role/a']}}}",
    ],
)
def test_the_schema_accepts_what_plab_accepts(text: str, tmp_path: Path) -> None:
    """The example, the defaults and other good configs have no mark in the editor."""
    (tmp_path / "plab.yaml").write_text(text)
    (tmp_path / "customers.yaml").write_text("{}")
    load(tmp_path / "plab.yaml")
    assert accepts(yaml.safe_load(text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "region: us-east-1",
        "{lab: a, regoin: us-east-1}",
        "lab: A",
        "lab: abcdefghijklmnopqrstu",
        "{lab: a, provider: }",
        "{lab: a, provider: {zones: 7}}",
        "{lab: a, provider: {zones: '1'}}",
        "{lab: a, provider: {role_arn: arn:aws:iam::123456789012:user/a}}",
        "{lab: a, provider: {vpc: {cidr: 10.0.0.0/8}}}",
        "{lab: a, provider: {web_server: {port: 0}}}",
        "{lab: a, provider: {service: {allowed_principals: [me]}}}",
        "{lab: a, consumers: [{}]}",
        "{lab: a, consumers: [{name: b, accept: later}]}",
        "{lab: a, consumers: {name: b}}",
        "{lab: a, customers: [acme]}",
    ],
)
def test_the_schema_refuses_what_plab_refuses(text: str, tmp_path: Path) -> None:
    """An editor marks a wrong key, type, number or text, as plab does."""
    (tmp_path / "plab.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load(tmp_path / "plab.yaml")
    assert not accepts(yaml.safe_load(text), SCHEMA)


def test_init_gives_the_editor_its_schema(run: Run, tmp_path: Path) -> None:
    """The first line of the config that `plab init` writes leads from its folder to the schema."""
    (tmp_path / "labs").mkdir()
    assert run("init", "labs/shop.yaml").code == 0
    first = (tmp_path / "labs" / "shop.yaml").read_text().splitlines()[0]
    path = tmp_path / "labs" / first.removeprefix("# yaml-language-server: $schema=")
    assert json.loads(path.read_text()) == SCHEMA
    assert path.parent.stat().st_mode & 0o777 == 0o700
