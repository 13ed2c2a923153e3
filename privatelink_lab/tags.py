"""The tags by which plab finds what it made: their names, and what a row of AWS says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LAB = "plab:lab"  # the config's name of the lab
KEY = "plab:key"  # the resource's key in it
MAKER = "plab:maker"  # who ran `plab up`: user@host
SINCE = "plab:since"  # when the lab began, UTC
SPEC = "plab:spec"  # a hash of what cannot be read back: an instance's user data


def of(row: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a row as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags") or ()}
