"""Tearing down: look, delete what is there and needed by nothing, until a look sees nothing; then the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privatelink_lab import waits
from privatelink_lab.engine.remains import RESEND, Remains, Removed
from privatelink_lab.engine.survey import Survey, in_parallel, look_at, survey
from privatelink_lab.errors import AwsError, Interrupted, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource, Step


def down(lab: Lab, steps: Sequence[Step], seen: Survey, *, only: set[str] | None = None) -> Removed:
    """Delete everything that `seen` found, or only the keys in `only`; returns the receipt.

    What needs a key goes before it, and a fresh look at the end decides whether anything is left. What plab never made
    (foreign connections) is touched only as far as `seen` has it. Raises Interrupted, StateError.
    """
    run = _Down(lab, steps, seen, only)
    try:
        return waits.until(run.tick, clock=lab.clock, pause=run.remains.pause)
    except Interrupted:
        run.remains.stopped()
        raise
    finally:
        lab.state.save()


def withdraw(lab: Lab, steps: Sequence[Step]) -> Removed:
    """Delete what this lab's own maker has made, and nothing of the one who began earlier; returns the receipt."""
    lab.own_only = True
    return down(lab, steps, survey(lab, steps, to_delete=True))


def needed_by(resources: Mapping[str, Resource], key: str) -> set[str]:
    """Every key that needs `key`, directly or through others, and `key` itself."""
    after = {key}
    while more := {r.key for r in resources.values() if after & set(r.needs)} - after:
        after |= more
    return after


class _Down:
    def __init__(self, lab: Lab, steps: Sequence[Step], seen: Survey, only: set[str] | None) -> None:
        self.lab, self.steps, self.only = lab, steps, only
        consented = {key: {one.id for one in found} for key, found in seen.found.items()}
        self.remains = Remains(lab, consented)
        self.surveyed = lab.clock.now()
        self.tried: set[str] = set()  # keys of this tick: a stale describe must not make us spin
        self.outage = waits.Outage(lab.clock)
        self._take(seen)

    def tick(self) -> Removed | None:
        """Look, delete what is there and due; the receipt when a last look sees nothing more to do."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            if not self.remains.open():
                return self.remains.conclude() if self._nothing_new() else None
            if self._may_be_built_in():
                self._survey_again()
            due = self.remains.due()
            if not due and not self.remains.can_wait():
                self.remains.give_up()
                continue
            took = self._delete([key for key in due if key not in self.tried])
            self._observe()
            if not took:
                return None

    # What the looks say.

    def _take(self, seen: Survey) -> None:
        """Go on with what a survey sees, and with what we made so recently that it may not see it yet."""
        left = self.remains.removed.left
        left |= {} if self.only else seen.unseen
        chosen = {key: r for key, r in seen.resources.items() if r.delete and (self.only is None or key in self.only)}
        self.remains.know(seen.resources, {key: r for key, r in chosen.items() if key not in left})
        for key, resource in self.remains.resources.items():
            if key in seen.errors:
                self.remains.cannot_look(key, seen.errors[key], patient=not self.outage.is_too_long())
            elif seen.found.get(key):
                self.remains.there(key, seen.found[key])
            elif self.lab.is_fresh(resource):
                self.remains.expect(key)
            elif key in seen.found and key in left:
                self.remains.recall(key)

    def _nothing_new(self) -> bool:
        """The last look: describes may have been late at the first, so only a fresh one can say that all is gone."""
        self._survey_again()
        return not self.remains.open()

    def _may_be_built_in(self) -> bool:
        """Whether to look at everything again: what cannot be deleted may hold what somebody has just made."""
        now = self.lab.clock.now()
        still = now - self.remains.changed_at
        return self.remains.is_in_use() and self.only is None and now - self.surveyed >= max(RESEND, still)

    def _survey_again(self) -> None:
        self.surveyed = self.lab.clock.now()
        seen = survey(self.lab, self.steps, to_delete=True)
        removed, known = self.remains.removed, self.remains.resources
        removed.left = {key: error for key, error in removed.left.items() if key in known}
        self._take(seen)

    def _observe(self) -> None:
        keys = self.remains.to_be_read()
        look = look_at(self.lab, self.remains.resources, self.remains.standing(keys))
        answers = in_parallel(keys, look.found)
        self.outage.note(answers)
        self.remains.read(keys)
        for key, answer in zip(keys, answers, strict=True):
            if isinstance(answer, PlabError):
                self.remains.cannot_look(key, answer, patient=not self.outage.is_too_long())
            elif answer:
                self.remains.there(key, answer)
            elif self.remains.found[key] or not self.lab.is_fresh(self.remains.resources[key]):
                self.remains.gone(key)

    # What can be done about it.

    def _delete(self, due: list[str]) -> bool:
        """Start every deletion that is due, one call per kind and account; whether any of them took effect."""
        groups: dict[tuple[int, str], list[str]] = {}
        for key in due:
            account = self.lab.account(self.remains.resources[key].party)
            groups.setdefault((id(self.remains.resources[key].delete), account.id), []).append(key)
        self.remains.started(due)
        self.tried.update(due)
        results = in_parallel(list(groups.values()), self._delete_kind)
        took = [self._record(keys, result) for keys, result in zip(groups.values(), results, strict=True)]
        return any(took)

    def _delete_kind(self, keys: list[str]) -> Mapping[str, AwsError]:
        resource = self.remains.resources[keys[0]]
        ids = tuple(id_ for key in keys for id_ in self.remains.living(key))
        return resource.delete(self.lab.account(resource.party), ids) if resource.delete else {}

    def _record(self, keys: list[str], result: Mapping[str, AwsError] | PlabError) -> bool:
        """Read AWS's refusals; one that names none of our ids counts for all of them."""
        ours = {id_ for key in keys for id_ in self.remains.living(key)}
        nameless = [] if isinstance(result, PlabError) else [e for id_, e in result.items() if id_ not in ours]
        took = False
        for key in keys:
            ids = self.remains.living(key)
            errors = [result] if isinstance(result, PlabError) else [result[id_] for id_ in ids if id_ in result]
            took |= self._record_one(key, errors or nameless)
        return took

    def _record_one(self, key: str, errors: Sequence[PlabError]) -> bool:
        errors = [error for error in errors if not (isinstance(error, AwsError) and waits.is_gone(error))]
        if not errors:
            self.remains.sent(key)
            return True
        error = errors[0]
        if isinstance(error, AwsError) and waits.is_in_use(error):
            self.remains.refused(key, error.code)
        else:
            self.remains.leave(key, error)
        return False
