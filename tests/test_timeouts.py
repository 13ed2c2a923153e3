"""No test fails because the machine is busy: what must happen is awaited with PATIENCE, not with a number."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.rglob("*.py"))
WAITS = {"wait", "wait_for", "join", "result", "settimeout", "timeout"}  # their first argument is a number of seconds
AWS_TIME = {"Patience", "HealthCheck"}  # their `timeout` is no wait of the test


def bounds(text: str) -> Iterator[str]:
    """The waits and comparisons in a module that the machine's clock ends after a number of seconds."""
    for node in ast.walk(ast.parse(text)):
        limits: list[ast.expr] = []
        if isinstance(node, ast.Call):
            owner, _, name = ast.unparse(node.func).rpartition(".")
            limits = [keyword.value for keyword in node.keywords if keyword.arg == "timeout" and name not in AWS_TIME]
            if name in WAITS and not owner.endswith("cloud"):  # a cloud waits in virtual time
                limits += node.args[:1]
            if name == "create_connection":
                limits += node.args[1:2]
        elif isinstance(node, ast.Compare) and "time.monotonic()" in ast.unparse(node):
            limits = node.comparators
        if any(isinstance(limit, ast.Constant) and isinstance(limit.value, (int, float)) for limit in limits):
            yield ast.unparse(node)


def test_what_must_happen_is_awaited_with_patience() -> None:
    """A test passes on a machine that is ten times as slow."""
    found = [(path.name, bound) for path in FILES for bound in bounds(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "process.wait(10)",
        "process.communicate(timeout=60)",
        "future.result(5)",
        "socket.create_connection(there, 5)",
        "there.settimeout(1.5)",
        "asyncio.timeout(10)",
        "assert time.monotonic() - began < 0.2",
    ],
)
def test_a_short_bound_is_found(line: str) -> None:
    """The rule sees what it forbids, and not the same with PATIENCE or in virtual time."""
    assert len(list(bounds(line))) == 1
    assert list(bounds("process.wait(PATIENCE); lab.cloud.wait(60); Patience(timeout=900)")) == []
