"""One loop for building, tearing down and looking.

`up`: look; create what is missing and has its needs, mend what drifted, independent ones at once; look again when the
next patience is due; until every goal is ready or held. `down`: the same with arrows reversed, over everything that
bears the lab's tag. Waits overlap, so the total is the longest chain and not the sum. Only the loop touches the state;
steps come in as data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from privatelink_lab import waits
from privatelink_lab.aws import Account
from privatelink_lab.errors import AwsError, LostAnswer, NotOurs, PlabError
from privatelink_lab.events import Failed, Finished, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.look import BALANCED, CONSUMER_KINDS, KINDS, Look
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource, Step, Token

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 8
NEW_LIFE = frozenset({"IdempotentInstanceTerminated", "IdempotentParameterMismatch"})


def in_parallel(items: Sequence[Item], call: Callable[[Item], Result]) -> list[Result | PlabError]:
    """`call` on every item at once, in order; a PlabError is that item's result."""

    def attempt(item: Item) -> Result | PlabError:
        try:
            return call(item)
        except PlabError as error:
            return error

    if len(items) <= 1:
        return [attempt(item) for item in items]
    with ThreadPoolExecutor(max_workers=min(WORKERS, len(items))) as pool:
        return list(pool.map(attempt, items))


# Looking.


@dataclass(frozen=True)
class Survey:
    """What one look saw: per key what was found, or why it could not be looked at."""

    resources: dict[str, Resource]
    found: dict[str, tuple[Found, ...]]
    errors: dict[str, PlabError]
    unseen: dict[str, PlabError]  # what may hold something of ours and could not be looked at
    look: Look

    def existing(self) -> dict[str, tuple[Found, ...]]:
        """The keys of which something is there."""
        return {key: found for key, found in self.found.items() if found}


def planned(lab: Lab, steps: Sequence[Step]) -> dict[str, Resource]:
    """Every resource that the config names, by key, in the order of the steps."""
    return {r.key: r.in_step(step.name) for step in steps for r in step.resources(lab)}


def look_at(
    lab: Lab, resources: Mapping[str, Resource], settled: Mapping[str, tuple[Found, ...]] | None = None
) -> Look:
    """A new look; no call goes out before it is asked."""
    names = dict.fromkeys(BALANCED, lab.name)
    return Look(lab.config.lab, names, resources, lambda resource, look: resource.find(lab, look), settled=settled)


def survey(lab: Lab, steps: Sequence[Step]) -> Survey:
    """One look at everything: what the config names, and what else bears the lab's tag in the accounts we know."""
    named = planned(lab, steps)
    look = look_at(lab, named)
    forgotten, unseen = _forgotten(lab, steps, named, look)
    resources = named | forgotten
    look = look.with_resources(resources)
    answers = dict(zip(resources, in_parallel(list(resources), look.found), strict=True))
    found = {key: answer for key, answer in answers.items() if not isinstance(answer, PlabError)}
    errors = {key: answer for key, answer in answers.items() if isinstance(answer, PlabError)}
    return Survey(resources, found, errors, unseen, look)


def _forgotten(
    lab: Lab, steps: Sequence[Step], named: Mapping[str, Resource], look: Look
) -> tuple[dict[str, Resource], dict[str, PlabError]]:
    """What bears the lab's tag and is not in the config (a removed consumer), rebuilt from its key.

    Also what could not be looked at: without that, "nothing is left" would be a guess.
    """
    accounts, unreachable = lab.accounts()
    unseen = {party: error for party, error in unreachable.items() if not lab.names(party)}
    places = [(account, kind) for account in accounts for kind in _kinds(lab, account)]
    revived: dict[str, Resource] = {}
    for (account, kind), keys in zip(places, in_parallel(places, lambda place: look.keys(*place)), strict=True):
        if isinstance(keys, PlabError):
            unseen[f"{kind} of account {account.id}"] = keys
            continue
        for key in sorted(keys - named.keys()):
            resource = _revive(lab, steps, key)
            if resource:
                lab.remember(resource.party, account)
                revived[key] = resource
    return revived, unseen


def _kinds(lab: Lab, account: Account) -> tuple[str, ...]:
    return KINDS if account.id == lab.provider.id else CONSUMER_KINDS


def _revive(lab: Lab, steps: Sequence[Step], key: str) -> Resource | None:
    made = ((step, step.revive(lab, key)) for step in steps)
    return next((resource.in_step(step.name) for step, resource in made if resource), None)


def refuse_other_owner(lab: Lab, look: Look) -> None:
    """Raise NotOurs when somebody else made this lab and this machine has no state of it."""
    others = {maker for maker in look.makers() if maker[0] != lab.owner}
    if others and not lab.state.ids:
        owner, since = min(others, key=lambda maker: maker[1])
        raise NotOurs(
            f"The lab {lab.config.lab!r} belongs to {owner}, since {since}, and there is no state of it here.",
            hint="Choose another `lab:` name, or take it over with --adopt.",
        )


# Building.


@dataclass
class Built:
    """How an `up` ended, by key."""

    resources: dict[str, Resource]
    settled: dict[str, tuple[Found, ...]] = field(default_factory=dict)
    failed: dict[str, PlabError] = field(default_factory=dict)
    blocked: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        """0 when every goal is ready or held, else 1."""
        return 1 if self.failed or self.blocked else 0

    def shows(self, key: str, name: str) -> str | None:
        """What `find` reported under `name` for a settled key."""
        found = self.settled.get(key)
        return found[0].shows.get(name) if found else None


def up(lab: Lab, steps: Sequence[Step], *, adopt: bool = False) -> Built:
    """Build, continue or repair the lab; returns how each key ended.

    Raises NotOurs for somebody else's lab (unless `adopt`), Interrupted, StateError.
    """
    lab.begin()
    for step in steps:
        step.check(lab)
    resources = {key: r for key, r in planned(lab, steps).items() if r.create}
    run = _Up(lab, resources, adopt=adopt)
    try:
        return waits.until(run.tick, clock=lab.clock, waited=run.waited)
    finally:
        lab.state.save()


class _Up:
    def __init__(self, lab: Lab, resources: dict[str, Resource], *, adopt: bool) -> None:
        self.lab, self.resources = lab, resources
        self.built = Built(resources)
        self.checked = adopt
        self.phases: dict[str, Phase | None] = {}  # None: missing
        self.details: dict[str, str] = {}
        self.began: dict[str, float] = {}
        self.tried: set[tuple[str, str]] = set()  # (key, action) of this tick: a stale describe must not make us spin
        self.started = self.changed = lab.clock.now()

    def waited(self) -> float:
        """Seconds since something last changed: what the next interval is a share of."""
        return self.lab.clock.now() - self.changed

    def tick(self) -> Built | None:
        """Look and act until nothing can be done at once; the result when all is settled."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            look = look_at(self.lab, self.resources, self.built.settled)
            self._observe(look)
            if not self._open():
                return self._conclude()
            if not self._act(look):
                return None

    # What the look says.

    def _open(self) -> list[str]:
        """Keys that are still on their way."""
        over = self.built.settled.keys() | self.built.failed.keys() | set(self.built.blocked)
        return [key for key in self.resources if key not in over and not self._held(key)]

    def _held(self, key: str) -> bool:
        """Held for good: it waits for somebody else, and so does what needs it (if anything does)."""
        if self.phases.get(key) is not Phase.HELD:
            return False
        after = [r.key for r in self.resources.values() if key in r.needs]
        return not after or any(self.phases.get(k) is Phase.HELD for k in after)

    def _observe(self, look: Look) -> None:
        over = self.built.settled.keys() | self.built.failed.keys() | set(self.built.blocked)
        keys = [key for key in self.resources if key not in over]
        answers = in_parallel(keys, look.found)
        if not self.checked:
            refuse_other_owner(self.lab, look)
            self.checked = True
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, PlabError):
                self._cannot_look(key, answer)
            else:
                self._judge(key, answer)
        self._block()

    def _cannot_look(self, key: str, error: PlabError) -> None:
        if isinstance(error, AwsError) and (waits.is_throttle(error) or isinstance(error, LostAnswer)):
            self._waiting(key, Phase.PENDING, "", error.code)
        else:
            self._fail(key, error)

    def _judge(self, key: str, found: tuple[Found, ...]) -> None:
        living = [one for one in found if one.phase is not Phase.LEAVING]
        if len(living) > 1:
            ids = ", ".join(one.id for one in living)
            hint = f"Delete all but one of them, or everything with `plab down`: {ids}"
            self._fail(key, PlabError(f"{key} exists {len(living)} times: {ids}.", hint=hint))
        elif living:
            self._judge_one(key, living[0])
        elif found:
            self._waiting(key, Phase.LEAVING, found[0].id, found[0].detail)
        elif self._fresh(key):
            self._waiting(key, Phase.PENDING, self.lab.state.ids.get(key, ""), "not visible yet")
        else:
            self._missing(key)

    def _judge_one(self, key: str, found: Found) -> None:
        self.lab.state.intents.pop(key, None)
        if key not in self.lab.state.ids:
            self.lab.state.created(key, found.id, self.lab.clock.now())
        if found.phase is Phase.READY and self._has_needs(key):
            self._settle(key, found)
        elif found.phase is Phase.READY:  # what it stands on may still be replaced under it
            self._waiting(key, Phase.PENDING, found.id, found.detail)
        elif found.phase is Phase.FAILED:
            self._fail(key, PlabError(f"{key} ({found.id}) {found.detail}.", hint=f"plab up --replace {key}"))
        elif found.phase is Phase.DRIFTED and self.resources[key].mend is None:
            self._fail(key, PlabError(f"{key} ({found.id}) is not as asked: {found.detail}.", hint=_replace(key)))
        else:
            self._waiting(key, found.phase, found.id, found.detail)

    def _settle(self, key: str, found: Found) -> None:
        self.phases[key] = Phase.READY
        self.built.settled[key] = (found,)
        self._changed(key)
        self.lab.state.timeline[key] = [self._since_start(self.began.get(key)), self._since_start(None)]
        self.lab.emit(Finished(key, self.resources[key].step, found.id, "ready", found.detail))

    def _waiting(self, key: str, phase: Phase | None, id_: str, detail: str) -> None:
        self.began.setdefault(key, self.lab.clock.now())
        self.phases[key] = phase
        if self.details.get(key) != detail:
            self._changed(key)
            self.details[key] = detail
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        held = phase is Phase.HELD and self._held(key)
        patience = self.resources[key].patience
        if not held and self.lab.clock.now() - self.began[key] > patience.timeout:
            minutes = patience.timeout / 60
            message = f"{key} is still {detail!r} after {minutes:.0f} minutes."
            self._fail(key, PlabError(message, hint="Run plab up again to wait on, or plab down to give up."))

    def _missing(self, key: str) -> None:
        self.phases[key] = None
        if key in self.lab.state.ids:
            self.lab.state.gone(key)
        self.lab.state.intents.pop(key, None)

    def _fresh(self, key: str) -> bool:
        """Whether we made it, or may have, so recently that AWS may not show it yet."""
        born = self.lab.state.born.get(key, self.lab.state.intents.get(key))
        settle = self.resources[key].patience.settle
        if self.lab.config.settle is not None:
            settle = self.lab.config.settle
        return born is not None and self.lab.clock.now() - born < settle

    def _fail(self, key: str, error: PlabError) -> None:
        self.phases[key] = Phase.FAILED
        self.built.failed[key] = error
        self.lab.emit(Failed(key, self.resources[key].step, error))

    def _block(self) -> None:
        """What needs or awaits something failed will not get there; it is counted, and the rest goes on."""
        lost = self.built.failed.keys() | set(self.built.blocked)
        for key, resource in self.resources.items():
            if key not in lost and key not in self.built.settled and lost & {*resource.needs, *resource.awaits}:
                self.built.blocked.append(key)
                lost = lost | {key}

    def _changed(self, key: str) -> None:
        self.changed = self.lab.clock.now()
        self.began.setdefault(key, self.changed)

    def _since_start(self, moment: float | None) -> float:
        return round((self.lab.clock.now() if moment is None else moment) - self.started, 2)

    # What can be done about it.

    def _act(self, look: Look) -> bool:
        """Send every create and mend that is due, at once; whether any of them took effect."""
        due = [key for key in self._open() if self._due(key)]
        if not due:
            return False
        creates = [key for key in due if self.phases[key] is None]
        for key in due:
            self.tried.add((key, self._action(key)))
            self.lab.emit(Started(key, self.resources[key].step, self._action(key), look.id(key) or ""))
            self.began.setdefault(key, self.lab.clock.now())
        self.lab.state.intents |= dict.fromkeys(creates, self.lab.clock.now())
        self.lab.state.save()
        results = in_parallel(due, lambda key: self._call(key, look))
        took = [self._record(key, result) for key, result in zip(due, results, strict=True)]
        self.lab.state.save()
        return any(took)

    def _due(self, key: str) -> bool:
        if not self._has_needs(key):
            return False
        return self.phases[key] in (None, Phase.DRIFTED) and (key, self._action(key)) not in self.tried

    def _has_needs(self, key: str) -> bool:
        return all(self.phases.get(need) in SATISFIED for need in self.resources[key].needs)

    def _action(self, key: str) -> str:
        return "create" if self.phases[key] is None else "mend"

    def _call(self, key: str, look: Look) -> str | None:
        resource = self.resources[key]
        if self.phases[key] is None and resource.create:
            token = Token(self.lab.config.lab, key, self.lab.state.attempts.get(key, 0))
            return resource.create(self.lab, look, token)
        if resource.mend:
            resource.mend(self.lab, look, look.found(key)[0])
        return None

    def _record(self, key: str, result: str | PlabError | None) -> bool:
        if not isinstance(result, PlabError):
            if result:
                self.lab.state.created(key, result, self.lab.clock.now())
            self.details[key] = ""
            self._changed(key)
            return True
        if isinstance(result, LostAnswer):  # the intent stays: only a look can tell
            self._waiting(key, Phase.PENDING, "", result.code)
            return False
        self.lab.state.intents.pop(key, None)
        if isinstance(result, AwsError) and result.code in NEW_LIFE:
            self.lab.state.gone(key)
            return True
        if isinstance(result, AwsError) and waits.is_not_yet(result):
            self._not_yet(key, result)
        else:
            self._fail(key, result)
        return False

    def _not_yet(self, key: str, error: AwsError) -> None:
        if self.lab.clock.now() - self.began[key] > self.resources[key].patience.timeout:
            self._fail(key, error)
        else:
            self._waiting(key, self.phases[key], "", error.code)

    def _conclude(self) -> Built:
        for key, resource in self.resources.items():
            if self.phases.get(key) is Phase.HELD and key not in self.built.blocked:
                found = self.last_found(key)
                self.built.settled[key] = (found,)
                self.lab.emit(Finished(key, resource.step, found.id, "held", found.detail))
        self.built.seconds = self._since_start(None)
        return self.built

    def last_found(self, key: str) -> Found:
        """What the last look saw of a held key."""
        return Found(self.lab.state.ids.get(key, ""), Phase.HELD, self.details.get(key, ""))


def _replace(key: str) -> str:
    return f"plab up --replace {key}"


# Tearing down.


@dataclass
class Removed:
    """The receipt of a `down`: what was deleted (ids by noun), and what is left and why."""

    deleted: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, PlabError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when nothing is left, else 3."""
        return 3 if self.left else 0


def down(lab: Lab, seen: Survey, *, only: set[str] | None = None) -> Removed:
    """Delete everything that `seen` found, or only the keys in `only`; returns the receipt.

    What needs a key goes before it. Raises Interrupted, StateError.
    """
    run = _Down(lab, seen, only)
    try:
        return waits.until(run.tick, clock=lab.clock, waited=run.waited)
    finally:
        lab.state.save()


def needed_by(resources: Mapping[str, Resource], key: str) -> set[str]:
    """Every key that needs `key`, directly or through others, and `key` itself."""
    after = {key}
    while more := {r.key for r in resources.values() if after & set(r.needs)} - after:
        after |= more
    return after


class _Down:
    def __init__(self, lab: Lab, seen: Survey, only: set[str] | None) -> None:
        self.lab = lab
        keys = set(seen.resources) if only is None else only
        self.resources = {key: r for key, r in seen.resources.items() if key in keys and r.delete}
        self.after = {key: (needed_by(seen.resources, key) - {key}) & self.resources.keys() for key in self.resources}
        self.found: dict[str, tuple[Found, ...]] = {}
        self.ever: dict[str, set[str]] = {}
        self.details: dict[str, str] = {}
        self.began: dict[str, float] = {}
        self.tried: set[str] = set()  # keys of this tick: a stale describe must not make us spin
        self.started = self.changed = lab.clock.now()
        self.removed = Removed(left=dict(seen.unseen) if only is None else {})
        self.first: Survey | None = seen

    def waited(self) -> float:
        """Seconds since something last changed."""
        return self.lab.clock.now() - self.changed

    def tick(self) -> Removed | None:
        """Look, delete what is there and due; the receipt when nothing more can go."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            self._observe()
            if not [key for key in self.found if key not in self.removed.left]:
                return self.removed
            due = self._due()
            if not due and not self._can_wait():
                return self._give_up()
            if not self._delete([key for key in due if key not in self.tried]):
                return None

    # What the look says.

    def _observe(self) -> None:
        for key, answer in self._answers().items():
            if isinstance(answer, PlabError):
                self._cannot_look(key, answer)
            elif answer:
                self._there(key, answer)
            else:
                self._gone(key)

    def _answers(self) -> dict[str, tuple[Found, ...] | PlabError]:
        if self.first:
            seen, self.first = self.first, None
            return {key: seen.errors.get(key) or seen.found.get(key, ()) for key in self.resources}
        keys = [key for key in self.found if key not in self.removed.left]
        look = look_at(self.lab, self.resources)
        return dict(zip(keys, in_parallel(keys, look.found), strict=True))

    def _cannot_look(self, key: str, error: PlabError) -> None:
        if isinstance(error, AwsError) and (waits.is_throttle(error) or isinstance(error, LostAnswer)):
            self.found.setdefault(key, ())
        elif isinstance(error, AwsError) and waits.is_gone(error):
            self._gone(key)
        else:
            self._leave(key, error)

    def _there(self, key: str, found: tuple[Found, ...]) -> None:
        self.found[key] = found
        self.ever.setdefault(key, set()).update(one.id for one in found)
        if all(one.phase is Phase.LEAVING for one in found):
            self._waiting(key, found[0].id, found[0].detail)

    def _gone(self, key: str) -> None:
        was_there = self.found.pop(key, None)
        if was_there is None:
            return
        resource, ids = self.resources[key], sorted(self.ever.get(key, ()))
        self.removed.deleted.setdefault(resource.noun, []).extend(ids)
        self.lab.state.gone(key)
        self._changed()
        self.lab.state.timeline[key] = [
            round(moment - self.started, 2) for moment in (self.began.get(key, self.started), self.lab.clock.now())
        ]
        self.lab.emit(Finished(key, resource.step, ", ".join(ids), "deleted", "deleted"))

    def _waiting(self, key: str, id_: str, detail: str) -> None:
        self.began.setdefault(key, self.lab.clock.now())
        if self.details.get(key) != detail:
            self.details[key] = detail
            self._changed()
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        patience = self.resources[key].patience
        if self.lab.clock.now() - self.began[key] > patience.timeout:
            message = f"{key} ({id_}) is still {detail!r} after {patience.timeout / 60:.0f} minutes."
            self._leave(key, PlabError(message, hint="Run plab down again."))

    def _changed(self) -> None:
        self.changed = self.lab.clock.now()

    def _leave(self, key: str, error: PlabError) -> None:
        self.removed.left[key] = error
        self.lab.emit(Failed(key, self.resources[key].step, error))

    # What can be done about it.

    def _due(self) -> list[str]:
        """What is there, not leaving, and needed by nothing that is still there."""
        return [
            key
            for key, found in self.found.items()
            if key not in self.removed.left
            and any(one.phase is not Phase.LEAVING for one in found)
            and not self.after[key] & self.found.keys()
        ]

    def _can_wait(self) -> bool:
        """Whether something is leaving, so that a later look may differ."""
        return any(
            not found or any(one.phase is Phase.LEAVING for one in found)
            for key, found in self.found.items()
            if key not in self.removed.left
        )

    def _give_up(self) -> Removed:
        """What is left stands before something that could not be deleted."""
        for key in [key for key in self.found if key not in self.removed.left]:
            holders = ", ".join(sorted(self.after[key] & self.removed.left.keys()))
            self._leave(key, PlabError(f"{key} stays, because {holders} could not be deleted.", hint="plab down"))
        return self.removed

    def _delete(self, due: list[str]) -> bool:
        """Start every deletion that is due, one call per kind and account; whether any of them took effect."""
        groups: dict[tuple[int, str], list[str]] = {}
        for key in due:
            account = self.lab.account(self.resources[key].party)
            groups.setdefault((id(self.resources[key].delete), account.id), []).append(key)
            if key not in self.began:
                self.began[key] = self.lab.clock.now()
                self.lab.emit(Started(key, self.resources[key].step, "delete", self._ids(key)[0]))
        self.tried.update(due)
        results = in_parallel(list(groups.values()), self._delete_kind)
        took = [self._record(keys, result) for keys, result in zip(groups.values(), results, strict=True)]
        return any(took)

    def _ids(self, key: str) -> list[str]:
        return [one.id for one in self.found[key] if one.phase is not Phase.LEAVING]

    def _delete_kind(self, keys: list[str]) -> Mapping[str, AwsError]:
        resource = self.resources[keys[0]]
        ids = tuple(id_ for key in keys for id_ in self._ids(key))
        return resource.delete(self.lab.account(resource.party), ids) if resource.delete else {}

    def _record(self, keys: list[str], result: Mapping[str, AwsError] | PlabError) -> bool:
        took = False
        for key in keys:
            errors = [result] if isinstance(result, PlabError) else [result[i] for i in self._ids(key) if i in result]
            took |= self._record_one(key, errors)
        return took

    def _record_one(self, key: str, errors: Sequence[PlabError]) -> bool:
        errors = [error for error in errors if not (isinstance(error, AwsError) and waits.is_gone(error))]
        if not errors:
            self._changed()
            return True
        error = errors[0]
        if isinstance(error, AwsError) and (waits.is_in_use(error) or isinstance(error, LostAnswer)):
            self._waiting(key, self._ids(key)[0], error.code)
        else:
            self._leave(key, error)
        return False
