"""One snapshot of AWS per tick: each describe at most once, only what is asked for, never changed afterwards.

Waiting for 500 endpoints costs the same describes as waiting for one: rows are fetched per kind and account, filtered
by the lab's tag or name. What belongs to a parent (health, listeners, permissions, connections) is fetched per parent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from privatelink_lab import expiry, tags
from privatelink_lab.errors import AwsError, NotOurs
from privatelink_lab.kind import Kind, Row, Rows, rows_of_ids, rows_of_lab
from privatelink_lab.memo import Memo

if TYPE_CHECKING:
    from privatelink_lab.aws import Account
    from privatelink_lab.resource import Found, Resource

Answer = TypeVar("Answer")
ENDING = {"shutting-down", "terminated", "deleting", "deleted"}


class Doubt(Enum):
    """Why a row that bears the lab's tag is not the lab's own."""

    INCOMPLETE = "bears the lab's tag without a key or an identity"
    COPIED = "bears tags that were made for another resource"
    DUPLICATE = "bears a key that exists twice, and the state does not know it"


@dataclass(frozen=True)
class Doubtful:
    """A row that bears the lab's tag and is not the lab's own: plab neither uses nor deletes it."""

    account: Account
    kind: Kind
    row: Row
    doubt: Doubt

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.row[self.kind.id])

    @property
    def key(self) -> str:
        """What its tag says; '' where it says nothing."""
        return tags.of(self.row).get(tags.KEY, "")


@dataclass
class _Sorted:
    """The rows of one kind in one account."""

    by_key: dict[str, list[Row]] = field(default_factory=dict)  # the lab's own, also what has ended
    doubtful: list[Doubtful] = field(default_factory=list)
    makers: set[tuple[str, str]] = field(default_factory=set)  # of what exists in the provider's account
    elsewhere: set[tuple[str, str]] = field(default_factory=set)  # of what exists in other accounts
    ends: set[str] = field(default_factory=set)  # `plab:expires` of what is the lab's own and exists, '' for none
    ends_elsewhere: set[str] = field(default_factory=set)  # the same in other accounts than the provider's


class Snapshot:
    """What AWS says in one tick about one lab. Keys in `done` are taken as found earlier in this run.

    What bears tags that do not count (`counts`) is not the lab's own. `knows` says of a key, an id and its tags whether
    this lab has made it: True, None (nothing speaks for it), or False (a suspect of an earlier run).
    In the run that began the lab (`is_first`) what it does not know is not the lab's, unless another maker began at
    another moment than `since` in the provider's account. `to_delete`: what exists is enough to know.
    `fetch` gives the rows of a kind, where they were read for many labs at once.
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
        counts: Callable[[Mapping[str, str]], bool] = lambda _: True,
        knows: Callable[[str, str, Mapping[str, str]], bool | None] = lambda *_: True,
        is_first: bool = False,
        since: str = "",
        is_provider: Callable[[Account], bool] = lambda _: True,
        to_delete: bool = False,
        fetch: Callable[[Account, Kind], Rows] | None = None,
    ) -> None:
        self._is_first = is_first
        self._since = since
        self._is_provider = is_provider
        self._lab = lab
        self._name = name
        self.resources = resources
        self._find = find
        self._done = done or {}
        self._memo = memo or Memo()
        self._counts = counts
        self._knows = knows
        self.to_delete = to_delete
        self._fetch = fetch or (lambda account, kind: rows_of_lab(account, kind, lab, name))

    def with_resources(self, resources: Mapping[str, Resource]) -> Snapshot:
        """The same snapshot, asked about other resources."""
        return Snapshot(
            self._lab,
            self._name,
            resources,
            self._find,
            done=self._done,
            memo=self._memo,
            counts=self._counts,
            knows=self._knows,
            is_first=self._is_first,
            since=self._since,
            is_provider=self._is_provider,
            to_delete=self.to_delete,
            fetch=self._fetch,
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
        """The rows of a kind that are the lab's own under this key; what has ended is left out."""
        return tuple(row for row in self._sorted(account, kind).by_key.get(key, ()) if not has_ended(row))

    def by_id(self, account: Account, kind: Kind, ids: Callable[[], list[str]]) -> dict[str, Row]:
        """By id: the rows of these ids, also without tags. It is a question of its own, so it confirms an absence."""
        memo = ("by id", kind.name, account.id, account.region)
        return self._memo.get(memo, lambda: {row[kind.id]: row for row in rows_of_ids(account, kind, ids())})

    def why_ended(self, account: Account, kind: Kind, key: str, id_: str) -> str | None:
        """AWS's word and reason for what it shows as ended under this key and id; None where it shows no such thing."""
        rows = (
            row for row in self._sorted(account, kind).by_key.get(key, ()) if row[kind.id] == id_ and has_ended(row)
        )
        return next((": ".join(filter(None, (_state(row), reason(row)))) for row in rows), None)

    def _all_rows(self, account: Account, kind: Kind) -> Rows:
        return self._memo.get(("rows", kind.name, account.id, account.region), lambda: self._fetch(account, kind))

    def _sorted(self, account: Account, kind: Kind) -> _Sorted:
        return self._memo.get(
            ("sorted", kind.name, account.id, account.region),
            lambda: self._sort(account, kind, self._all_rows(account, kind)),
        )

    def _sort(self, account: Account, kind: Kind, rows: Rows) -> _Sorted:
        by = _Sorted()
        for row in rows:
            if not self._bears_tag(row):
                continue
            if doubt := self._doubt(account, kind, row):
                if not has_ended(row):
                    by.doubtful.append(Doubtful(account, kind, row, doubt))
                continue
            if not has_ended(row):
                maker = (tags.of(row).get(tags.MAKER, "an unknown maker"), tags.of(row).get(tags.SINCE, ""))
                (by.makers if self._is_provider(account) else by.elsewhere).add(maker)
            if self.owns(account, kind, row):
                if not has_ended(row):
                    ends = by.ends if self._is_provider(account) else by.ends_elsewhere
                    ends.add(tags.of(row).get(tags.EXPIRES, ""))
                by.by_key.setdefault(tags.of(row)[tags.KEY], []).append(row)
        for key, of_key in by.by_key.items():
            existing = [row for row in of_key if not has_ended(row)]
            several = existing if len(existing) > 1 else []
            if unknown := [row for row in several if not self._knows(key, row[kind.id], tags.of(row))]:
                by.doubtful += [Doubtful(account, kind, row, Doubt.DUPLICATE) for row in unknown]
                by.by_key[key] = [row for row in of_key if row not in unknown]
        return by

    def owns(self, account: Account, kind: Kind, row: Row) -> bool:
        """Whether a row bears this lab's tags, made for this very resource, and its maker's where one was named.

        A name alone proves nothing, and neither does a tag that was copied from another resource.
        """
        return self._bears_tag(row) and self._counts(tags.of(row)) and self._doubt(account, kind, row) is None

    def _doubt(self, account: Account, kind: Kind, row: Row) -> Doubt | None:
        """What speaks against a row that bears the lab's tag. What ends is not judged: AWS no longer shows it whole."""
        named = tags.of(row)
        if not (named.get(tags.KEY) and named.get(tags.IDENTITY)):
            return Doubt.INCOMPLETE
        known = self._knows(named[tags.KEY], row[kind.id], named)
        if known is False or (known is None and self._is_first and self._claims_this_run(account, named)):
            return Doubt.DUPLICATE
        ends = _state(row).lower() in ENDING
        return None if ends or named[tags.IDENTITY] == kind.identity(self._lab, account, row) else Doubt.COPIED

    def _claims_this_run(self, account: Account, named: Mapping[str, str]) -> bool:
        """Whether tags say that this very run has made it; a second maker is one in the provider's account only."""
        return not self._is_provider(account) or named.get(tags.SINCE) == self._since

    def _bears_tag(self, row: Row) -> bool:
        return tags.of(row).get(tags.LAB) == self._lab

    def refuse_namesake(self, account: Account, resource: Resource) -> None:
        """Raise NotOurs when something of the resource's kind has the lab's name and not its tag.

        ELBv2's creates return what exists under a name, also when another person made it (AWS facts 4).
        """
        assert resource.type.kind is not None  # noqa: S101 (only kinds with names can have namesakes)
        rows = self.rows(account, resource.type.kind)
        kind = resource.type.kind
        if any(self.owns_of_another_maker(account, kind, row) for row in rows):  # who removes it
            text = f"Another maker of this lab has a {resource.type.noun} named {self._name}"
            raise AwsError(text, code="DuplicateName", operation="Create")
        if any(not self.owns(account, kind, row) for row in rows):
            raise NotOurs(
                f"A {resource.type.noun} named {self._name} exists and bears no tag of this lab.",
                hint=f"Choose another `lab:` name, or delete that {resource.type.noun} yourself.",
            )

    def owns_of_another_maker(self, account: Account, kind: Kind, row: Row) -> bool:
        """Whether a row is the lab's own, but not this maker's; False where no maker was named."""
        in_order = self._bears_tag(row) and self._doubt(account, kind, row) is None
        return in_order and not self.owns(account, kind, row)

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
        by_key = self._sorted(account, kind).by_key
        return {key for key, rows in by_key.items() if not all(has_ended(row) for row in rows)}

    def makers(self) -> set[tuple[str, str]]:
        """Whose lab it is: pairs of `plab:maker` and `plab:since`.

        The provider's account decides, where it has anything of the lab: a consumer can write tags in its own.
        """
        kinds = list(self._memo.answers("sorted"))
        provider = {maker for by in kinds for maker in by.makers}
        return provider or {maker for by in kinds for maker in by.elsewhere}

    def expires(self) -> str:
        """The latest end that the lab's own resources name; '' where one of them names none.

        As of makers, the provider's account decides: a consumer's tag must not keep the provider's lab alive.
        """
        kinds = list(self._memo.answers("sorted"))
        ends = {text for by in kinds for text in by.ends}
        elsewhere = {text for by in kinds for text in by.ends_elsewhere}
        return expiry.latest(ends or elsewhere) if all(map(expiry.instant, ends | elsewhere)) else ""

    def doubtful(self) -> list[Doubtful]:
        """What bears the lab's tag and is not the lab's own, as far as this snapshot has read."""
        return [row for by in self._memo.answers("sorted") for row in by.doubtful]


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
