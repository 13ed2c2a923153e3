"""One snapshot of AWS per tick: each describe at most once, only what is asked for, never changed afterwards.

Waiting for 500 endpoints costs the same describes as waiting for one: rows are fetched per kind and account, filtered
by the lab's tag or name. What belongs to a parent (health, listeners, permissions, connections) is fetched per parent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar, cast

from privatelink_lab.errors import AwsError, NotOurs, PlabError

if TYPE_CHECKING:
    from privatelink_lab.aws import Account
    from privatelink_lab.resource import Found, Resource

Row = dict[str, Any]
Rows = tuple[Row, ...]
Answer = TypeVar("Answer")

# kind -> (describe operation, where its rows are). All take the filter tag:plab:lab.
TAGGED = {
    "vpc": ("describe_vpcs", "Vpcs"),
    "subnet": ("describe_subnets", "Subnets"),
    "security-group": ("describe_security_groups", "SecurityGroups"),
    "instance": ("describe_instances", "Reservations"),
    "vpc-endpoint": ("describe_vpc_endpoints", "VpcEndpoints"),
    "vpc-endpoint-service": ("describe_vpc_endpoint_service_configurations", "ServiceConfigurations"),
}
BALANCED = ("load-balancer", "target-group")
KINDS = (*TAGGED, *BALANCED)
CONSUMER_KINDS = ("vpc", "subnet", "security-group", "instance", "vpc-endpoint")  # all that a consumer ever has


class Once:
    """Answers by question: the first asker fetches, everybody else waits for that answer. Thread-safe.

    An error is an answer too, unless `keep_errors` is False: then the next asker tries again.
    """

    def __init__(self, *, keep_errors: bool = True) -> None:
        self._keep_errors = keep_errors
        self._lock = threading.Lock()
        self._answers: dict[Hashable, Future[Any]] = {}

    def get(self, question: Hashable, ask: Callable[[], Answer]) -> Answer:
        """The answer to `question`; an error is raised for everybody who waits for it."""
        with self._lock:
            future, first = self._answers.get(question), False
            if future is None:
                future, first = self._answers.setdefault(question, Future()), True
        if first:
            try:
                future.set_result(ask())
            except PlabError as error:
                if not self._keep_errors:
                    self._answers.pop(question, None)
                future.set_exception(error)
            except BaseException as error:
                future.set_exception(error)
                raise
        return cast("Answer", future.result())

    def answers(self, kinds: tuple[str, ...]) -> Iterator[Any]:
        """Every good answer so far whose question begins with one of `kinds`."""
        for question, future in list(self._answers.items()):
            if isinstance(question, tuple) and question[0] in kinds and future.done() and not future.exception():
                yield future.result()


class Look:
    """What AWS says in one tick about one lab. `settled` keys are taken as found earlier in this run.

    With `since`, only what the maker made who began then is the lab's own.
    """

    def __init__(
        self,
        lab: str,
        names: Mapping[str, str],
        resources: Mapping[str, Resource],
        find: Callable[[Resource, Look], tuple[Found, ...]],
        *,
        settled: Mapping[str, tuple[Found, ...]] | None = None,
        once: Once | None = None,
        since: str | None = None,
    ) -> None:
        self._lab = lab
        self._since = since
        self._names = names
        self._resources = resources
        self._find = find
        self._settled = settled or {}
        self._once = once or Once()

    def with_resources(self, resources: Mapping[str, Resource]) -> Look:
        """The same snapshot, asked about other resources."""
        return Look(
            self._lab, self._names, resources, self._find, settled=self._settled, once=self._once, since=self._since
        )

    # What the lab's own keys are.

    def found(self, key: str) -> tuple[Found, ...]:
        """What `find` of that key sees in this tick; () for a key that the lab does not have."""
        if key in self._settled:
            return self._settled[key]
        if key not in self._resources:
            return ()
        return self._once.get(("found", key), lambda: self._find(self._resources[key], self))

    def id(self, key: str) -> str | None:
        """The one id of that key, or None while there is none (or more than one)."""
        found = self.found(key)
        return found[0].id if len(found) == 1 else None

    # Rows by kind.

    def rows(self, account: Account, kind: str) -> Rows:
        """All rows of a kind in TAGGED or BALANCED that bear the lab's tag (or, balanced, its name).

        Not those of what is over: a terminated instance is shown for an hour, a deleted endpoint for a while.
        """
        fetch = self._balanced if kind in BALANCED else self._tagged
        return self._once.get((kind, account.id, account.region), lambda: fetch(account, kind))

    def keyed(self, account: Account, kind: str, key: str) -> Rows:
        """The rows of a kind that bear the lab's tag and this key."""
        return tuple(row for row in self.rows(account, kind) if self.owns(row) and tags(row).get("plab:key") == key)

    def owns(self, row: Row) -> bool:
        """Whether a row bears this lab's tag, and its maker's where one was named; a name alone proves nothing."""
        found = tags(row)
        return found.get("plab:lab") == self._lab and self._since in {None, found.get("plab:since")}

    def refuse_namesake(self, account: Account, kind: str, noun: str) -> None:
        """Raise NotOurs when something of that kind has the lab's name and not its tag.

        ELBv2's creates give back what exists under a name, even somebody else's (facts sheet section 3).
        """
        if any(not self.owns(row) for row in self.rows(account, kind)):
            raise NotOurs(
                f"A {noun} named {self._names[kind]} exists and bears no tag of this lab.",
                hint=f"Choose another `lab:` name, or delete that {noun} yourself.",
            )

    def _tagged(self, account: Account, kind: str) -> Rows:
        operation, result = TAGGED[kind]
        rows = account.pages("ec2", operation, result, Filters=[{"Name": "tag:plab:lab", "Values": [self._lab]}])
        if kind == "instance":
            rows = [instance for reservation in rows for instance in reservation["Instances"]]
        return tuple(row for row in rows if not _is_over(row))

    def _balanced(self, account: Account, kind: str) -> Rows:
        """ELBv2 has no tag filter: the deterministic name finds the row, its tags say whose it is."""
        operation, result, arn = {
            "load-balancer": ("describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
            "target-group": ("describe_target_groups", "TargetGroups", "TargetGroupArn"),
        }[kind]
        try:
            rows = account.pages("elbv2", operation, result, Names=[self._names[kind]])
            return tuple(row | {"Tags": _tags_of(account, row[arn])} for row in rows)
        except AwsError as error:
            if error.code in {"LoadBalancerNotFound", "TargetGroupNotFound"}:
                return ()
            raise

    # Rows by parent.

    def of_parent(self, account: Account, what: str, parent: str, ask: Callable[[], Answer]) -> Answer:
        """The answer about one parent (target health, listeners, permissions, connections), asked once a tick."""
        return self._once.get((what, account.id, account.region, parent), ask)

    # What else bears the lab's tag.

    def keys(self, account: Account, kind: str) -> set[str]:
        """Every key that the lab's tag names among the rows of a kind."""
        return {key for row in self.rows(account, kind) if self.owns(row) and (key := tags(row).get("plab:key"))}

    def makers(self) -> set[tuple[str, str]]:
        """Who made what this look has seen: pairs of `plab:owner` and `plab:since`."""
        return {
            (tags(row).get("plab:owner", "somebody"), tags(row).get("plab:since", "an unknown time"))
            for rows in self._once.answers(KINDS)
            for row in rows
            if self.owns(row)
        }


def _is_over(row: Row) -> bool:
    state = row.get("State") or row.get("ServiceState") or ""
    name = state["Name"] if isinstance(state, dict) else state
    return str(name).lower() in {"terminated", "deleted"}


def _tags_of(account: Account, arn: str) -> Any:
    descriptions = account.elbv2.describe_tags(ResourceArns=[arn])["TagDescriptions"]
    return descriptions[0]["Tags"] if descriptions else []


def tags(row: Row) -> dict[str, str]:
    """The tags of a row as a mapping."""
    return {tag["Key"]: tag["Value"] for tag in row.get("Tags") or ()}
