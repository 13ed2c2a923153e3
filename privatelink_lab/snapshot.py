"""One snapshot of AWS per tick: each describe at most once, only what is asked for, never changed afterwards.

Waiting for 500 endpoints costs the same describes as waiting for one: rows are fetched per kind and account, filtered
by the lab's tag or name. What belongs to a parent (health, listeners, permissions, connections) is fetched per parent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from privatelink_lab import tags
from privatelink_lab.errors import AwsError, NotOurs
from privatelink_lab.memo import Memo

if TYPE_CHECKING:
    from privatelink_lab.aws import Account
    from privatelink_lab.resource import Found, Resource

Row = dict[str, Any]
Rows = tuple[Row, ...]
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Kind:
    """How AWS lists the resources of one kind that bear the lab's tag.

    `name` is EC2's own word, as in TagSpecifications. `operation` is the describe call, `rows` where its answer has
    the rows, `nested` where each of these has the real ones. `arn` is where an ELBv2 row has its ARN: ELBv2 has no tag
    filter, so its rows are found by the lab's name. A consumer's account has nothing of a kind that is
    `provider_only`.
    """

    name: str
    operation: str
    rows: str
    nested: str = ""
    arn: str = ""
    provider_only: bool = False

    @property
    def reads(self) -> set[str]:
        """The IAM actions of a snapshot: the describe call, and ELBv2's second one for tags."""
        name = "".join(word.capitalize() for word in self.operation.split("_"))
        return {f"elasticloadbalancing:{name}", "elasticloadbalancing:DescribeTags"} if self.arn else {f"ec2:{name}"}

    @property
    def tags(self) -> str:
        """The IAM action that a create with tags also takes; it is no call."""
        return "elasticloadbalancing:AddTags" if self.arn else "ec2:CreateTags"


class Snapshot:
    """What AWS says in one tick about one lab. Keys in `done` are taken as found earlier in this run.

    With `only_since`, only what the maker made who began at that moment is the lab's own.
    """

    def __init__(
        self,
        lab: str,
        name: str,
        resources: Mapping[str, Resource],
        find: Callable[[Resource, Snapshot], tuple[Found, ...]],
        *,
        done: Mapping[str, tuple[Found, ...]] | None = None,
        memo: Memo | None = None,
        only_since: str | None = None,
    ) -> None:
        self._lab = lab
        self._name = name
        self._resources = resources
        self._find = find
        self._done = done or {}
        self._memo = memo or Memo()
        self._only_since = only_since

    def with_resources(self, resources: Mapping[str, Resource]) -> Snapshot:
        """The same snapshot, asked about other resources."""
        return Snapshot(
            self._lab,
            self._name,
            resources,
            self._find,
            done=self._done,
            memo=self._memo,
            only_since=self._only_since,
        )

    # What the lab's own keys are.

    def found(self, key: str) -> tuple[Found, ...]:
        """What `find` of that key sees in this tick; () for a key that the lab does not have."""
        if key in self._done:
            return self._done[key]
        if key not in self._resources:
            return ()
        return self._memo.get(("found", key), lambda: self._find(self._resources[key], self))

    def id(self, key: str) -> str | None:
        """The one id of that key, or None while there is none (or more than one)."""
        found = self.found(key)
        return found[0].id if len(found) == 1 else None

    # Rows by kind.

    def rows(self, account: Account, kind: Kind) -> Rows:
        """All rows of a kind that bear the lab's tag (in ELBv2: its name).

        Rows of what has ended are left out: AWS shows a terminated instance for an hour, a deleted endpoint for a
        while.
        """
        fetch = self._named if kind.arn else self._tagged
        return self._memo.get(("rows", kind.name, account.id, account.region), lambda: fetch(account, kind))

    def keyed(self, account: Account, resource: Resource) -> Rows:
        """The rows of the resource's kind that bear the lab's tag and the resource's key."""
        assert resource.type.kind is not None  # noqa: S101 (a resource without a kind belongs to a parent and has no key tag)
        rows = self.rows(account, resource.type.kind)
        return tuple(row for row in rows if self.owns(row) and tags.of(row).get(tags.KEY) == resource.key)

    def owns(self, row: Row) -> bool:
        """Whether a row bears this lab's tag, and its maker's where one was named; a name alone proves nothing."""
        found = tags.of(row)
        return found.get(tags.LAB) == self._lab and self._only_since in {None, found.get(tags.SINCE)}

    def refuse_namesake(self, account: Account, resource: Resource) -> None:
        """Raise NotOurs when something of the resource's kind has the lab's name and not its tag.

        ELBv2's creates return what exists under a name, also when another person made it (AWS facts 4).
        """
        assert resource.type.kind is not None  # noqa: S101 (only kinds with names can have namesakes)
        if any(not self.owns(row) for row in self.rows(account, resource.type.kind)):
            raise NotOurs(
                f"A {resource.type.noun} named {self._name} exists and bears no tag of this lab.",
                hint=f"Choose another `lab:` name, or delete that {resource.type.noun} yourself.",
            )

    def _tagged(self, account: Account, kind: Kind) -> Rows:
        filters = [{"Name": f"tag:{tags.LAB}", "Values": [self._lab]}]
        rows = account.pages("ec2", kind.operation, kind.rows, Filters=filters)
        if kind.nested:
            rows = [row for outer in rows for row in outer[kind.nested]]
        return tuple(row for row in rows if not _has_ended(row))

    def _named(self, account: Account, kind: Kind) -> Rows:
        """ELBv2 has no tag filter: the lab's name finds the row, and its tags say whose it is."""
        try:
            rows = account.pages("elbv2", kind.operation, kind.rows, Names=[self._name])
            return tuple(row | {"Tags": _tags_of(account, row[kind.arn])} for row in rows)
        except AwsError as error:
            if error.code.endswith("NotFound"):
                return ()
            raise

    # Answers about one parent (target health, listeners, permissions, connections).

    def pages(self, account: Account, service: str, operation: str, rows: str, **request: Any) -> list[Row]:
        """All rows of one describe, which is asked once a tick."""
        fetch = functools.partial(account.pages, service, operation, rows, **request)
        return self.of_parent(account, operation, repr(request), fetch)

    def of_parent(self, account: Account, what: str, parent: str, fetch: Callable[[], Answer]) -> Answer:
        """The answer of `fetch` about one parent, asked once a tick."""
        return self._memo.get((what, account.id, account.region, parent), fetch)

    # What else bears the lab's tag.

    def keys(self, account: Account, kind: Kind) -> set[str]:
        """Every key that the lab's tag names among the rows of a kind."""
        return {key for row in self.rows(account, kind) if self.owns(row) and (key := tags.of(row).get(tags.KEY))}

    def makers(self) -> set[tuple[str, str]]:
        """Who made what this snapshot shows: pairs of `plab:maker` and `plab:since`."""
        return {
            (tags.of(row).get(tags.MAKER, "an unknown maker"), tags.of(row).get(tags.SINCE, "an unknown time"))
            for rows in self._memo.answers("rows")
            for row in rows
            if self.owns(row)
        }


def _has_ended(row: Row) -> bool:
    state = row.get("State") or row.get("ServiceState") or ""
    name = state["Name"] if isinstance(state, dict) else state
    return str(name).lower() in {"terminated", "deleted"}


def _tags_of(account: Account, arn: str) -> Any:
    descriptions = account.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return descriptions[0]["Tags"] if descriptions else []
