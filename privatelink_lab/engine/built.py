"""What a build has come to."""

from __future__ import annotations

from dataclasses import dataclass, field

from privatelink_lab.errors import PlabError
from privatelink_lab.resource import Found, Resource


@dataclass
class Built:
    """How an `up` ended, by key."""

    resources: dict[str, Resource]
    settled: dict[str, tuple[Found, ...]] = field(default_factory=dict)
    seen: dict[str, tuple[Found, ...]] = field(default_factory=dict)  # what the last look at each key saw
    failed: dict[str, PlabError] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 when every goal is ready or held, else 1."""
        return 1 if self.failed or self.blocked else 0

    def shows(self, key: str, name: str) -> str | None:
        """What `find` reported under `name` for a settled key."""
        found = self.settled.get(key)
        return found[0].shows.get(name) if found else None
