"""The contract between the steps, which know AWS, and the engine, which knows order and time.

- `find` is the root verb: idempotency, waiting, status, adoption after a crash and teardown ask the same question.
  It reads the look and nothing else.
- One resource = one create call, so a kill at any call leaves something that `find` sees. What create cannot set is
  DRIFTED until mended.
- Ownership is a tag. What has no tag of its own (a rule, a registration, permissions) belongs to its tagged parent:
  its `delete` is None when it goes with that parent.
- A resource with `create` None is never made by plab; it stands in the way of a teardown (foreign connections).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privatelink_lab.aws import Account
    from privatelink_lab.errors import AwsError
    from privatelink_lab.lab import Lab
    from privatelink_lab.look import Look


class Phase(StrEnum):
    """What the engine needs to know of a resource; AWS's own word stands in `Found.detail`."""

    PENDING = "pending"  # AWS is at work
    READY = "ready"
    HELD = "held"  # ours is done and somebody else decides: satisfies needs, ends `up` with a sentence
    DRIFTED = "drifted"  # there, but not as asked; `mend` puts it right
    LEAVING = "leaving"
    FAILED = "failed"  # waiting will not help; detail says why


SATISFIED = frozenset({Phase.READY, Phase.HELD})


@dataclass(frozen=True)
class Found:
    """One thing in AWS; `shows` holds what a user wants to read of it (a DNS name, a service name).

    `usd_per_hour` is what this one costs where that differs from its Resource's plan (more zones, say).
    """

    id: str
    phase: Phase
    detail: str = ""
    shows: Mapping[str, str] = field(default_factory=dict)
    usd_per_hour: float | None = None


@dataclass(frozen=True)
class Patience:
    """How long a resource may take, in seconds of AWS time.

    `timeout`: from the last call or the first wait to FAILED. `settle`: how long an id that no look has shown yet may
    be missing from describes (AWS is eventually consistent) before it counts as gone. Where a second create makes a
    second thing, it is long (SPREADS): waiting is free and a duplicate is not.
    """

    timeout: float = 300.0
    settle: float = 20.0


SPREADS = 90.0  # seconds; the slow case of the facts sheet, section 13, is 30
DELETED_LAST = Patience(
    timeout=900, settle=SPREADS
)  # interfaces of balancers and endpoints linger for minutes (facts sheet 3)


@dataclass(frozen=True)
class Token:
    """What makes one create idempotent: the lab, the key and the attempt; the request is added at the call."""

    lab: str
    key: str
    attempt: int

    def of(self, **request: Any) -> str:
        """A ClientToken of 64 ASCII characters (EC2's limit) that changes with the request and the attempt.

        The same request gets the same token, so a lost state or a re-sent call makes no second resource;
        the attempt gives a new life a new token (`IdempotentInstanceTerminated`).
        """
        return spec_of(lab=self.lab, key=self.key, attempt=self.attempt, request=request)


def spec_of(**values: Any) -> str:
    """A hash of 64 hex characters over plain values."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


Find = Callable[["Lab", "Look"], tuple[Found, ...]]
Create = Callable[["Lab", "Look", Token], str]
Mend = Callable[["Lab", "Look", Found], None]
Delete = Callable[["Account", tuple[str, ...]], Mapping[str, "AwsError"]]


@dataclass(frozen=True)
class Resource:
    """One AWS resource of a lab.

    `key` is state key, tag value and display name (`provider/nlb`, `acme/endpoint`); its first part names the party
    whose account it lives in. `needs` gate its creation; `awaits` name what else must come before it can be READY, so
    that nobody waits for it once one of them has failed; in a teardown, what is to be looked for once they are gone.
    `releases` are the needs that AWS no longer holds for it as soon as it is LEAVING. `noun` is what a receipt counts.
    `delete` starts the deletion of several ids of its kind in one account and returns the refusals by id.
    `usd_per_hour` is None where no list price is known.
    """

    key: str
    noun: str
    needs: tuple[str, ...]
    find: Find
    create: Create | None = None
    mend: Mend | None = None
    delete: Delete | None = None
    patience: Patience = Patience()
    usd_per_hour: float | None = 0.0
    awaits: tuple[str, ...] = ()
    releases: tuple[str, ...] = ()
    step: str = ""

    @property
    def party(self) -> str:
        """`provider`, or the consumer's name."""
        return self.key.split("/", 1)[0]

    def in_step(self, name: str) -> Resource:
        """The same resource, shown under that step."""
        return replace(self, step=name)


def _nothing_to_check(_: Lab) -> None:
    """Most steps can only be refused by AWS itself."""


def _nothing_to_revive(_: Lab, __: str) -> None:
    """Most keys are always in the config."""


@dataclass(frozen=True)
class Step:
    """One step of the tutorial.

    `resources` lists what the config asks for, `revive` rebuilds one from a tag that the config no longer names, and
    `check` raises a PlabError before `up` makes anything when what the config points at cannot serve.
    """

    name: str
    resources: Callable[[Lab], tuple[Resource, ...]]
    revive: Callable[[Lab, str], Resource | None] = _nothing_to_revive
    check: Callable[[Lab], None] = _nothing_to_check
