"""One snapshot of AWS per tick: each describe at most once, only what is asked for, never changed afterwards.

Waiting for 500 endpoints costs the same describes as waiting for one: rows are fetched per kind and account, filtered
by the lab's tag or name. What belongs to a parent (health, listeners, permissions, connections) is fetched per parent.
"""

from __future__ import annotations

import functools
import re
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
MOST_VALUES = 200  # of one filter (DescribeVpcs and its like)


@dataclass(frozen=True)
class Kind:
    """How AWS lists the resources of one kind that bear the lab's tag.

    `name` is EC2's own word, as in TagSpecifications. `operation` is the describe call, `rows` where its answer has
    the rows, `nested` where each of these has the real ones, and `id` where these have their id. A kind with an ARN is
    ELBv2's, which has no tag filter: its rows are found by the lab's name. A consumer's account has nothing of a kind
    that is `provider_only`.
    """

    name: str
    operation: str
    rows: str
    id: str
    nested: str = ""
    provider_only: bool = False

    @property
    def service(self) -> str:
        """The service as boto3 names it."""
        return "elbv2" if self.id.endswith("Arn") else "ec2"

    @property
    def reads(self) -> set[str]:
        """The IAM actions of a snapshot: the describe call, and ELBv2's second one for tags."""
        name = "".join(word.capitalize() for word in self.operation.split("_"))
        if self.service == "ec2":
            return {f"ec2:{name}"}
        return {f"elasticloadbalancing:{name}", "elasticloadbalancing:DescribeTags"}

    @property
    def tags(self) -> str:
        """The IAM action that a create with tags also takes; it is no call."""
        return "ec2:CreateTags" if self.service == "ec2" else "elasticloadbalancing:AddTags"


class Snapshot:
    """What AWS says in one tick about one lab. Keys in `done` are taken as found earlier in this run.

    With `only_since`, only what the maker made who began at that moment is the lab's own. `to_delete`: what exists is
    enough to know.
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
        to_delete: bool = False,
    ) -> None:
        self._lab = lab
        self._name = name
        self.resources = resources
        self._find = find
        self._done = done or {}
        self._memo = memo or Memo()
        self._only_since = only_since
        self.to_delete = to_delete

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
            to_delete=self.to_delete,
        )

    # What the lab's own keys are.

    def found(self, key: str) -> tuple[Found, ...]:
        """What `find` of that key sees in this tick; () for a key that the lab does not have."""
        if key in self._done:
            return self._done[key]
        if key not in self.resources:
            return ()
        return self._memo.get(("found", key), lambda: self._find(self.resources[key], self))

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
        return tuple(row for row in self._all_rows(account, kind) if not has_ended(row))

    def keyed(self, account: Account, kind: Kind, key: str) -> Rows:
        """The rows of a kind that bear the lab's tag and this key; what has ended is left out."""
        return tuple(row for row in self._by_key(account, kind).get(key, ()) if not has_ended(row))

    def by_id(self, account: Account, kind: Kind, ids: Callable[[], list[str]]) -> dict[str, Row]:
        """By id: the rows of these ids, also without tags. It is a question of its own, so it confirms an absence."""
        memo = ("by id", kind.name, account.id, account.region)
        return self._memo.get(memo, lambda: {row[kind.id]: row for row in self._of_ids(account, kind, ids())})

    def why_ended(self, account: Account, kind: Kind, key: str, id_: str) -> str | None:
        """AWS's word and reason for what it shows as ended under this key and id; None where it shows no such thing."""
        rows = (row for row in self._by_key(account, kind).get(key, ()) if row[kind.id] == id_ and has_ended(row))
        return next((": ".join(filter(None, (_state(row), reason(row)))) for row in rows), None)

    def _all_rows(self, account: Account, kind: Kind) -> Rows:
        fetch = self._tagged if kind.service == "ec2" else self._named
        return self._memo.get(("rows", kind.name, account.id, account.region), lambda: fetch(account, kind))

    def _by_key(self, account: Account, kind: Kind) -> dict[str, list[Row]]:
        def group() -> dict[str, list[Row]]:
            groups: dict[str, list[Row]] = {}
            for row in self._all_rows(account, kind):
                if self.owns(row):
                    groups.setdefault(tags.of(row).get(tags.KEY, ""), []).append(row)
            return groups

        return self._memo.get(("by key", kind.name, account.id, account.region), group)

    def _of_ids(self, account: Account, kind: Kind, ids: list[str]) -> Rows:
        if kind.service == "ec2":
            name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.id).lower()  # VpcId is the filter vpc-id
            chunks = (ids[at : at + MOST_VALUES] for at in range(0, len(ids), MOST_VALUES))
            filters = ([{"Name": name, "Values": chunk}] for chunk in chunks)
            return tuple(row for asked in filters for row in self._describe(account, kind, Filters=asked))
        return self._with_tags(account, kind, **{f"{kind.id}s": ids}) if ids else ()

    def owns(self, row: Row) -> bool:
        """Whether a row bears this lab's tag, and its maker's where one was named; a name alone proves nothing."""
        return self._bears_tag(row) and self._only_since in {None, tags.of(row).get(tags.SINCE)}

    def _bears_tag(self, row: Row) -> bool:
        return tags.of(row).get(tags.LAB) == self._lab

    def refuse_namesake(self, account: Account, resource: Resource) -> None:
        """Raise NotOurs when something of the resource's kind has the lab's name and not its tag.

        ELBv2's creates return what exists under a name, also when another person made it (AWS facts 4).
        """
        assert resource.type.kind is not None  # noqa: S101 (only kinds with names can have namesakes)
        rows = self.rows(account, resource.type.kind)
        if any(self._bears_tag(row) and not self.owns(row) for row in rows):  # the other one of two makers removes it
            text = f"Another maker of this lab has a {resource.type.noun} named {self._name}"
            raise AwsError(text, code="DuplicateName", operation="Create")
        if any(not self.owns(row) for row in rows):
            raise NotOurs(
                f"A {resource.type.noun} named {self._name} exists and bears no tag of this lab.",
                hint=f"Choose another `lab:` name, or delete that {resource.type.noun} yourself.",
            )

    def _tagged(self, account: Account, kind: Kind) -> Rows:
        filters = [{"Name": f"tag:{tags.LAB}", "Values": [self._lab]}]
        return self._describe(account, kind, Filters=filters)

    def _named(self, account: Account, kind: Kind) -> Rows:
        """ELBv2 has no tag filter: the lab's name finds the row, and its tags say whose it is."""
        return self._with_tags(account, kind, Names=[self._name])

    def _with_tags(self, account: Account, kind: Kind, **request: Any) -> Rows:
        try:
            rows = self._describe(account, kind, **request)
            return tuple(row | {"Tags": _tags_of(account, row[kind.id])} for row in rows)
        except AwsError as error:
            if error.code.endswith("NotFound"):
                return ()
            raise

    def _describe(self, account: Account, kind: Kind, **request: Any) -> Rows:
        rows = account.pages(kind.service, kind.operation, kind.rows, **request)
        return tuple(row for outer in rows for row in outer[kind.nested]) if kind.nested else tuple(rows)

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
            if self._bears_tag(row) and not has_ended(row)
        }


def has_ended(row: Row) -> bool:
    """Whether AWS still shows what no longer exists: a terminated instance, a deleted endpoint or service."""
    return _state(row).lower() in {"terminated", "deleted"}


def reason(row: Row) -> str:
    """Why AWS says that an instance ended or an endpoint failed; '' where it gives no reason."""
    messages = ((row.get(name) or {}).get("Message") for name in ("StateReason", "LastError"))
    return next(filter(None, messages), None) or row.get("FailureReason") or ""


def _state(row: Row) -> str:
    state = row.get("State") or row.get("ServiceState") or ""
    return str(state.get("Name", "") if isinstance(state, dict) else state)


def _tags_of(account: Account, arn: str) -> Any:
    descriptions = account.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return descriptions[0]["Tags"] if descriptions else []
