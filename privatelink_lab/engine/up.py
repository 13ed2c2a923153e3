"""Up: what is missing is created, what drifted is mended, until every item is ready or held."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privatelink_lab import waits
from privatelink_lab.engine.outcome import Built
from privatelink_lab.engine.ownership import know_maker, yield_to_earlier
from privatelink_lab.engine.reconcile import RESEND, Answer, Item, Run
from privatelink_lab.engine.survey import Survey, planned
from privatelink_lab.errors import AwsError, LostAnswer, PlabError
from privatelink_lab.events import Finished, Started
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource, Step, Token

AGAIN = "Run plab up again to wait on, or plab down to give up."


def up(lab: Lab, steps: Sequence[Step], *, adopt: bool = False) -> Built:
    """Build, continue or repair the lab; returns how each key ended.

    Raises NotOurs for somebody else's lab (unless `adopt`), Yielded when another maker turns out to have begun
    earlier, Interrupted, StateError.
    """
    lab.begin()
    for step in steps:
        step.check(lab)
    return _Up(lab, {key: r for key, r in planned(lab, steps).items() if r.create}, adopt=adopt).run()


def make(lab: Lab, resources: dict[str, Resource], seen: Survey) -> Built:
    """Make just these, on top of what a survey found READY; returns how each key ended. Raises Interrupted."""
    standing = {k: f for k, f in seen.found.items() if f and f[0].phase is Phase.READY and k not in resources}
    return _Up(lab, resources, standing, knows_maker=True, hint="").run()


class _Up(Run[Built]):
    command, recheck_after = "up", 30.0

    def __init__(
        self,
        lab: Lab,
        resources: dict[str, Resource],
        standing: Mapping[str, tuple[Found, ...]] | None = None,
        *,
        adopt: bool = False,
        knows_maker: bool = False,
        hint: str = AGAIN,
    ) -> None:
        super().__init__(lab)
        self.own = resources
        self.items = {key: Item(resource) for key, resource in resources.items()}
        for key, found in (standing or {}).items():  # nobody's to touch, or to look at again
            self.items[key] = Item(Resource(key, "", (), lambda *_: ()), Phase.READY, found)
        self.adopt, self.knows_maker, self.hint = adopt, knows_maker, hint

    def watched(self) -> list[Item]:
        """What is neither failed nor blocked."""
        return [item for key in self.own if not ((item := self.items[key]).error or item.blocked)]

    def open(self) -> list[Item]:
        """Neither ready, failed nor blocked; nor held for good."""
        return [item for item in self.watched() if item.phase is not Phase.READY and not self.is_held(item)]

    def is_held(self, item: Item) -> bool:
        """Unless what needs it is ready already, for then AWS has yet to show that here too."""
        after = (other.phase is Phase.READY for other in self.items.values() if item.key in other.resource.needs)
        return item.phase is Phase.HELD and not any(after)

    def has_needs(self, item: Item) -> bool:
        """Whether all that it stands on is ready or held."""
        return all(need in self.items and self.items[need].phase in SATISFIED for need in item.resource.needs)

    def is_lost(self, item: Item) -> bool:
        """Whether something that it needs or awaits has failed, or does not stand and nobody is making it."""
        above = {*item.resource.needs, *item.resource.awaits}
        lost = any(self.items[key].error or self.items[key].blocked for key in above & self.items.keys())
        return lost or not self.items.keys() >= set(item.resource.needs)

    def to_read(self) -> list[Item]:
        """What is missing is looked for right before it can be made, and what is not ready at its own pace."""
        return [
            item
            for item in self.watched()
            if (
                self.has_needs(item) and self.now >= item.not_before
                if item.phase is None
                else self.pace.is_due(item.key) and (item.phase is not Phase.READY or item.key not in self.settled)
            )
        ]

    settled: set[str] = frozenset()  # type: ignore[assignment]

    def recheck(self) -> None:
        """Somebody may delete what this run has built."""
        self.settled = set()
        self.pace.look_again(item.key for item in self.watched() if item.phase is Phase.READY)

    def meet(self, look: Look) -> None:
        """The first look says whose lab it is; each later one, whether somebody else began it earlier."""
        if self.knows_maker:
            yield_to_earlier(self.lab, look)
        else:
            know_maker(self.lab, look, adopt=self.adopt)
            self.knows_maker = True

    def observe(self) -> Look:
        """And what stands on a failure is not waited for."""
        look = super().observe()
        for item in self.open():
            item.blocked = self.is_lost(item)
        self.settled = {item.key for item in self.watched() if item.phase is Phase.READY}
        return look

    # What a look means.

    def judge(self, item: Item, answer: Answer, look: Look) -> None:
        """Settle it, wait for it, miss it, or give it up."""
        unanswered = isinstance(answer, AwsError) and waits.may_be_seen_later(answer) and not self.outage.is_too_long()
        if not isinstance(answer, PlabError) and answer:
            item.found = answer
        if self.is_lost(item):  # needs come first in the order: why it fails has been said there
            item.blocked = item.phase is not Phase.READY
        elif item.was_ready and (unanswered or not self.has_needs(item)):
            return  # nothing was said of it, or what it stands on is in doubt
        elif unanswered:
            self.wait_in(Phase.PENDING, item, "", answer.code)
        elif isinstance(answer, PlabError):
            self.fail(item, answer)
        elif len(living := [one for one in answer if one.phase is not Phase.LEAVING]) > 1:
            self.judge_several(item, [one.id for one in living], look)
        elif living:
            self.judge_one(item, living[0])
        elif answer:
            self.lab.state.born.pop(item.key, None)
            self.wait_in(Phase.LEAVING, item, answer[0].id, answer[0].detail)
        else:
            self.miss(item)

    def judge_several(self, item: Item, ids: list[str], look: Look) -> None:
        """Nothing is made under a key that exists twice; a second maker, who began later, removes his own."""
        text = ", ".join(ids)
        if self.lab.is_new and len({since for _, since in look.makers()}) > 1:
            self.wait_in(Phase.PENDING, item, text, "exists twice: another plab began later, and yields")
            return
        hint = f"Delete all but one of them, or everything with `plab down`: {text}"
        self.fail(item, PlabError(f"{item.key} exists {len(ids)} times: {text}.", hint=hint))

    def judge_one(self, item: Item, found: Found) -> None:
        """By its phase."""
        self.lab.state.seen(item.key, found.id)
        hint = f"plab up --replace {item.key}" if item.resource.delete else ""
        match found.phase:
            case Phase.READY if self.has_needs(item):
                self.settle(item, found)
            case Phase.READY:  # what it stands on may still be replaced under it
                self.wait_in(Phase.PENDING, item, found.id, found.detail, bounded=False)
            case Phase.FAILED:
                self.fail(item, PlabError(f"{item.key} ({found.id}) {found.detail}.", hint=hint))
            case Phase.DRIFTED if item.resource.mend is None:
                self.fail(item, PlabError(f"{item.key} ({found.id}) is not as asked: {found.detail}.", hint=hint))
            case phase:
                self.wait_in(phase, item, found.id, found.detail)

    def settle(self, item: Item, found: Found) -> None:
        """It is as asked."""
        before, item.phase = item.phase, Phase.READY
        item.found, item.was_ready, item.since = (found,), True, None
        if before is not Phase.READY:
            self.end(item)
            self.pace.look_again(self.near(item))
            self.lab.emit(Finished(item.key, item.resource.step, found.id, "ready", found.detail))

    def wait_in(self, phase: Phase | None, item: Item, id_: str, detail: str, *, bounded: bool = True) -> None:
        """It is on its way, in this phase; what is held waits as long as it takes."""
        item.phase = phase
        if phase is not None:
            self.timeline.begin(item.key, self.now, item.resource.needs)
        if phase is Phase.HELD:
            self.end(item)
        self.wait(item, id_, detail, bounded=bounded and not self.is_held(item))

    def near(self, item: Item) -> list[str]:
        """What it needs or awaits, and the reverse: worth a look when it changes."""
        own = {*item.resource.needs, *item.resource.awaits}
        return [
            key for key in self.own if key in own or item.key in {*self.own[key].needs, *self.own[key].awaits}
        ]

    def end(self, item: Item) -> None:
        """For the timeline."""
        self.timeline.end(item.key, self.now, (*item.resource.needs, *item.resource.awaits))

    def miss(self, item: Item) -> None:
        """It is not there; within its window that means nothing yet, whether it was just made or seen before."""
        state, key = self.lab.state, item.key
        if item.was_ready:
            state.born.setdefault(key, self.now)
        if self.lab.is_fresh(item.resource):
            detail = "was there, and is not seen now" if item.was_ready else "not visible yet"
            self.wait_in(Phase.PENDING, item, state.ids.get(key, ""), detail)
        elif item.was_ready:
            text = f"{key} ({item.found[0].id}) was there and is gone: somebody else deletes what this run builds."
            self.fail(item, PlabError(text, hint="plab status"))
        else:
            item.phase, item.found = None, ()
            state.intents.pop(key, None)
            if key in state.ids:
                state.gone(key)

    def fail(self, item: Item, error: PlabError) -> None:
        """And nothing is made on it."""
        item.phase = Phase.FAILED
        super().fail(item, error)

    # Creates and mends.

    def calls(self) -> Sequence[list[Item]]:
        """One for each item that is missing or drifted, and has its needs; the intent is on disk before the call."""
        due = [item for item in self.open() if self.is_callable(item)]
        for item in due:
            action = self.action(item)
            self.tried.add((item.key, action))
            id_ = item.found[0].id if action == "mend" else ""
            self.lab.emit(Started(item.key, item.resource.step, action, id_))
            self.timeline.begin(item.key, self.now, item.resource.needs)
            if action == "create":
                self.lab.state.intents[item.key] = self.now
        return [[item] for item in due]

    def is_callable(self, item: Item) -> bool:
        """Nothing is made that was not just looked for, and nothing twice in one tick."""
        if not self.has_needs(item) or self.now < item.not_before or item.phase not in (None, Phase.DRIFTED):
            return False
        return (item.phase is not None or item.key in self.read) and (item.key, self.action(item)) not in self.tried

    def action(self, item: Item) -> str:
        """`create` or `mend`."""
        return "create" if item.phase is None else "mend"

    def send(self, items: list[Item], look: Look) -> str | None:
        """One create, which returns the id, or one mend."""
        [item] = items
        resource, attempt = item.resource, self.lab.state.attempts.get(item.key, 0)
        if item.phase is None and resource.create:
            return resource.create(self.lab, look, Token(self.lab.config.lab, item.key, attempt))
        if resource.mend:
            resource.mend(self.lab, look, look.found(item.key)[0])
        return None

    def record(self, items: list[Item], answer: object) -> bool:
        """It took effect, nobody knows, its token is used up, not yet, or never."""
        [item] = items
        state, key = self.lab.state, item.key
        if isinstance(answer, LostAnswer):  # the intent stays: only a look can tell
            self.wait_in(Phase.PENDING, item, "", answer.code)
            return False
        if not isinstance(answer, PlabError):
            self.took(item, str(answer or ""))
            return True
        state.intents.pop(key, None)
        code = answer.code if isinstance(answer, AwsError) else ""
        if code == "IdempotentInstanceTerminated":
            state.gone(key)
            return True
        if code == "IdempotentParameterMismatch":  # something was made with it (a lost state): look for that first
            state.gone(key)
            state.intents[key] = self.now
            self.wait_in(Phase.PENDING, item, "", code)
        elif isinstance(answer, AwsError) and waits.is_not_yet(answer):
            self.not_yet(item, answer)
        else:
            self.fail(item, answer)
        return False

    def took(self, item: Item, id_: str) -> None:
        """It is worth a look; its timeout counts anew from the first such call."""
        if id_:
            self.lab.state.created(item.key, id_, self.now)
        if id_ or not item.taken:
            item.since = self.now
        item.detail, item.taken, item.refused_since = "", not id_, None
        item.not_before = 0.0 if id_ else self.now + RESEND
        self.pace.look_again([item.key, *self.near(item)])

    def not_yet(self, item: Item, error: AwsError) -> None:
        """Send it again later; what we made ourselves has its time to spread, and a throttle all its patience."""
        item.since = self.now if item.since is None else item.since
        timeout = item.resource.patience.timeout
        if self.now - item.since > (timeout if waits.had_no_effect(error) else min(timeout, waits.SPREAD)):
            self.fail(item, error)
        else:
            self.refuse(item)
            self.wait_in(item.phase, item, "", error.code)

    def conclude(self) -> Built:
        """What is held is done."""
        for item in self.watched():
            if item.phase is Phase.HELD:
                one = item.found[0]
                self.lab.emit(Finished(item.key, item.resource.step, one.id, "held", one.detail))
        self.timeline.note(self.now, over=True)
        items = self.items
        return Built(
            self.own,
            settled={key: item.found[:1] for key, item in items.items() if item.phase in SATISFIED and not item.blocked},
            seen={key: item.found for key, item in items.items() if item.found},
            failed={key: item.error for key, item in items.items() if item.error},
            blocked=[key for key, item in items.items() if item.blocked],
            seconds=self.timeline.seconds,
        )
