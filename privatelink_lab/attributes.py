"""What the config decides of a resource and a hand can change: the values that AWS shows beside those that it asks for.

Each step lists its attributes; the engine compares them and says what differs, from what to what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any

CONFIG = "the config says"  # of what a person can ask for there
NEEDED = "the lab needs"  # of all else: the path stands on it


@dataclass(frozen=True)
class Attribute:
    """One attribute of one resource. `change` sets it in place; None where AWS cannot, or plab must not.

    A value is a text, a number, a truth or a collection of ids, whose order says nothing. None as `now`: AWS does not
    show it; as `wanted`: it is not known yet.
    """

    name: str
    now: Any
    wanted: Any
    change: Callable[[], object] | None = None
    asked_by: str = NEEDED

    @property
    def differs(self) -> bool:
        """Whether AWS shows another value than the config asks for."""
        return None not in {_value(self.now), _value(self.wanted)} and _value(self.now) != _value(self.wanted)

    def __str__(self) -> str:
        return f"{self.name}: {_text(self.now)}, {self.asked_by} {_text(self.wanted)}"


def differences(attributes: Iterable[Attribute]) -> tuple[Attribute, ...]:
    """Those that are not as asked."""
    return tuple(attribute for attribute in attributes if attribute.differs)


def in_words(drift: Iterable[Attribute]) -> str:
    """All that is not as asked, from what to what."""
    return "; ".join(map(str, drift))


def _value(value: Any) -> Any:
    return value if isinstance(value, str) or not isinstance(value, Collection) else frozenset(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str) or not isinstance(value, Collection):
        return str(value)
    return ", ".join(sorted(map(str, value))) or "none"
