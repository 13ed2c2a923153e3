"""The one loop, for `up` and for `down`: read what may have changed, send every call that can go out, until done.

`up.py` and `down.py` say what is wanted: which items are open, what a snapshot of one means, which calls can go out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from privatelink_lab.clock import Outage, until
from privatelink_lab.engine.polling import Pace, retry_interval
from privatelink_lab.engine.survey import take_snapshot
from privatelink_lab.engine.thread_pool import in_parallel
from privatelink_lab.errors import AwsError, Interrupted, PlabError
from privatelink_lab.events import Explained, Failed, Unanswered, Waiting, duration
from privatelink_lab.lab import TO_CONTINUE, Lab
from privatelink_lab.resource import Found, Phase, Resource, ResourceType
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.timeline import Timeline

MOST_CREATES = 3  # of one key in one run: each may cost money
RESEND = 10.0  # seconds before a call that AWS accepted goes out again while describes still show the old
EXPLAIN_AFTER = 180.0  # seconds of AWS's time
EXPLAIN_AT_LEAST = 5.0  # seconds, however fast a local AWS is

Outcome = TypeVar("Outcome")
Answer = tuple[Found, ...] | PlabError


@dataclass
class Item:
    """All that a run knows of one key."""

    resource: Resource
    phase: Phase | None = Phase.PENDING  # None: nothing exists under the key
    found: tuple[Found, ...] = ()  # by the last snapshot that showed something
    error: PlabError | None = None  # it has failed, or is left
    detail: str | None = None  # the last one that the user has read
    since: float | None = None  # what its timeout counts from
    not_before: float = 0.0  # the next call for it
    refused_since: float | None = None  # AWS's "not yet"
    accepted: bool = False  # AWS has accepted the last update or delete
    was_ready: bool = False
    blocked: bool = False
    held: str = ""  # what keeps AWS from deleting it, in words
    ask_at: float = 0.0  # when that is asked next
    unread: bool = False  # AWS did not let us read it. It holds no deletion up: AWS itself refuses what it must
    ids: set[str] = field(default_factory=set)  # all that were ever seen
    creates: int = 0  # those of this run that made something, or may have
    ended: str = ""  # AWS's word for the end of the last one
    explained: bool = False  # the user has read why it takes so long

    @property
    def key(self) -> str:
        """The resource's key."""
        return self.resource.key

    @property
    def type(self) -> ResourceType:
        """What is the same for every resource of its sort."""
        return self.resource.type

    @property
    def existing(self) -> list[str]:
        """The ids that are not deleting."""
        return [found.id for found in self.found if found.phase is not Phase.DELETING]


def dependents_by_key(resources: Mapping[str, Resource], *, to_delete: bool = False) -> dict[str, list[str]]:
    """By key: the keys that depend on it directly; `to_delete`: those that AWS holds it for."""
    dependents: dict[str, list[str]] = {}
    for resource in resources.values():
        for key in set(resource.depends_on) - set(resource.only_follows if to_delete else ()):
            dependents.setdefault(key, []).append(resource.key)
    return dependents


def dependents_of(resources: Mapping[str, Resource], *keys: str, to_delete: bool = False) -> set[str]:
    """Every key that depends on one of `keys`, directly or through others, and they; `to_delete` as above."""
    after, dependents = set(keys), dependents_by_key(resources, to_delete=to_delete)
    while more := {other for key in after for other in dependents.get(key, ())} - after:
        after |= more
    return after


class Run(ABC, Generic[Outcome]):
    """One `up` or `down`."""

    command: ClassVar[str]
    recheck_after: float  # seconds after which what seems done is read again
    hint: str
    to_continue: str = TO_CONTINUE  # the hint after Ctrl-C

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.items: dict[str, Item] = {}
        self.dependents: dict[str, list[str]] = {}
        self.pace = Pace(lab.clock)
        self.outage = Outage(lab.clock, lab.silent)
        self.timeline = Timeline(self.command, lab.clock.now())
        self.rechecked = lab.clock.now()
        self.read: set[str] = set()  # keys that the last snapshot was asked about
        self.tried: set[tuple[str, str]] = set()  # (key, action) of this tick: a stale describe causes no second call

    @abstractmethod
    def open(self) -> list[Item]:
        """Items that are not done yet."""

    @abstractmethod
    def to_read(self) -> list[Item]:
        """Items that a snapshot which is taken now has to read."""

    @abstractmethod
    def judge(self, item: Item, answer: Answer, snapshot: Snapshot) -> None:
        """Draw the conclusion from what a snapshot shows of one item."""

    @abstractmethod
    def calls(self) -> Sequence[list[Item]]:
        """The calls that can go out now, and the items that each is for."""

    @abstractmethod
    def send(self, items: list[Item], snapshot: Snapshot) -> object:
        """Make one call; returns its answer, raises PlabError."""

    @abstractmethod
    def record(self, items: list[Item], answer: object) -> bool:
        """Take in the answer; returns whether the call made progress."""

    @abstractmethod
    def conclude(self) -> Outcome | None:
        """The outcome; None when there is more to do after all."""

    @abstractmethod
    def pause(self) -> float:
        """Seconds until an item is to be read, or a call may be sent again."""

    def recheck(self) -> None:
        """Read again what seems done, since others may be at work too."""

    def refuse_others(self, snapshot: Snapshot) -> bool:
        """Raise NotOurs when the snapshot shows that the lab is another maker's.

        Returns whether less than it shows counts as the lab's own, so that it has to be read again.
        """
        return False

    @property
    def now(self) -> float:
        """Seconds of the clock."""
        return self.lab.clock.now()

    def run(self) -> Outcome:
        """Loop until it is done; raises Interrupted, StateError."""
        before = self.lab.state.timeline
        try:
            outcome = until(self.tick, clock=self.lab.clock, pause=self.pause)
            if before and not before.over:  # a run that was stopped; this one has ended, also if it had nothing to do
                self.lab.state.timeline = self.timeline
            return outcome  # noqa: TRY300 (an interrupt has no outcome)
        except Interrupted:
            self.timeline.note(self.now, over=False)
            raise
        finally:
            self.lab.state.save()

    def tick(self) -> Outcome | None:
        """Read and act until nothing more can be done at once."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted(self.to_continue)
            if self.now - self.rechecked >= self.recheck_after:
                self.rechecked = self.now
                self.recheck()
            snapshot = self.observe()
            if not self.open():
                return self.conclude()
            if not self.act(snapshot):
                return None

    def observe(self) -> Snapshot:
        """Read one snapshot, as far as it may differ from the last; what becomes possible by it is read as well."""
        self.read.clear()
        reading = {item.key for item in self.to_read()}
        done = {key: item.found for key, item in self.items.items() if item.found and key not in reading}
        resources = {key: item.resource for key, item in self.items.items()}
        snapshot = take_snapshot(self.lab, resources, done, to_delete=self.command == "down")
        # What became due only now, and is in `done`, waits for the next snapshot: its old answer proves nothing.
        while items := [item for item in self.to_read() if item.key not in self.read and item.key not in done]:
            keys = [item.key for item in items]
            self.read.update(keys)
            self.pace.polled(keys)
            answers = in_parallel(keys, snapshot.found)
            self.outage.note(answers)
            for source, error in self.outage.news().items():
                self.lab.emit(Unanswered(source, error))
            if self.refuse_others(snapshot):
                snapshot = take_snapshot(self.lab, resources, done)
                answers = in_parallel(keys, snapshot.found)
            for item, answer in zip(items, answers, strict=True):
                self.judge(item, answer, snapshot)
        return snapshot

    def act(self, snapshot: Snapshot) -> bool:
        """Send every call that can go out, at once; returns whether any of them made progress."""
        calls = self.calls()
        if not calls:
            return False
        self.lab.state.timeline = self.timeline
        self.timeline.note(self.now, over=False)
        self.lab.state.save()
        answers = in_parallel(calls, lambda items: self.send(items, snapshot))
        progress = [self.record(items, answer) for items, answer in zip(calls, answers, strict=True)]
        self.lab.state.save()
        return any(progress)

    def wait(self, item: Item, id_: str, detail: str, *, bounded: bool = True) -> None:
        """Tell the user what the item waits for; fail it after its timeout, if the wait is `bounded`."""
        item.since = self.now if item.since is None else item.since
        timeout = self.lab.timeout(item.resource)
        if item.detail != detail:
            item.detail = detail
            self.pace.changed(item.key)
            self.lab.emit(Waiting(item.key, item.resource.step, id_, detail, timeout if bounded else None))
        if bounded and self.now - item.since > timeout:
            text = f"{item.key} is still {detail!r} after {duration(timeout)}."
            self.fail(item, PlabError(text, hint=self.hint))
        elif item.type.is_explained and not item.explained:
            self.explain(item, item.since)

    def explain(self, item: Item, since: float) -> None:
        """Say once what stands in the way of a long wait, by the judge of `plab why`."""
        if self.now - since > self.lab.of_aws(EXPLAIN_AFTER, EXPLAIN_AT_LEAST):
            item.explained = True
            if text := self.lab.explain():
                self.lab.emit(Explained(item.key, item.resource.step, text))

    def postpone(self, item: Item) -> None:
        """Send a call that AWS refused again later: less often the longer AWS refuses it."""
        item.refused_since = self.now if item.refused_since is None else item.refused_since
        item.not_before = self.now + retry_interval(self.now - item.refused_since)

    def fail(self, item: Item, error: PlabError) -> None:
        """Give the item up."""
        item.error = error
        if isinstance(error, AwsError):
            self.lab.state.record_refused(item.key, error)
        self.lab.emit(Failed(item.key, item.resource.step, error))
