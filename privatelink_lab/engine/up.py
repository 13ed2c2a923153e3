"""Up: what is missing is created, what drifted is updated, until every item is ready or held."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from privatelink_lab.config import PROVIDER
from privatelink_lab.engine.down import remove_later, remove_own
from privatelink_lab.engine.outcome import Built
from privatelink_lab.engine.ownership import (
    claim_or_refuse,
    in_order,
    incomplete,
    refuse_if_later,
    suspects,
    untagged,
)
from privatelink_lab.engine.polling import FLOOR
from privatelink_lab.engine.reconcile import (
    MOST_CREATES,
    RESEND,
    Answer,
    Item,
    Run,
    dependents_by_key,
    dependents_of,
)
from privatelink_lab.engine.survey import Survey, planned
from privatelink_lab.engine.thread_pool import in_parallel
from privatelink_lab.errors import AwsError, ConcurrentMaker, PlabError
from privatelink_lab.events import Failed, Finished, Started
from privatelink_lab.lab import Lab
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.resource_key import split_key
from privatelink_lab.retry_classes import ALREADY, NOT_FOUND_YET, PROPAGATION_TIMEOUT, TRANSIENT, ErrorClass, classify
from privatelink_lab.snapshot import Doubt, Snapshot

WAIT_ON = "To wait on: plab up. To give up: plab down"
MOST_JOINS = 3  # of other makers' labs in one run
SEEN_LATER = TRANSIENT | {ErrorClass.GONE}  # of a describe: no answer, or a new parent is not known everywhere


def up(lab: Lab, steps: Sequence[Step], *, adopt: bool = False) -> Built:
    """Build, continue or repair the lab; returns how each key ended.

    Raises NotOurs for another maker's lab (unless `adopt`), ConcurrentMaker when another maker turns out to have begun
    earlier, Interrupted, StateError. A run that adopts goes on with that lab instead, and with what another run has
    made earlier under a key; PlabError where it cannot remove its own.
    """
    lab.begin()
    check(lab, steps)
    lab.adopts, joins, yielded = adopt, 0, set[str]()
    resources = {key: r for key, r in planned(lab, steps).items() if r.type.made_by_plab}
    while True:
        try:
            return _Up(lab, resources, adopt=adopt, yielded=yielded).run()
        except MadeTwice as met:  # once for each key
            yielded |= met.twice.keys()
            remove_later(lab, steps, met.twice)
        except ConcurrentMaker:
            joins += 1
            if not adopt or joins > MOST_JOINS or remove_own(lab, steps).left:
                raise
            lab.state.since, lab.only_since = "", None
            lab.begin()


class MadeTwice(Exception):
    """Keys under which another run has made something earlier than this one; `twice` has all of it, in this order."""

    def __init__(self, twice: Mapping[str, Sequence[Found]]) -> None:
        super().__init__(str(twice))
        self.twice = twice


def check(lab: Lab, steps: Sequence[Step]) -> None:
    """Raise the first error of a step whose part of the config is impossible, as far as AWS's describes show it.

    A describe without an answer shows nothing: the loop asks again.
    """
    for error in in_parallel(list(steps), lambda step: step.check(lab)):
        if error and classify(error) not in TRANSIENT:
            raise error


THERE = {Phase.READY, Phase.DRIFTED}  # it exists, and can be used as it is


def create_only(lab: Lab, resources: dict[str, Resource], seen: Survey) -> Built:
    """Create just these on top of what a survey found, also what differs from the config; returns how each key ended.

    Raises Interrupted.
    """
    there = {k: f for k, f in seen.found.items() if f and f[0].phase in THERE and k not in resources}
    return _Up(lab, resources, there, knows_maker=True, hint="").run()


class _Up(Run[Built]):
    command, recheck_after = "up", 30.0

    def __init__(
        self,
        lab: Lab,
        resources: dict[str, Resource],
        given: Mapping[str, tuple[Found, ...]] | None = None,
        *,
        adopt: bool = False,
        knows_maker: bool = False,
        yielded: Collection[str] = (),
        hint: str = WAIT_ON,
    ) -> None:
        super().__init__(lab)
        self.own = resources
        self.items = {key: Item(resource) for key, resource in resources.items()}
        for key, found in (given or {}).items():  # this run neither touches nor reads them
            self.items[key] = Item(Resource(key, ResourceType("")), Phase.READY, found)
        self.dependents = dependents_by_key(resources)
        self.neighbours: dict[str, list[str]] = {key: [] for key in resources}  # to be read when the key changes
        for key, resource in resources.items():
            for other in resources.keys() & {*resource.depends_on, *resource.ready_after}:
                self.neighbours[key].append(other)
                self.neighbours[other].append(key)
        self.rechecking: set[str] = set()  # ready keys that this tick reads again
        self.adopt, self.knows_maker, self.hint = adopt, knows_maker, hint
        self.yielded = yielded  # keys of which an earlier turn has removed its own
        self.twice: dict[str, list[Found]] = {}  # keys of which this one removes its own
        self.is_read_again = False  # all has been read once more before the first connection
        self.is_checked = False  # all has been read once more at the end
        self.given_up: list[Item] = []  # until replaced, and not shown yet
        self.replaceable: set[str] = set()  # keys that a replacement can help
        self.unfit: set[str] = set()  # keys whose drift cannot be changed in place
        self.suspects: dict[str, PlabError] = {}
        self.incomplete: dict[str, str] = {}

    def watched(self) -> list[Item]:
        """What is neither failed nor blocked."""
        return [item for key in self.own if not ((item := self.items[key]).error or item.blocked)]

    def open(self) -> list[Item]:
        """Neither ready, failed nor blocked; nor held for good."""
        return [item for item in self.watched() if item.phase is not Phase.READY and not self.is_held(item)]

    def is_held(self, item: Item) -> bool:
        """Whether it is held for good: not when a dependent is ready, for then AWS has yet to show that here too."""
        ready = (self.items[key].phase is Phase.READY for key in self.dependents.get(item.key, ()))
        return item.phase is Phase.HELD and not any(ready)

    def can_be_made(self, item: Item) -> bool:
        """Whether all that it depends on is ready or held, and the lab is begun."""
        is_begun = item.resource.party == PROVIDER or self.is_begun()
        return is_begun and all(
            key in self.items and self.items[key].phase in SATISFIED for key in item.resource.depends_on
        )

    def is_begun(self) -> bool:
        """Whether the provider's account shows whose lab it is: a consumer's account alone does not.

        Else a run that is killed, and whose state is lost, leaves there what no later run may take for its own.
        """
        if not self.lab.is_new:
            return True
        mine = [self.items[key] for key, r in self.own.items() if r.party == PROVIDER and r.type.create]
        to_come = [item for item in mine if not (item.error or item.blocked)]
        return not to_come or any(item.phase for item in to_come)

    def is_lost(self, item: Item) -> bool:
        """Whether something that it depends on, or is ready after, has failed or is neither there nor being made."""
        before = {*item.resource.depends_on, *item.resource.ready_after}
        lost = any(self.items[key].error or self.items[key].blocked for key in before & self.items.keys())
        return lost or not self.items.keys() >= set(item.resource.depends_on)

    def to_read(self) -> list[Item]:
        """What is missing right before it can be made, what is ready at a recheck, all else at its own pace."""
        return [item for item in self.watched() if self.is_to_read(item)]

    def is_to_read(self, item: Item) -> bool:
        """Whether a snapshot that is taken now has to read it."""
        if item.phase is None:
            return self.can_be_made(item) and self.now >= item.not_before
        return item.key in self.rechecking if item.phase is Phase.READY else self.pace.is_due(item.key)

    def pause(self) -> float:
        """Seconds until an item is to be read, or one that is missing can be created."""
        missing = [item for item in self.open() if item.phase is None]
        creates = [max(FLOOR, item.not_before - self.now) for item in missing if self.can_be_made(item)]
        return min([self.pace.pause(item.key for item in self.open() if item.phase is not None), *creates])

    def recheck(self) -> None:
        """Read what is ready as well: another person may delete what this run has built."""
        self.rechecking = {item.key for item in self.watched() if item.phase is Phase.READY}

    def refuse_others(self, snapshot: Snapshot) -> bool:
        """The first snapshot says whose lab it is; each later one, whether another maker began it earlier."""
        if self.knows_maker:
            refuse_if_later(self.lab, snapshot)
            return False
        was_new = self.lab.is_new
        claim_or_refuse(self.lab, snapshot, adopt=self.adopt)
        self.lab.refuse_expired()  # as its tags say, where the state is lost
        self.knows_maker = True
        return bool(self.lab.only_since and snapshot.makers()) or was_new is not self.lab.is_new

    def observe(self) -> Snapshot:
        """Read a snapshot; what depends on a failure is then no longer waited for."""
        snapshot = super().observe()
        self.show_given_up()
        self.hold_back()
        self.rechecking = set()
        self.suspects |= suspects(self.lab, snapshot)
        self.incomplete |= incomplete(self.lab, snapshot)
        for item in self.open():
            item.blocked = self.is_lost(item)
        if self.is_pointless():
            for item in self.open():
                item.blocked = True
        if self.twice:
            raise MadeTwice(self.twice)
        return snapshot

    def is_pointless(self) -> bool:
        """Whether no goal of the lab can be reached any more: then more of it would only cost money."""
        goals = [self.items[key] for key, resource in self.own.items() if resource.is_goal]
        return bool(goals) and all(goal.error or goal.blocked for goal in goals)

    # What a snapshot means.

    def judge(self, item: Item, answer: Answer, snapshot: Snapshot) -> None:
        """Mark it ready, wait for it, miss it, or give it up."""
        item.unread = isinstance(answer, PlabError)
        unanswered = classify(answer) in SEEN_LATER and not self.outage.is_too_long(answer)
        self.note_found(item, () if isinstance(answer, PlabError) else answer)
        if self.is_lost(item):  # what it depends on comes first in the order, and has said why it fails
            item.blocked = item.phase is not Phase.READY
        elif item.was_ready and ((unanswered and item.phase is Phase.READY) or not self.can_be_made(item)):
            return  # AWS said nothing of it, or what it depends on is not ready now
        elif isinstance(answer, AwsError) and unanswered:
            self.wait_in(Phase.PENDING, item, "", answer.code)
        elif isinstance(answer, PlabError):
            self.fail(item, self.outage.explained(answer))
        elif len(existing := item.existing if answer else []) > 1:
            self.judge_several(item, existing, snapshot)
        elif existing and self.is_own_hidden(item, answer):  # another run may have made what is seen
            self.wait_in(Phase.PENDING, item, self.lab.state.ids.get(item.key, ""), "not visible yet")
        elif existing:
            found = next(found for found in answer if found.phase is not Phase.DELETING)
            if self.is_known(item, found):
                self.lab.state.record_seen(item.key, found.id)
            self.judge_one(item, found)
        elif answer:
            self.lab.state.created_at.pop(item.key, None)
            self.wait_in(Phase.DELETING, item, answer[0].id, answer[0].detail)
        else:
            self.miss(item, snapshot)

    def note_found(self, item: Item, answer: tuple[Found, ...]) -> None:
        """Take in what a snapshot shows of it, if it shows anything."""
        item.found = answer or item.found
        for found in answer:
            item.ids.add(found.id)
            if found.tags and found.id not in self.lab.state.made:
                self.lab.recognized.add(found.id)
            if self.is_known(item, found):
                self.lab.state.record_tags(found.id, found.tags)

    def is_known(self, item: Item, found: Found) -> bool:
        """Whether the state may take it for what this lab has made: to be seen is no proof of that."""
        return not found.tags or bool(self.lab.knows(item.key, found.id, found.tags))

    def is_own_hidden(self, item: Item, answer: tuple[Found, ...]) -> bool:
        """Whether this run adopts, and may have made one under the key that AWS does not show yet."""
        may_be = self.adopt and item.key in self.lab.state.sent_at and self.lab.may_be_invisible(item.resource)
        return may_be and all(found.tags and not self.lab.made(item.key, found.tags) for found in answer)

    def judge_several(self, item: Item, ids: list[str], snapshot: Snapshot) -> None:
        """Make nothing under a key that exists twice; who began, or made it, later removes its own."""
        text = ", ".join(ids)
        found = in_order([one for one in item.found if one.id in ids]) if self.adopt else []
        if self.lab.is_new and len({since for _, since in snapshot.makers()}) > 1:
            self.wait_in(Phase.PENDING, item, text, "exists twice: another plab began later, and removes its own")
        elif found and not (self.is_twice_for_good(item) and self.can_be_made(item)):
            detail = f"exists {len(ids)} times ({text}); the first one, {found[0].id}, stays"
            self.wait_in(Phase.PENDING, item, found[0].id, detail, bounded=False)
            is_later = any(self.lab.made(item.key, one.tags) for one in found[1:])
            if is_later and self.can_be_made(item) and item.key not in self.yielded:
                self.twice[item.key] = found
        else:
            self.fail_twice(item, ids)

    def is_twice_for_good(self, item: Item) -> bool:
        """Whether it has existed twice for longer than a removal takes: the other run has ended."""
        return item.since is not None and self.now - item.since > self.lab.timeout(item.resource)

    def fail_twice(self, item: Item, ids: list[str]) -> None:
        """Give up a key under which it cannot be said which one stays, or nobody removes the other."""
        text = ", ".join(ids)
        hint = f"Delete all but one of them, or everything with `plab down`: {text}"
        self.fail(item, PlabError(f"{item.key} exists {len(ids)} times: {text}.", hint=hint))

    def judge_one(self, item: Item, found: Found) -> None:
        """Go by the phase of what AWS shows under the key, or has just answered to its create."""
        match found.phase:
            case Phase.READY if self.can_be_made(item):
                self.mark_ready(item, found)
            case Phase.READY:  # what it depends on may still be replaced under it
                self.wait_in(Phase.PENDING, item, found.id, found.detail, bounded=False)
            case Phase.UNTAGGED:
                self.fail(item, untagged(item.resource, found))
            case Phase.FAILED:
                self.give_up(item, f"{item.key} ({found.id}) {found.detail}.")
            case Phase.DRIFTED if not item.type.can_update(found):
                self.unfit.add(item.key)
                self.give_up(item, f"{item.key} ({found.id}) is not as asked: {found.detail}.")
            case phase:
                self.wait_in(phase, item, found.id, found.detail)

    def give_up(self, item: Item, text: str) -> None:
        """Give it up until it is replaced; the error is shown once this snapshot has named all such items."""
        item.phase, item.error = Phase.FAILED, PlabError(text)
        self.given_up.append(item)
        if item.type.delete:
            self.replaceable.add(item.key)

    def show_given_up(self) -> None:
        """Show what only a replacement can help, with one command for all of it."""
        if not self.given_up:
            return
        keys = [key for key in self.own if key in self.replaceable]
        under = {after for key in keys for after in dependents_of(self.own, key) - {key}}  # these go with it
        command = "plab up" + "".join(f" --replace {key}" for key in keys if key not in under)
        for item in self.given_up:
            assert item.error is not None  # noqa: S101 (`give_up` has given it one)
            item.error.hint = command if item.type.delete else ""
            self.lab.emit(Failed(item.key, item.resource.step, item.error))
        self.given_up.clear()

    def hold_back(self) -> None:
        """Touch nothing that stands with what only a replacement can change: half a change breaks what works.

        A consumer's own stands alone; on the provider's everything stands.
        """
        parties = {self.own[key].party for key in self.unfit}
        for item in self.open() if parties else ():
            item.blocked = PROVIDER in parties or item.resource.party in parties

    def mark_ready(self, item: Item, found: Found) -> None:
        """It is as asked."""
        before, item.phase = item.phase, Phase.READY
        self.lab.state.intents.pop(item.key, None)
        item.found, item.was_ready, item.since, item.detail = (found,), True, None, None
        if before is not Phase.READY:
            self.end(item)
            self.pace.poll_now(self.neighbours[item.key])
            self.lab.emit(Finished(item.key, item.resource.step, found.id, "ready", found.detail))

    def wait_in(self, phase: Phase | None, item: Item, id_: str, detail: str, *, bounded: bool = True) -> None:
        """Wait for it in this phase; what is held waits as long as it takes."""
        item.phase = phase
        if phase is not None:
            self.timeline.begin(item.key, self.now, item.resource.depends_on)
        if phase is Phase.HELD:
            self.end(item)
        self.wait(item, id_, detail, bounded=bounded and not self.is_held(item))

    def end(self, item: Item) -> None:
        """Note its end in the timeline."""
        self.timeline.end(item.key, self.now, (*item.resource.depends_on, *item.resource.ready_after))

    def miss(self, item: Item, snapshot: Snapshot) -> None:
        """It is not shown; within its grace period that proves nothing, whether it was just made or seen before."""
        state, key = self.lab.state, item.key
        ended = self.why_ended(item, snapshot)
        if item.phase is Phase.READY:  # its grace period begins now, also if its create's answer was all we had
            state.created_at.pop(key, None)
        if item.was_ready or (item.ids and item.type.kind and item.phase is not Phase.DELETING):
            state.created_at.setdefault(key, self.now)
        if not ended and self.lab.may_be_invisible(item.resource):
            detail = "was there, and is not seen now" if item.ids else "not visible yet"
            self.wait_in(Phase.PENDING, item, state.ids.get(key, ""), detail)
        elif item.was_ready:
            text = f"{key} ({item.found[0].id}) was there and is gone: another person deletes what this run builds."
            self.fail(item, PlabError(f"{text} AWS says: {ended}" if ended else text, hint="plab status"))
        elif item.type.create is None and self.can_be_made(item):  # it comes with what it depends on
            self.wait_in(Phase.PENDING, item, "", "not visible yet")
        else:
            if ended:
                item.ended = ended
                self.wait(item, state.ids[key], ended, bounded=False)
            item.phase, item.found, item.not_before = None, (), 0.0
            item.ids.clear()
            state.record_lost(key, self.now)
            if key in state.ids:
                state.record_gone(key)
            self.refuse_twins(item, snapshot)

    def refuse_twins(self, item: Item, snapshot: Snapshot) -> None:
        """Make none where some agree with the key's own tags, and this lab does not know that it made them."""
        twins = [row.id for row in snapshot.doubtful() if row.doubt is Doubt.DUPLICATE and row.key == item.key]
        if twins:
            ids = ", ".join(twins)
            self.lab.state.record_suspects(twins)
            text = f"{item.key} exists ({ids}), and the state of this lab does not know it."
            self.fail(item, PlabError(text, hint="plab status"))

    def why_ended(self, item: Item, snapshot: Snapshot) -> str | None:
        """AWS's word and reason for what this lab made under the key, where it shows that as ended."""
        kind, id_ = item.type.kind, self.lab.state.ids.get(item.key)
        return snapshot.why_ended(self.lab.account(item.resource.party), kind, item.key, id_) if kind and id_ else None

    def fail(self, item: Item, error: PlabError) -> None:
        """Give it up; nothing is made on it."""
        item.phase = Phase.FAILED
        super().fail(item, error)

    # Creates and updates.

    def calls(self) -> Sequence[list[Item]]:
        """One for each item that can be created or updated; the pending create is on disk before the call."""
        due = [item for item in self.open() if self.is_callable(item) and not self.is_spent(item)]
        if self.adopt and not self.is_read_again and any(map(self.connects, due)):
            self.is_read_again = True
            self.recheck()
            due = [item for item in due if not self.connects(item)]
        for item in due:
            action = self.action(item)
            self.tried.add((item.key, action))
            id_ = item.found[0].id if action == "update" else ""
            self.lab.emit(Started(item.key, item.resource.step, action, id_))
            self.timeline.begin(item.key, self.now, item.resource.depends_on)
            if action == "create":
                self.lab.state.record_pending(item.key, self.now)
            elif item.found[0].intends:
                self.lab.state.intents[item.key] = sorted(item.found[0].intends)
        return [[item] for item in due]

    def is_callable(self, item: Item) -> bool:
        """Whether a create or an update can go out: nothing is created unread, and nothing twice in one tick."""
        if not self.can_be_made(item) or self.now < item.not_before or (item.key, self.action(item)) in self.tried:
            return False
        # While AWS does not show all that exists, something may still turn out to need a replacement.
        if any(other.unread and other.key in self.lab.state.ids for other in self.watched()):
            return False
        if item.phase is None:
            return item.type.create is not None and item.key in self.read
        return item.phase is Phase.DRIFTED

    def connects(self, item: Item) -> bool:
        """Whether its create connects to the service: from then on no other run may remove what it stands on.

        So a run that adopts reads all once more before: another one may have begun earlier, and may have been slow.
        """
        stands_on = {*item.resource.depends_on} - {*item.resource.only_follows}  # a subnet only follows its zone
        on_provider = any(split_key(key)[0] == PROVIDER for key in stands_on)
        return item.phase is None and item.resource.party != PROVIDER and on_provider

    def is_spent(self, item: Item) -> bool:
        """Whether it was made and lost too often in this run; then it fails."""
        if item.phase is not None or item.creates < MOST_CREATES:
            return False
        text = f"{item.key} was created {item.creates} times in this run and is gone again."
        self.fail(item, PlabError(f"{text} AWS says: {item.ended}" if item.ended else text, hint="plab status"))
        return True

    def action(self, item: Item) -> str:
        """`create` or `update`."""
        return "create" if item.phase is None else "update"

    def send(self, items: list[Item], snapshot: Snapshot) -> Found | None:
        """Make one create, which returns what AWS answers, or one update."""
        [item] = items
        resource, attempt = item.resource, self.lab.state.attempts.get(item.key, 0)
        if item.phase is None and resource.type.create:
            return resource.type.create(self.lab, snapshot, resource, Token(self.lab.config.lab, item.key, attempt))
        found = snapshot.found(item.key)[0]
        for attribute in found.drift:
            assert attribute.change is not None  # noqa: S101 (`judge_one` has asked)
            attribute.change()
        if resource.type.update and not found.drift:
            resource.type.update(self.lab, snapshot, resource, found)
        return None

    def record(self, items: list[Item], answer: object) -> bool:
        """The call took effect, its effect is unknown, its token is used up, it may go again, or it failed."""
        [item] = items
        state, key = self.lab.state, item.key
        code = answer.code if isinstance(answer, AwsError) else ""
        lost = classify(answer) is ErrorClass.UNKNOWN_EFFECT
        if item.phase is None and (not isinstance(answer, PlabError) or lost or code.startswith("Idempotent")):
            item.creates += 1
        if lost:  # the create stays pending: only a snapshot can tell
            self.wait_in(Phase.PENDING, item, "", code)
            return False
        if not isinstance(answer, PlabError):
            self.succeeded(item, answer if isinstance(answer, Found) else None)
            return True
        state.create_pending.pop(key, None)
        if code == "IdempotentInstanceTerminated":
            state.record_gone(key)
            return True
        if code == "IdempotentParameterMismatch":  # something was made with it (a lost state): find that first
            state.record_gone(key)
            state.create_pending[key] = self.now
            self.wait_in(Phase.PENDING, item, "", code)
        else:
            self.refused(item, answer)
        return False

    def succeeded(self, item: Item, created: Found | None) -> None:
        """Poll it soon, or take its create's answer as it is; its timeout counts from the first such call."""
        if created or not item.accepted:
            item.since = self.now
        item.detail, item.accepted, item.refused_since = "", not created, None
        item.not_before = 0.0 if created else self.now + RESEND
        self.pace.poll_now([item.key, *self.neighbours[item.key]])
        if created:
            self.lab.deleting.discard(item.key)
            self.lab.state.record_created(item.key, created.id, self.now, self.lab.given_tags.pop(item.key, {}))
            item.found = (created,)
            self.judge_one(item, created)
            self.show_given_up()

    def refused(self, item: Item, error: PlabError) -> None:
        """Send it again later if that can help: a throttle within the timeout, all else until it has propagated."""
        item.since = self.now if item.since is None else item.since
        timeout = self.lab.timeout(item.resource)
        meaning = classify(error, NOT_FOUND_YET | ALREADY | item.type.retryable)
        if meaning is ErrorClass.NOT_YET:
            timeout = min(timeout, self.lab.of_aws(PROPAGATION_TIMEOUT))
        if self.outage.is_too_long(error):
            self.fail(item, self.outage.explained(error))
        elif meaning not in {ErrorClass.NO_EFFECT, ErrorClass.NOT_YET} or self.now - item.since > timeout:
            self.fail(item, error)
        else:
            self.postpone(item)
            self.wait_in(item.phase, item, "", error.code if isinstance(error, AwsError) else "")

    def conclude(self) -> Built | None:
        """What is held is done. Who adopts, and has made something, first looks for what others have made meanwhile."""
        if self.adopt and not self.is_checked and any(item.creates for item in self.items.values()):
            self.is_checked = True
            self.recheck()
            return None
        for item in self.watched():
            if item.phase is Phase.HELD:
                found = item.found[0]
                self.lab.emit(Finished(item.key, item.resource.step, found.id, "held", found.detail))
        self.timeline.note(self.now, over=True)
        items = self.items
        return Built(
            self.own,
            done={key: item.found[:1] for key, item in items.items() if item.phase in SATISFIED and not item.blocked},
            seen={key: item.found for key, item in items.items() if item.found},
            failed={key: item.error for key, item in items.items() if item.error},
            blocked=[key for key, item in items.items() if item.blocked],
            unread={key for key, item in items.items() if item.unread and not item.found},
            suspects=self.suspects,
            incomplete=self.incomplete,
            seconds=self.timeline.seconds,
        )
