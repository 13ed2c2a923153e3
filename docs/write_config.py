"""Writes what the config's models say: the JSON schema that `plab init` gives to editors, and docs/config.md's tables.

`make docs` runs it. The tables stand between two marks; the rest of the page is written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from privatelink_lab.config import Config

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "privatelink_lab" / "config.schema.json"
PAGE = ROOT / "docs" / "config.md"
MARKS = ("<!-- from the models: make docs -->\n", "<!-- to here -->\n")
TYPES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "mapping",
}

Json = dict[str, Any]


class _WithoutTitles(GenerateJsonSchema):
    """pydantic's schema without a title for every key, which is the key once more."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def schema() -> Json:
    """The JSON schema of a config file."""
    made = Config.model_json_schema(schema_generator=_WithoutTitles)
    return {"$schema": "http://json-schema.org/draft-07/schema#"} | made | {"title": "The config of plab"}


def files() -> dict[Path, str]:
    """Both files, as they should be."""
    made = schema()
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(MARKS[0])
    tail = rest.partition(MARKS[1])[2]
    tables = "\n".join(_tables(made, made))
    return {SCHEMA: json.dumps(made, indent=1) + "\n", PAGE: f"{head}{MARKS[0]}\n{tables}\n{MARKS[1]}{tail}"}


def _tables(made: Json, section: Json, path: str = "", given: Json | None = None) -> Iterator[str]:
    """A heading, a sentence and a table for a section and for all in it; `given` are defaults that are not its own."""
    yield f"### `{path}`" if path else "### The top of the file"
    yield ""
    yield section["description"]
    yield ""
    yield "| key | type | default | meaning | allowed |"
    yield "| --- | --- | --- | --- | --- |"
    required = section.get("required", ())
    fields = sorted(section["properties"].items(), key=lambda pair: pair[0] not in required)
    for name, field in fields:
        if "description" in field:
            value = (given or {}).get(name, field.get("default"))
            yield _row(name, field, "required" if name in required else _default_text(value))
    yield ""
    for name, field in fields:
        inner = _section_of(made, field)
        if inner:
            key, default = f"{path}.{name}".removeprefix("."), field["default"]
            mark = "[]" if field.get("type") == "array" else ".NAME" if "patternProperties" in field else ""
            yield from _tables(made, inner, f"{key}{mark}", None if mark else default)


def _section_of(made: Json, field: Json) -> Json | None:
    """The section that a key, or every item of its list, is; None for a plain value."""
    named = next(iter(field.get("patternProperties", {}).values()), field)  # a mapping of names
    name = (field.get("items") or named).get("$ref")
    found: Json | None = made["$defs"][name.rpartition("/")[2]] if name else None
    return found


def _default_text(value: Any) -> str:
    if value in (None, [], {}):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _row(key: str, field: Json, default: str) -> str:
    value = next(choice for choice in field.get("anyOf", [field]) if choice["type"] != "null")
    limits = _limits(value if "minimum" in value else value.get("items") or value)
    kinds = value["type"] if isinstance(value["type"], list) else [value["type"]]
    return f"| `{key}` | {' or '.join(TYPES[kind] for kind in kinds)} | {default} | {field['description']} | {limits} |"


def _limits(value: Json) -> str:
    if "enum" in value:
        return " or ".join(f"`{word}`" for word in value["enum"])
    if "minimum" in value:
        return f"{value['minimum']} to {value['maximum']}"
    return str(value.get("patternErrorMessage") or ("not empty" if "minLength" in value else ""))


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
