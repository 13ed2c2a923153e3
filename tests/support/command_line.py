"""`plab` as a test runs it in this process: its config file, and how a command ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

CONFIG = """\
lab: test
region: us-east-1
consumers:
  - name: acme
    accept: {accept}
"""


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """stdout, one JSON object per line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]


def write_config(folder: Path, accept: str = "auto", **replaced: str) -> None:
    """plab.yaml in `folder`."""
    text = CONFIG.format(accept=accept)
    for old, new in replaced.items():
        text = text.replace(old, new)
    (folder / "plab.yaml").write_text(text, encoding="utf-8")
