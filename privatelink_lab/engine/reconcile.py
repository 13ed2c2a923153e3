"""The one loop, for `up` and for `down`: observe what may have changed, act on what can be acted on, until all is done.

`up.py` and `down.py` say what is wanted: which items are open, what a look at one means, which calls can go out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from privatelink_lab import waits
from privatelink_lab.engine.pace import Pace
from privatelink_lab.engine.survey import in_parallel, look_at
from privatelink_lab.errors import Interrupted, PlabError
from privatelink_lab.events import Failed, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.timeline import Timeline

RESEND = 10.0  # seconds before a call that AWS took goes out again while describes still show the old

Outcome = TypeVar("Outcome")
Answer = tuple[Found, ...] | PlabError


@dataclass
class Item:
    """All that a run knows of one key."""

    resource: Resource
    phase: Phase | None = Phase.PENDING  # None: nothing is there
    found: tuple[Found, ...] = ()  # by the last look that saw something
    error: PlabError | None = None  # it has failed, or stays
    detail: str | None = None  # the last that the user was told
    since: float | None = None  # what its timeout counts from
    not_before: float = 0.0  # the next call for it
    refused_since: float | None = None  # AWS's "not yet"
    taken: bool = False  # AWS has taken the last call (a mend, a delete)
    was_ready: bool = False
    blocked: bool = False
    ids: set[str] = field(default_factory=set)  # all that were ever seen

    @property
    def key(self) -> str:
        """The resource's key."""
        return self.resource.key

    @property
    def living(self) -> list[str]:
        """The ids that are not leaving."""
        return [one.id for one in self.found if one.phase is not Phase.LEAVING]


class Run(ABC, Generic[Outcome]):
    """One `up` or `down`."""

    command: ClassVar[str]
    recheck_after: ClassVar[float]  # seconds after which what seems done is looked at again
    hint: str

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.items: dict[str, Item] = {}
        self.pace = Pace(lab.clock)
        self.outage = waits.Outage(lab.clock)
        self.timeline = Timeline(self.command, lab.clock.now())
        self.rechecked = lab.clock.now()
        self.read: set[str] = set()  # keys that the last look was asked about
        self.tried: set[tuple[str, str]] = set()  # (key, action) of this tick: a stale describe must not make us spin

    @abstractmethod
    def open(self) -> list[Item]:
        """Items that are still on their way."""

    @abstractmethod
    def to_read(self) -> list[Item]:
        """Items that a look which comes now has to ask about."""

    @abstractmethod
    def judge(self, item: Item, answer: Answer, look: Look) -> None:
        """What a look at one item means."""

    @abstractmethod
    def calls(self) -> Sequence[list[Item]]:
        """The calls that can go out now, and the items that each is for."""

    @abstractmethod
    def send(self, items: list[Item], look: Look) -> object:
        """One call; its answer, or a PlabError."""

    @abstractmethod
    def record(self, items: list[Item], answer: object) -> bool:
        """What the answer means; whether the call took effect."""

    @abstractmethod
    def conclude(self) -> Outcome | None:
        """The outcome; None when there is more to do after all."""

    def recheck(self) -> None:
        """Now and then: look again at what seems done, since others may be at work too."""

    def meet(self, look: Look) -> None:
        """After the describes of each look: whose lab it is."""

    @property
    def now(self) -> float:
        """Seconds of the clock."""
        return self.lab.clock.now()

    def run(self) -> Outcome:
        """Until it is done; raises Interrupted, StateError."""
        try:
            return waits.until(self.tick, clock=self.lab.clock, pause=self.pause)
        except Interrupted:
            self.timeline.note(self.now, over=False)
            raise
        finally:
            self.lab.state.save()

    def tick(self) -> Outcome | None:
        """Look and act until nothing can be done at once."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            if self.now - self.rechecked >= self.recheck_after:
                self.rechecked = self.now
                self.recheck()
            look = self.observe()
            if not self.open():
                return self.conclude()
            if not self.act(look):
                return None

    def observe(self) -> Look:
        """One look, as far as it may differ from the last; what becomes possible by it is read as well."""
        self.read.clear()
        reading = {item.key for item in self.to_read()}
        known = {key: item.found for key, item in self.items.items() if item.found and key not in reading}
        look = look_at(self.lab, {key: item.resource for key, item in self.items.items()}, known)
        while items := [item for item in self.to_read() if item.key not in self.read]:
            keys = [item.key for item in items]
            self.read.update(keys)
            self.pace.looked(keys)
            answers = in_parallel(keys, look.found)
            self.outage.note(answers)
            self.meet(look)
            for item, answer in zip(items, answers, strict=True):
                self.judge(item, answer, look)
        return look

    def act(self, look: Look) -> bool:
        """Send every call that can go out, at once; whether any of them took effect."""
        calls = self.calls()
        if not calls:
            return False
        self.lab.state.timeline = self.timeline
        self.timeline.note(self.now, over=False)
        self.lab.state.save()
        answers = in_parallel(calls, lambda items: self.send(items, look))
        took = [self.record(items, answer) for items, answer in zip(calls, answers, strict=True)]
        self.lab.state.save()
        return any(took)

    def pause(self) -> float:
        """Seconds until something is to be looked at, or what AWS refused may be sent again."""
        waiting = [item for item in self.open() if item.phase is not None]
        tries = [max(waits.FLOOR, i.not_before - self.now) for i in self.open() if i.refused_since is not None]
        return min([self.pace.pause(item.key for item in waiting), *tries])

    def wait(self, item: Item, id_: str, detail: str, *, bounded: bool = True) -> None:
        """It is on its way; too long is a failure, unless what it waits for is `bounded` by itself."""
        item.since = self.now if item.since is None else item.since
        if item.detail != detail:
            item.detail = detail
            self.pace.changed(item.key)
            self.lab.emit(Waiting(item.key, item.resource.step, id_, detail))
        timeout = item.resource.patience.timeout
        if bounded and self.now - item.since > timeout:
            text = f"{item.key} is still {detail!r} after {timeout / 60:.0f} minutes."
            self.fail(item, PlabError(text, hint=self.hint))

    def refuse(self, item: Item) -> None:
        """AWS does not take a call yet: the seldomer again, the longer."""
        item.refused_since = self.now if item.refused_since is None else item.refused_since
        item.not_before = self.now + waits.retry_interval(self.now - item.refused_since)

    def fail(self, item: Item, error: PlabError) -> None:
        """It will not get there."""
        item.error = error
        self.lab.emit(Failed(item.key, item.resource.step, error))
