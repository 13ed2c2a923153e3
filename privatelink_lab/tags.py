"""The tags by which plab finds what it made: their names, and what a row of AWS says of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from privatelink_lab.digest import digest
from privatelink_lab.printable import on_one_line

PREFIX = "plab:"
LAB = "plab:lab"  # the config's name of the lab
KEY = "plab:key"  # the resource's key in it
MAKER = "plab:maker"  # who ran `plab up`: user@host
SINCE = "plab:since"  # when the lab began, UTC
CREATED = "plab:created"  # when the resource was asked for, by the clock of its maker, UTC
EXPIRES = "plab:expires"  # when the lab expires, RFC 3339 in UTC
SPEC = "plab:spec"  # a hash of what cannot be read back: an instance's user data
BY = "plab:by"  # on a connection: the ARN that admitted it
AT = "plab:at"  # when, RFC 3339 in UTC
RULE = "plab:rule"  # by what: a customer's rule, a person
IDENTITY = "plab:identity"  # a hash of what can be read back and never changes: a copied tag does not agree with it


def of(row: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a row as a mapping, safe to be printed: anybody who may tag can write them."""
    return {on_one_line(tag["Key"]): on_one_line(tag["Value"]) for tag in row.get("Tags") or ()}


def own(named: Mapping[str, str]) -> dict[str, str]:
    """Those of some tags that are plab's own."""
    return {name: value for name, value in named.items() if name.startswith(PREFIX)}


def identity(lab: str, key: str, *, account: str, region: str, fixed: Mapping[str, Any]) -> str:
    """The value of `plab:identity`. `fixed` are those attributes of the resource that AWS never changes."""
    return digest(lab=lab, key=key, account=account, region=region, fixed=dict(fixed))
