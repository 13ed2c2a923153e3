"""The contract between the steps, which know AWS, and the engine, which knows order and time.

- `find` is the root verb: idempotency, waiting, status, adoption after a crash and teardown ask the same question.
  It reads the snapshot and nothing else.
- One resource = one create call, so a kill at any call leaves something that `find` sees. What create cannot set is
  DRIFTED until it is updated.
- Ownership is a tag. What has no tag of its own (a rule, a registration, permissions) belongs to its tagged parent.
- Every function gets its resource, so that one module function serves every party and every number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from privatelink_lab import iam_actions, tags
from privatelink_lab.attributes import CONFIG, Attribute, differences, in_words
from privatelink_lab.digest import digest
from privatelink_lab.errors import AwsError
from privatelink_lab.resource_key import split_key
from privatelink_lab.retry_classes import ErrorClass, classify
from privatelink_lab.snapshot import has_ended

if TYPE_CHECKING:
    from privatelink_lab.aws import Account
    from privatelink_lab.kind import Kind, Row
    from privatelink_lab.lab import Lab
    from privatelink_lab.snapshot import Snapshot


class Phase(StrEnum):
    """What the engine has to know of a resource; `Found.detail` has AWS's own word."""

    PENDING = "pending"  # AWS is at work
    READY = "ready"
    HELD = "held"  # our part is done and another person decides: dependents go on, `up` ends with a sentence
    DRIFTED = "drifted"  # it exists, but not as asked; `update` changes it
    DELETING = "deleting"
    FAILED = "failed"  # waiting will not help; detail says why
    UNTAGGED = "untagged"  # the state knows it as ours, and it has lost its tags: plab neither uses nor deletes it


SATISFIED = frozenset({Phase.READY, Phase.HELD})


@dataclass(frozen=True)
class Found:
    """One thing in AWS; `shows` holds what a user wants to read of it (a DNS name, a service name).

    `usd_per_hour` is what this one costs where that differs from its Resource's plan (more zones, say). `tags` are
    plab's own, as AWS shows them; of what has lost them, as the state has them, if they are its own. `drift` is what
    differs of what is DRIFTED, where its type compares attributes. `intends` are the names of what its update makes
    before it can tag it: the state has them first.
    """

    id: str
    phase: Phase
    detail: str = ""
    shows: Mapping[str, str] = field(default_factory=dict)
    usd_per_hour: float | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    drift: tuple[Attribute, ...] = ()
    intends: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How long a resource may take, in seconds of AWS time.

    `timeout`: from the last call or the first wait to FAILED. `creation_grace_period`: how long describes may miss a
    new id (AWS is eventually consistent) before it counts as gone. Where a second create makes a second resource, the
    period is long (SLOW_GRACE_PERIOD): waiting is free and a duplicate is not. `also`: seconds on top of the timeout
    that the user has allowed, which are no shorter where the lab's AWS is faster.
    """

    timeout: float = 300.0
    creation_grace_period: float = 20.0
    also: float = 0.0


@dataclass(frozen=True)
class Holder:
    """What keeps AWS from deleting a resource: its id, whose it is in words, and the command that ends it.

    It `leaves` by itself when it is the lab's own, or made by AWS for something of the lab that is being deleted; None
    where AWS does not show it.
    """

    id: str
    text: str
    command: str
    leaves: bool | None


SLOW_GRACE_PERIOD = 90.0  # seconds; on a slow day AWS may take 30 (AWS facts 11)
# What takes AWS minutes, and costs money or blocks others when it is made twice. The interfaces of a balancer or an
# endpoint, for example, stay for minutes after it, and hold its subnets (AWS facts 8).
LONG_PATIENCE = Patience(timeout=900, creation_grace_period=SLOW_GRACE_PERIOD)


@dataclass(frozen=True)
class Token:
    """What makes one create idempotent: the lab, the key and the attempt; the request is added at the call."""

    lab: str
    key: str
    attempt: int

    def of(self, **request: Any) -> str:
        """A ClientToken of 64 ASCII characters (EC2's limit) that changes with the request and the attempt.

        The same request gets the same token, so a lost state or a call that is sent twice makes no second resource.
        A new attempt gets a new token, because EC2 refuses the token of an ended instance
        (AWS facts 1).
        """
        return digest(lab=self.lab, key=self.key, attempt=self.attempt, request=request)


Find = Callable[["Lab", "Snapshot", "Resource"], tuple[Found, ...]]
Read = Callable[["Lab", "Snapshot", "Resource", "Row"], Found]
Compare = Callable[["Lab", "Snapshot", "Resource", "Row"], Iterable[Attribute]]
Create = Callable[["Lab", "Snapshot", "Resource", Token], Found]
Update = Callable[["Lab", "Snapshot", "Resource", Found], None]
Delete = Callable[["Account", tuple[str, ...]], Mapping[str, "AwsError"]]
Holders = Callable[["Lab", "Account", str, Collection[str]], tuple[Holder, ...]]


def find_tagged(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    """What `read` says of each row of the resource's kind that is the lab's own and bears the resource's key.

    Where no row has the id that is in the state, AWS is asked for it: one describe is no proof of absence
    (AWS facts 1), and what has lost its tags is UNTAGGED. Of what this run deletes, the survey at the end is the
    second proof. For a run that adopts, what stands on a twin of something is PENDING: it goes with the twin.
    """
    read, kind, account = resource.type.read, resource.type.kind, lab.account(resource.party)
    assert read is not None and kind is not None  # noqa: S101, PT018 (a type has both, or a `find` of its own)
    rows = snapshot.keyed(account, kind, resource.key)
    id_ = lab.state.ids.get(resource.key)
    if lab.only_made and id_ and not lab.made(resource.key, lab.state.made.get(id_, {})):
        id_ = None
    hidden = id_ and all(row[kind.id] != id_ for row in rows)
    if id_ and hidden and resource.key not in lab.deleting and not lab.may_be_invisible(resource):
        row = snapshot.by_id(account, kind, lambda: _ids(lab, snapshot, kind, account)).get(id_)
        if row and not has_ended(row):
            if id_ in lab.adopted:
                row |= {"Tags": [{"Key": name, "Value": value} for name, value in lab.state.made[id_].items()]}
            if snapshot.owns(account, kind, row) and tags.of(row)[tags.KEY] == resource.key:
                rows = (row,)
            else:
                return (_untagged(lab, snapshot, resource, row),)

    twins = {row[kind.id]: _elsewhere(snapshot, resource, row) for row in rows} if lab.adopts else {}
    rows = tuple(row for row in rows if not twins.get(row[kind.id])) or rows

    def found(row: Row) -> Found:
        if twin := twins.get(row[kind.id]):
            return Found(row[kind.id], Phase.PENDING, twin, tags=tags.own(tags.of(row)))
        try:
            as_read = replace(read(lab, snapshot, resource, row), tags=tags.own(tags.of(row)))
            return as_read if snapshot.to_delete else compared(lab, snapshot, resource, row, as_read)
        except AwsError as error:  # for a deletion it is enough that it exists
            if not snapshot.to_delete or classify(error) is not ErrorClass.FINAL:
                raise
            return Found(row[kind.id], Phase.READY, f"exists ({error.code})")

    return tuple(found(row) for row in rows)


def _elsewhere(snapshot: Snapshot, resource: Resource, row: Row) -> str:
    """In words, that a row stands on something else than what has the key of what the resource depends on; '' if not.

    A row names what it stands on as that itself does: `VpcId`, `SubnetId`.
    """
    assert resource.type.kind is not None  # noqa: S101 (what has no kind has no rows)
    for other in _same_party_below(snapshot, resource):
        name = other.type.kind.id if other.type.kind else ""
        id_ = snapshot.id(other.key) if name in row and name != resource.type.kind.id else None
        if id_ and row[name] != id_:
            return f"stands on {row[name]}, and {other.key} is {id_}"
    return ""


def _same_party_below(snapshot: Snapshot, resource: Resource) -> Iterator[Resource]:
    """What the resource depends on in its own party, directly or through others; some of it more than once."""
    for key in resource.depends_on:
        other = snapshot.resources.get(key)
        if other and other.party == resource.party:
            yield other
            yield from _same_party_below(snapshot, other)


def compared(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row, found: Found) -> Found:
    """What a row means once its attributes are compared: DRIFTED, from what to what, where one is not as asked.

    What AWS is still at work on, and what has failed, is not compared.
    """
    if found.phase not in SATISFIED or not lab.names(resource.party):
        return found
    drift = differences([*resource.type.compare(lab, snapshot, resource, row), *_config_tags(lab, resource, row)])
    return replace(found, phase=Phase.DRIFTED, detail=in_words(drift), drift=drift) if drift else found


def _config_tags(lab: Lab, resource: Resource, row: Row) -> list[Attribute]:
    """The config's own tags and the lab's end, on what bears tags. What others have added says nothing."""
    if not (resource.type.create and resource.type.kind and resource.type.kind.id in row):
        return []
    now, kind, account = tags.of(row), resource.type.kind, lab.account(resource.party)

    def put(name: str, value: str) -> Callable[[], object]:
        assert kind is not None  # noqa: S101 (what has no kind has no tags)
        return lambda: account.put_tags(kind.service, str(row[kind.id]), {name: value})

    wanted, end = dict(lab.config.tags), lab.state.expires
    if end and (lab.ttl or now.get(tags.EXPIRES, "") < end):  # only --ttl moves it to an earlier moment
        wanted[tags.EXPIRES] = end
    return [
        Attribute(f"tag {name}", now.get(name, "none"), value, put(name, value), **_asked_by(name))
        for name, value in wanted.items()
    ]


def _asked_by(name: str) -> dict[str, str]:
    """Who wants a tag: the config, but for the lab's end."""
    return {} if name == tags.EXPIRES else {"asked_by": CONFIG}


def _untagged(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    """What the state knows and the tags no longer say; its tags are those that it had, if they were its own."""
    read, kind, account = resource.type.read, resource.type.kind, lab.account(resource.party)
    assert read is not None and kind is not None  # noqa: S101, PT018
    before = lab.state.made.get(row[kind.id], {})
    rows = [{"Key": name, "Value": value} for name, value in before.items()]
    agrees = snapshot.owns(account, kind, row | {"Tags": rows})
    shows = read(lab, snapshot, resource, row).shows
    return Found(row[kind.id], Phase.UNTAGGED, "has lost the lab's tags", shows, tags=before if agrees else {})


def _ids(lab: Lab, snapshot: Snapshot, kind: Kind, account: Account) -> list[str]:
    """The ids of a kind that the state has in this account."""
    ids = lab.state.ids
    of_kind = (r for key, r in snapshot.resources.items() if r.type.kind == kind and key in ids)
    return [ids[r.key] for r in of_kind if lab.is_account_of(r.party, account.id)]


def _compares_nothing(_: Lab, __: Snapshot, ___: Resource, ____: Row) -> tuple[Attribute, ...]:
    """Most types have nothing that a hand can change and that the config decides."""
    return ()


@dataclass(frozen=True)
class ResourceType:
    """What is the same for every resource of one sort, such as all subnets.

    What it is: `noun` (what a receipt counts) and `kind` (how AWS lists it; None for what belongs to a parent).

    What can be done: `read`, which says what one row of its kind means, or a `find` of its own where it has no rows;
    `create`, which returns what AWS's answer says of the new resource; `update`, which changes what drifted; `delete`,
    which starts the deletion of several ids in one account and returns the refusals by id; `holders`, which asks what
    keeps AWS from deleting one. Permissions have no `create`: they exist as soon as their service does.

    Who plans it and who waits for it: `up` makes what is `made_by_plab` (foreign connections are not). `down` deletes
    what has a `delete`. It waits until everything is gone but what `goes_with_parent`, also for what only AWS deletes.

    What is compared: `compare` lists the attributes that the config decides and a hand can change.

    What else: `called_by` names the party whose credentials its functions use, where it is not the party of the key:
    the provider accepts what belongs to a consumer. `retryable` are the codes that AWS answers to its create or update
    while what it depends on is new. An endpoint is `billed_by_started_hours` (AWS facts 12). A target `is_explained`:
    what keeps it unhealthy is looked for elsewhere.
    """

    noun: str
    kind: Kind | None = None
    find: Find = find_tagged
    read: Read | None = None
    create: Create | None = None
    update: Update | None = None
    delete: Delete | None = None
    holders: Holders | None = None
    compare: Compare = _compares_nothing
    made_by_plab: bool = True
    goes_with_parent: bool = False
    is_explained: bool = False
    called_by: str = ""
    billed_by_started_hours: bool = False
    retryable: frozenset[str] = frozenset()
    patience: Patience = Patience()

    def can_update(self, found: Found) -> bool:
        """Whether what is DRIFTED can be changed in place."""
        return all(attribute.change for attribute in found.drift) if found.drift else self.update is not None

    @property
    def actions(self) -> set[str]:
        """The IAM actions of its functions and of its kind, and the right to tag what is created."""
        tagging = {self.kind.tags} if self.kind and self.create else set()
        return self._of(self.create, self.update, self.compare) | self.actions_to_delete | tagging

    @property
    def actions_to_delete(self) -> set[str]:
        """Those that find it and delete it."""
        return self._of(self.find, self.read, self.delete, self.holders) | (self.kind.reads if self.kind else set())

    def _of(self, *functions: object) -> set[str]:
        return {action for function in functions for action in iam_actions.of(function)}


@dataclass(frozen=True)
class Resource:
    """One AWS resource of a lab.

    `key`: its first part names the party whose account it lives in. `options`: what the config does not say (a probe's
    task). `is_goal`: what a lab is built for; once no goal can be reached, nothing
    new is begun. `usd_per_hour` is None where no list price is known.

    In which order: `depends_on` must be READY or HELD before it is created, and goes after it in a teardown.
    `ready_after` must come before it can be READY, so that no run waits for it once one of them has failed; in a
    teardown, what to search for once they are gone. AWS no longer holds `unblocks_while_deleting` for it as soon
    as it is DELETING, and never holds what it `only_follows`: that had to be there first for plab's own reasons.
    """

    key: str
    type: ResourceType
    depends_on: tuple[str, ...] = ()
    ready_after: tuple[str, ...] = ()
    unblocks_while_deleting: tuple[str, ...] = ()
    only_follows: tuple[str, ...] = ()
    options: Any = None
    is_goal: bool = False
    usd_per_hour: float | None = 0.0
    step: str = ""

    @property
    def party(self) -> str:
        """`provider`, or the consumer's name."""
        return split_key(self.key)[0]

    def in_step(self, name: str) -> Resource:
        """The same resource, shown under that step."""
        return replace(self, step=name)


def _accepts_every_config(_: Lab) -> None:
    """Most steps can only be refused by AWS itself."""


def _rebuilds_nothing(_: Lab, __: str) -> None:
    """Most keys are always in the config."""


def rebuilt_from(resources: Callable[[Lab], tuple[Resource, ...]]) -> Callable[[Lab, str], Resource | None]:
    """The `rebuild` of a step whose resources are the same in every lab that has them."""
    return lambda lab, key: next((resource for resource in resources(lab) if resource.key == key), None)


@dataclass(frozen=True)
class Step:
    """One step of the tutorial.

    `resources` lists what the config asks for; `rebuild` makes one from the key in a tag that the config no longer
    names; `kinds` are those that are searched for such tags; `check` raises a PlabError before `up` makes anything
    when what the config points at cannot serve.
    """

    name: str
    resources: Callable[[Lab], tuple[Resource, ...]]
    rebuild: Callable[[Lab, str], Resource | None] = _rebuilds_nothing
    kinds: tuple[Kind, ...] = ()
    check: Callable[[Lab], None] = _accepts_every_config
