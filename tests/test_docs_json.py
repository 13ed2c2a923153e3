"""docs/json.md is the contract of `--json`: every key that plab prints is in it, with a type that fits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.command_line import write_config
from support.doc_pages import ROOT, read, rows, section
from support.processes import start_plab
from support.timeouts import PATIENCE

PAGE = ROOT / "docs" / "json.md"
FITS = {
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: type(value) is int,
    "number": lambda value: type(value) in {int, float},
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
    "array of strings": lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
    "array of numbers": lambda value: isinstance(value, list) and all(type(item) in {int, float} for item in value),
    "array of objects": lambda value: isinstance(value, list) and all(isinstance(item, dict) for item in value),
}
ENDPOINT = "ENDPOINT"  # stands for the id of the lab's endpoint
COMMANDS = (  # what a lab with one consumer, `accept: manual`, goes through, and how it ends
    ("up --local --dry-run", 0),
    ("up --local", 0),
    ("connections", 0),
    ("verify", 1),
    ("accept --all -y", 0),
    ("status", 0),
    ("list", 0),
    ("why", 0),
    ("reap -y", 0),
    ("status --timeline", 0),
    ("local faults throttle,times=1 not-found,seconds=0 error,times=1,action=CreateVpc", 0),
    ("local status", 0),
    ("local faults --off", 0),
    ("verify", None),  # 0 where packets flow
    (f"reject {ENDPOINT} -y", 0),
    ("local faults error,action=DescribeVpcEndpoints,status=403,code=UnauthorizedOperation", 0),
    ("up --local", 1),
    ("local faults --off", 0),
    ("up --local", 0),
    (f"accept {ENDPOINT} -y", 2),
    ("down -y", 0),
    ("status --local", 0),
    ("status --timeline", 0),
    ("local start", 0),
)


def table(heading: str) -> dict[str, str]:
    """The types in the table under a heading, by key."""
    return {row[0]: row[1] for row in rows(section(PAGE, heading)) if row[1] != "type"}


def heading_of(name: str) -> str:
    """The heading that names an event or a command."""
    lines = (line for line in read(PAGE).splitlines() if line.startswith("### "))
    return next(line.lstrip("# ") for line in lines if f"`{name}`" in line)


def tables_of(words: str, data: dict[str, Any]) -> dict[str, str]:
    """The types of an object that a command has printed."""
    if data.get("event") == "summary":
        without_result = set(data) <= {"event", "command", "exit_code", "error"}
        name = "up --dry-run" if "plan" in data else data["command"]
        return table("The summary") | ({} if without_result else table(heading_of(name)))
    if "event" in data:
        return table(heading_of(data["event"]))
    name = re.match(r"(local )?\w+( --timeline)?", words)
    assert name
    return table(heading_of(name[0]))


def mistakes(data: dict[str, Any], types: dict[str, str], path: str = "") -> Iterator[str]:
    """What the tables do not say of an object, or say differently."""
    for name, value in data.items():
        key = f"{path}{name}"
        if key not in types:
            yield f"{key} is not documented"
        elif not any(FITS[type_](value) for type_ in types[key].split(" or ")):
            yield f"{key} is {types[key]} in the docs, and is {value!r}"
        elif name == "error":
            yield from mistakes(value, table("Errors"))
        else:
            yield from _mistakes_inside(value, types, key)


def _mistakes_inside(value: Any, types: dict[str, str], key: str) -> Iterator[str]:
    inner = f"{key}[]." if isinstance(value, list) else f"{key}."
    if any(known.startswith(inner) for known in types):  # otherwise its keys are free
        for item in value if isinstance(value, list) else [value] if value else []:
            yield from mistakes(item, types, inner)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a config and a local AWS without delays."""
    write_config(tmp_path, "manual")
    start_plab(tmp_path, "local", "start", "--speed", "0").communicate(timeout=PATIENCE)
    yield tmp_path
    start_plab(tmp_path, "local", "stop").communicate(timeout=PATIENCE)


def test_every_key_that_plab_prints_is_documented_with_its_type(folder: Path) -> None:
    """A lab from `up` to `down`, also with failures: each object has only documented keys, of the documented types."""
    endpoint, found, seen = "", [], set()
    for words, code in COMMANDS:
        process = start_plab(folder, *words.replace(ENDPOINT, endpoint).split(), "--json")
        out, err = process.communicate(timeout=PATIENCE)
        assert code in {None, process.returncode}, f"{words}: {process.returncode}\n{out}{err}"
        for line in out.splitlines():
            data = json.loads(line)
            seen.add(data.get("event", words))
            found += [f"{words}: {mistake}" for mistake in mistakes(data, tables_of(words, data))]
            endpoint = next((row["endpoint"] for row in data.get("connections", [])), endpoint)
    assert found == []
    assert seen >= {"started", "waiting", "finished", "failed", "accepted", "rejected", "verified", "summary"}


def test_what_is_not_documented_is_found() -> None:
    """A new key, another type, and a new key deep inside do not pass."""
    types = table("`up`")
    good = {"lab": "test", "endpoints": [{"consumer": "acme", "dns_name": None}], "seconds": 1.5}
    assert list(mistakes(good, types)) == []
    assert list(mistakes({"laboratory": "test"}, types)) == ["laboratory is not documented"]
    assert len(list(mistakes({"lab": None, "seconds": "1", "next": [1]}, types))) == 3
    assert list(mistakes({"endpoints": [{"port": 80}]}, types)) == ["endpoints[].port is not documented"]
