"""How a run ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from privatelink_lab.errors import PlabError
from privatelink_lab.resource import Found, Resource


@dataclass
class Built:
    """How an `up` ended, by key."""

    resources: dict[str, Resource]
    done: dict[str, tuple[Found, ...]] = field(default_factory=dict)  # ready or held
    seen: dict[str, tuple[Found, ...]] = field(default_factory=dict)  # what was last seen under each key
    failed: dict[str, PlabError] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)  # of which AWS has shown nothing, not even that it is absent
    suspects: dict[str, PlabError] = field(default_factory=dict)  # it bears the lab's tags and is not its own
    incomplete: dict[str, str] = field(default_factory=dict)  # by id: it bears the lab's tag alone
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 when every key is ready or held, else 1."""
        return 1 if self.failed or self.blocked else 0

    def shows(self, key: str, name: str) -> str | None:
        """What `find` reported under `name` for a key that is done."""
        found = self.done.get(key)
        return found[0].shows.get(name) if found else None


@dataclass
class Removed:
    """The receipt of a `down`: what was deleted (ids by noun), and what is left and why."""

    deleted: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, PlabError] = field(default_factory=dict)
    incomplete: dict[str, str] = field(default_factory=dict)  # by id: it bears the lab's tag alone, and is not left

    @property
    def exit_code(self) -> int:
        """0 when nothing is left, else 3."""
        return 3 if self.left else 0
