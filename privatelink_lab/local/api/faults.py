"""Faults on demand: failures of AWS, switched on to test how a tool behaves."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from privatelink_lab.local.api.rate_limits import RateLimits
from privatelink_lab.local.api.responses import CUT, CallRefused, Refusal, Response

_SOME_CALLS = frozenset({"action", "share", "times"})
_SOME_TIMES = frozenset({"share", "times"})
KINDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "rate-limits": frozenset(),  # AWS's own limits per account and region
        "throttle": _SOME_CALLS,
        "error": _SOME_CALLS | {"status", "code", "message"},
        "cut-before": _SOME_CALLS,  # the connection ends before the call has an effect
        "cut-after": _SOME_CALLS,  # the connection ends after the effect: a lost response
        "stale": frozenset({"action", "seconds"}),  # the same response to a describe, for that long
        "not-found": frozenset({"seconds"}),  # a new id is not visible for that long
        "unavailable": frozenset({"seconds"}),  # a new endpoint service accepts no endpoint for that long
        "endpoint-expires": frozenset({"seconds"}),  # a pending request expires after that time (AWS facts 13)
        "instance-fails": _SOME_TIMES,
        "balancer-fails": _SOME_TIMES,
        "endpoint-fails": _SOME_TIMES,
        "target-fails": _SOME_TIMES,
    }
)
"""Kind of fault -> the settings that it takes."""

MAX_STALE = 1000  # responses kept for `stale`


class InvalidFault(ValueError):
    """A fault that this server does not have or cannot read; the message says why."""


@dataclass(frozen=True)
class Fault:
    """One failure that was switched on.

    `action` is a pattern of API actions, `share` the probability that the fault happens, `times` how
    often it happens at most (0: without limit). `seconds` are AWS time.
    """

    kind: str
    action: str = "*"
    share: float = 1.0
    times: int = 0
    seconds: float = 30.0
    status: int = 500
    code: str = "InternalError"
    message: str = ""

    def as_row(self) -> dict[str, Any]:
        """The fault as a JSON object: its kind, and the settings of that kind."""
        return {name: value for name, value in asdict(self).items() if name == "kind" or name in KINDS[self.kind]}


_TYPES = {field_.name: type(field_.default) for field_ in fields(Fault) if field_.name != "kind"}
_LIMITS = {"share": (0.0, 1.0), "times": (0, 1_000_000), "seconds": (0.0, 86_400.0), "status": (400, 599)}


def read_fault(row: object) -> Fault:
    """The fault that a JSON object describes; raises InvalidFault."""
    if not isinstance(row, dict) or str(row.get("kind")) not in KINDS:
        raise InvalidFault(f"a fault is an object with a kind, one of: {', '.join(KINDS)}")
    kind = str(row["kind"])
    given = {name: _read_value(kind, name, value) for name, value in row.items() if name != "kind"}
    return Fault(kind, **given)


def _read_value(kind: str, name: str, value: object) -> Any:
    if name not in KINDS[kind]:
        allowed = ", ".join(sorted(KINDS[kind])) or "nothing"
        raise InvalidFault(f"{kind} has no {name}; it takes {allowed}")
    wanted = _TYPES[name]
    accepted = (int, float) if wanted is float else wanted
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise InvalidFault(f"{kind}: {name} must be a {_WORDS[wanted]}")
    if name == "code" and not _CODE.fullmatch(str(value)):
        raise InvalidFault(f"{kind}: code must be letters, digits and dots")
    if name == "message" and not _MESSAGE.fullmatch(str(value)):
        raise InvalidFault(f"{kind}: message must be at most 300 printable characters of ASCII")
    if name in _LIMITS and not _LIMITS[name][0] <= value <= _LIMITS[name][1]:  # type: ignore[operator]
        raise InvalidFault(f"{kind}: {name} must be between {_LIMITS[name][0]:g} and {_LIMITS[name][1]:g}")
    return value


_CODE = re.compile(r"[A-Za-z0-9.]{1,100}")
_MESSAGE = re.compile(r"[ -~]{0,300}")
_WORDS = {str: "word", int: "whole number", float: "number"}


class Faults:
    """The faults that are on. Call it under the server's lock only."""

    def __init__(self, now: Callable[[], float], seed: int | None = None) -> None:
        self._now = now
        self._random = random.Random(seed)  # noqa: S311  # chance in a test, no secret
        self._chosen: list[Fault] = []
        self._happened: dict[int, int] = {}
        self._rate_limits = RateLimits(now)
        self._stale: dict[tuple[str, ...], tuple[float, Response]] = {}

    def choose(self, rows: object) -> None:
        """Switch on exactly these faults, given as a JSON list; raises InvalidFault and changes nothing."""
        if not isinstance(rows, list):
            raise InvalidFault("faults are a list")
        chosen = [read_fault(row) for row in rows]
        self._chosen, self._happened, self._stale = chosen, {}, {}
        self._rate_limits = RateLimits(self._now)

    def as_rows(self) -> list[dict[str, Any]]:
        """The faults that are on, as `choose` takes them."""
        return [fault.as_row() for fault in self._chosen]

    def strike(self, kind: str, action: str = "") -> Fault | None:
        """The fault of that kind that happens now, and count it; None if none happens."""
        for number, fault in enumerate(self._chosen):
            if fault.kind != kind or not fnmatchcase(action, fault.action):
                continue
            is_used_up = fault.times and self._happened.get(number, 0) >= fault.times
            if not is_used_up and self._random.random() < fault.share:
                self._happened[number] = self._happened.get(number, 0) + 1
                return fault
        return None

    def seconds(self, kind: str) -> float:
        """How long faults of that kind last, in seconds of AWS time; 0 when none is on."""
        return max((fault.seconds for fault in self._chosen if fault.kind == kind), default=0.0)

    def random_delay(self, seconds: float) -> float:
        """A random time between 0 and `seconds`; the same seed gives the same times."""
        return self._random.uniform(0, seconds)

    def call(self, where: tuple[str, str, str], action: str, body: str, call: Callable[[], Response]) -> Response:
        """The response to one call, or the fault in its place; raises CallRefused.

        `where` is account, region and service.
        """
        if not self._chosen:
            return call()
        self._refuse(where, action, body)
        if self.strike("cut-before", action):
            return CUT
        response = self._repeated(where, action, body, call)
        return CUT if self.strike("cut-after", action) else response

    def _refuse(self, where: tuple[str, str, str], action: str, body: str) -> None:
        has_limits = any(fault.kind == "rate-limits" for fault in self._chosen)
        is_over_limit = has_limits and not self._rate_limits.take(where, action, body)
        if is_over_limit or self.strike("throttle", action):
            raise CallRefused(_THROTTLES.get(where[2], _THROTTLE))
        error = self.strike("error", action)
        if error:
            message = error.message or f"A fault that was asked for: {action}."
            raise CallRefused(Refusal(error.status, error.code, message))

    def _repeated(self, where: tuple[str, str, str], action: str, body: str, call: Callable[[], Response]) -> Response:
        stale = self.strike("stale", action) if action.startswith("Describe") else None
        if stale is None:
            return call()
        key = (*where, action, body)
        since, response = self._stale.get(key, (float("-inf"), CUT))
        if self._now() - since >= stale.seconds:
            since, response = self._now(), call()
        if len(self._stale) >= MAX_STALE:
            self._stale.clear()
        self._stale[key] = (since, response)
        return response


_THROTTLE = Refusal(400, "ThrottlingException", "Rate exceeded")
_THROTTLES = {
    "ec2": Refusal(503, "RequestLimitExceeded", "Request limit exceeded."),
    "elasticloadbalancing": Refusal(400, "Throttling", "Rate exceeded"),
}
