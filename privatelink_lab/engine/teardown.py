"""Tearing down: look, delete what is there and needed by nothing, until a look sees nothing; then the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from privatelink_lab import waits
from privatelink_lab.engine.survey import Survey, in_parallel, look_at, survey
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.events import Failed, Finished, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, Step

RESEND = 10.0  # seconds before a delete that AWS took goes out again while describes still show the thing


@dataclass
class Removed:
    """The receipt of a `down`: what was deleted (ids by noun), and what is left and why."""

    deleted: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, PlabError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when nothing is left, else 3."""
        return 3 if self.left else 0


def down(lab: Lab, steps: Sequence[Step], seen: Survey, *, only: set[str] | None = None) -> Removed:
    """Delete everything that `seen` found, or only the keys in `only`; returns the receipt.

    What needs a key goes before it, and a fresh look at the end decides whether anything is left. What plab never made
    (foreign connections) is touched only as far as `seen` has it. Raises Interrupted, StateError.
    """
    run = _Down(lab, steps, seen, only)
    try:
        return waits.until(run.tick, clock=lab.clock, waited=run.waited)
    finally:
        lab.state.save()


def withdraw(lab: Lab, steps: Sequence[Step]) -> Removed:
    """Delete what this lab's own maker has made, and nothing of the one who began earlier; returns the receipt."""
    lab.own_only = True
    return down(lab, steps, survey(lab, steps))


def needed_by(resources: Mapping[str, Resource], key: str) -> set[str]:
    """Every key that needs `key`, directly or through others, and `key` itself."""
    after = {key}
    while more := {r.key for r in resources.values() if after & set(r.needs)} - after:
        after |= more
    return after


class _Down:
    def __init__(self, lab: Lab, steps: Sequence[Step], seen: Survey, only: set[str] | None) -> None:
        self.lab, self.steps, self.only = lab, steps, only
        self.consented = {key: {one.id for one in found} for key, found in seen.found.items()}
        self.resources: dict[str, Resource] = {}
        self.after: dict[str, set[str]] = {}
        self.found: dict[str, tuple[Found, ...]] = {}  # () while something that we made is not visible yet
        self.ever: dict[str, set[str]] = {}
        self.details: dict[str, str] = {}
        self.began: dict[str, float] = {}
        self.sent: dict[str, float] = {}
        self.in_use: set[str] = set()  # refused because something lives in it, or holds on
        self.surveyed = lab.clock.now()
        self.tried: set[str] = set()  # keys of this tick: a stale describe must not make us spin
        self.outage = waits.Outage(lab.clock)
        self.started = self.changed = lab.clock.now()
        self.removed = Removed()
        self._take(seen)

    def waited(self) -> float:
        """Seconds since something last changed."""
        return self.lab.clock.now() - self.changed

    def tick(self) -> Removed | None:
        """Look, delete what is there and due; the receipt when a last look sees nothing more to do."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            if not self._open():
                return self.removed if self._nothing_new() else None
            idle = self.lab.clock.now() - self.surveyed
            if self.in_use and self.only is None and idle >= max(RESEND, self.waited()):
                self._survey_again()  # somebody may be building in it
            due = self._due()
            if not due and not self._can_wait():
                self._give_up()
                continue
            if not self._delete([key for key in due if key not in self.tried]):
                self._observe()
                return None
            self._observe()

    # What the looks say.

    def _take(self, seen: Survey) -> None:
        """Go on with what a survey sees, and with what we made so recently that it may not see it yet."""
        self.removed.left |= {} if self.only else seen.unseen
        for key, resource in seen.resources.items():
            if resource.delete and (self.only is None or key in self.only) and key not in self.removed.left:
                self.resources[key] = resource
        for key, resource in self.resources.items():
            self.after[key] = (needed_by(seen.resources, key) - {key}) & self.resources.keys()
            if key in seen.errors:
                self._cannot_look(key, seen.errors[key])
            elif seen.found.get(key):
                self._there(key, seen.found[key])
            elif self.lab.is_fresh(resource):
                self.found[key] = ()

    def _open(self) -> list[str]:
        return [key for key in self.found if key not in self.removed.left]

    def _nothing_new(self) -> bool:
        """The last look: describes may have been late at the first, so only a fresh one can say that all is gone."""
        self._survey_again()
        return not self._open()

    def _survey_again(self) -> None:
        self.surveyed = self.lab.clock.now()
        seen = survey(self.lab, self.steps)
        self.removed.left = {k: error for k, error in self.removed.left.items() if k in self.resources}
        self._take(seen)

    def _may_differ(self, key: str) -> bool:
        """Whether a look may see something new: not of what stands where something else still stands on it."""
        found = self.found[key]
        is_moving = key in self.sent or not found or any(one.phase is Phase.LEAVING for one in found)
        return is_moving or not self.after[key] & self.found.keys()

    def _observe(self) -> None:
        keys = [key for key in self._open() if self._may_differ(key)]
        look = look_at(self.lab, self.resources)
        answers = in_parallel(keys, look.found)
        self.outage.note(answers)
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, PlabError):
                self._cannot_look(key, answer)
            elif answer:
                self._there(key, answer)
            elif key in self.ever or not self.lab.is_fresh(self.resources[key]):
                self._gone(key)

    def _cannot_look(self, key: str, error: PlabError) -> None:
        if isinstance(error, AwsError) and waits.is_unanswered(error) and not self.outage.is_too_long():
            self.found.setdefault(key, ())
            self._waiting(key, "", getattr(error, "code", ""))
        elif isinstance(error, AwsError) and waits.is_gone(error):
            self._gone(key)
        else:
            self._leave(key, error)

    def _there(self, key: str, found: tuple[Found, ...]) -> None:
        self.found[key] = found
        self.ever.setdefault(key, set()).update(one.id for one in found)
        self.lab.state.born.pop(key, None)
        living = [one for one in found if one.phase is not Phase.LEAVING]
        strangers = {one.id for one in living} - self.consented.get(key, set())
        if self.resources[key].create is None and strangers:
            message = f"{', '.join(sorted(strangers))} came while the lab was going; nobody has agreed to cut it."
            self._leave(key, PlabError(message, hint="plab down shows it and asks."))
        elif not living or key in self.sent:
            self._waiting(key, found[0].id, found[0].detail)

    def _gone(self, key: str) -> None:
        self.found.pop(key, None)
        self.in_use.discard(key)
        if key not in self.ever:
            return
        resource, ids = self.resources[key], sorted(self.ever.pop(key))
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
        """What is there, not leaving, not just sent, and needed by nothing that is still there."""
        now = self.lab.clock.now()
        return [
            key
            for key in self._open()
            if any(one.phase is not Phase.LEAVING for one in self.found[key])
            and not self.after[key] & self.found.keys()
            and now - self.sent.get(key, -RESEND) >= RESEND
        ]

    def _can_wait(self) -> bool:
        """Whether something is leaving or not visible yet, so that a later look may differ."""
        return any(
            not self.found[key] or key in self.sent or any(one.phase is Phase.LEAVING for one in self.found[key])
            for key in self._open()
        )

    def _give_up(self) -> None:
        """What is left stands before something that could not be deleted."""
        for key in self._open():
            holders = ", ".join(sorted(self.after[key] & self.removed.left.keys()))
            self._leave(key, PlabError(f"{key} stays, because {holders} could not be deleted.", hint="plab down"))

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
        """Read AWS's refusals; one that names none of our ids counts for all of them."""
        ours = {id_ for key in keys for id_ in self._ids(key)}
        nameless = [] if isinstance(result, PlabError) else [e for id_, e in result.items() if id_ not in ours]
        took = False
        for key in keys:
            errors = [result] if isinstance(result, PlabError) else [result[i] for i in self._ids(key) if i in result]
            took |= self._record_one(key, errors or nameless)
        return took

    def _record_one(self, key: str, errors: Sequence[PlabError]) -> bool:
        errors = [error for error in errors if not (isinstance(error, AwsError) and waits.is_gone(error))]
        if not errors:
            self.sent[key] = self.lab.clock.now()
            self.in_use.discard(key)
            self._changed()
            return True
        error = errors[0]
        if isinstance(error, AwsError) and waits.is_in_use(error):
            self.in_use.add(key)
            self._waiting(key, self._ids(key)[0], error.code)
        else:
            self._leave(key, error)
        return False
