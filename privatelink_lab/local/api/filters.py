"""The filters and pages of EC2's describe calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from moto.core.responses import BaseResponse
from moto.ec2.exceptions import InvalidFilter, InvalidNextToken, InvalidParameterValueError

Row = TypeVar("Row")
Fields = Mapping[str, str | Sequence[str]]
SMALLEST_PAGE, PAGE = 5, 1000


def filtered(request: BaseResponse, rows: Iterable[Row], fields_of: Callable[[Row], Fields]) -> list[Row]:
    """The rows of which every filter of the request accepts one value of its field; `*` and `?` are wildcards.

    EC2 names the parameter Filter or Filters. Raises `InvalidFilter` for a name that the fields lack;
    a filter for a missing tag accepts nothing.
    """
    given = request._get_param("Filters", []) or request._get_param("Filter", [])
    filters = {row.get("Name", ""): row.get("Values", []) for row in given}
    return [row for row in rows if _matches(filters, fields_of(row))]


def _matches(filters: Mapping[str, Iterable[str]], fields: Fields) -> bool:
    for name, patterns in filters.items():
        if name not in fields and not name.startswith("tag:"):
            raise InvalidFilter(name)
        has = fields.get(name, ())
        values = [has] if isinstance(has, str) else has
        if not any(fnmatchcase(value, pattern) for value in values for pattern in patterns):
            return False
    return True


def tag_fields(tags: Mapping[str, str]) -> dict[str, str | Sequence[str]]:
    """The fields `tag:KEY`, `tag-key` and `tag-value` of a tagged resource."""
    by_name: dict[str, str | Sequence[str]] = {f"tag:{key}": value for key, value in tags.items()}
    return by_name | {"tag-key": list(tags), "tag-value": list(tags.values())}


def tags_of(resource: Any) -> dict[str, str]:
    """The tags of an EC2 resource."""
    return dict(resource.ec2_backend.tags.get(resource.id, {}))


def tag_set(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags in the form of a response."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def page(request: BaseResponse, rows: Sequence[Row]) -> tuple[list[Row], str | None]:
    """The rows that MaxResults and NextToken request, and the token of the next page.

    Raises `InvalidNextToken` for an unknown token, `InvalidParameterValue` for a MaxResults that EC2
    does not accept.
    """
    token = request._get_param("NextToken") or "0"
    if not token.isdecimal() or int(token) > len(rows):
        raise InvalidNextToken(token)
    size = request._get_param("MaxResults")
    if size is not None and not SMALLEST_PAGE <= int(size) <= PAGE:
        raise InvalidParameterValueError(size)
    start = int(token)
    end = start + int(size or PAGE)
    return list(rows[start:end]), str(end) if end < len(rows) else None
