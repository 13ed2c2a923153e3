"""A resource that no step has: a test says what is found of it, and what can be done with it."""

from __future__ import annotations

from typing import Any

from privatelink_lab.resource import Resource, ResourceType


def thing(key: str, depends_on: tuple[str, ...] = (), ready_after: tuple[str, ...] = (), **options: Any) -> Resource:
    """A resource of its own type; `options` are those of the type."""
    return Resource(key, ResourceType("thing", **options), depends_on, ready_after)
