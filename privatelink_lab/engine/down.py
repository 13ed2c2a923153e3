"""Down: what is there and needed by nothing is deleted, until a last survey sees nothing; then the receipt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privatelink_lab import waits
from privatelink_lab.engine.outcome import Removed
from privatelink_lab.engine.reconcile import RESEND, Answer, Item, Run
from privatelink_lab.engine.survey import Survey, survey
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.events import Finished, Started
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look
from privatelink_lab.resource import Found, Phase, Resource, Step


def down(lab: Lab, steps: Sequence[Step], seen: Survey, *, only: set[str] | None = None) -> Removed:
    """Delete everything that `seen` found, or only the keys in `only`; returns the receipt.

    What needs a key goes before it, and a fresh look at the end decides whether anything is left. What plab never made
    (foreign connections) is touched only as far as `seen` has it. Raises Interrupted, StateError.
    """
    return _Down(lab, steps, seen, only).run()


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


class _Down(Run[Removed]):
    command, recheck_after, hint = "down", RESEND, "Run plab down again."

    def __init__(self, lab: Lab, steps: Sequence[Step], seen: Survey, only: set[str] | None) -> None:
        super().__init__(lab)
        self.steps, self.only = steps, only
        self.consented = {key: {one.id for one in found} for key, found in seen.found.items()}
        self.deleted: dict[str, list[str]] = {}
        self.unseen: dict[str, PlabError] = {}
        self.resources: dict[str, Resource] = {}  # also what cannot be deleted by itself: something may stand on it
        self.take(seen)

    def take(self, seen: Survey) -> None:
        """Go on with what a survey sees, and with what we made so recently that it may not see it yet."""
        self.unseen = {} if self.only else seen.unseen
        self.resources |= seen.resources
        for key, resource in seen.resources.items():
            if resource.delete and (self.only is None or key in self.only):
                self.items.setdefault(key, Item(resource, None))
        for key, item in self.items.items():
            if key in seen.errors:
                self.judge(item, seen.errors[key], seen.look)
            elif found := seen.found.get(key):
                self.there(item, found)
            elif self.lab.is_fresh(item.resource):
                self.expect(item)
            elif key in seen.found and item.error:  # it was given up, and is not there any more
                item.error = None
                self.gone(item)
        self.pace.looked([item.key for item in self.open() if item.found and not item.taken])

    def open(self) -> list[Item]:
        """What is there, or may be, and is not given up."""
        return [item for item in self.items.values() if item.phase is not None and not item.error]

    def to_read(self) -> list[Item]:
        """What is on its way, or next, at its own pace: not what only stands there until something else has gone."""
        return [item for item in self.open() if self.is_awaited(item) and self.pace.is_due(item.key)]

    def is_awaited(self, item: Item) -> bool:
        """Whether it may change by itself, or by our next call."""
        return item.taken or len(item.living) < len(item.found) or not item.found or self.is_free(item)

    def is_free(self, item: Item) -> bool:
        """Whether it is there, and nothing that is still there has to go first."""
        return bool(item.living) and not self.is_held(item.key)

    def is_held(self, key: str) -> bool:
        """Whether something stands on it, directly or on what is gone already."""
        return any(self.holds(other, key) for other, resource in self.resources.items() if key in resource.needs)

    def holds(self, other: str, key: str) -> bool:
        """Whether `other` stands on `key`; AWS lets some go as soon as what stands on them is leaving."""
        item = self.items.get(other)
        if item is None or item.phase is None:
            return self.is_held(other)
        return not (item.found and not item.living and key in item.resource.releases)

    def recheck(self) -> None:
        """What cannot be deleted may hold what somebody has just made."""
        refused = any(item.refused_since is not None and self.is_free(item) for item in self.items.values())
        if refused and self.only is None:
            self.take(survey(self.lab, self.steps, to_delete=True))

    def pause(self) -> float:
        """As long as nothing that is awaited is due."""
        awaited = [item for item in self.open() if self.is_awaited(item)]
        tries = [item.not_before - self.now for item in awaited if item.refused_since is not None]
        return max(0.0, min([self.pace.pause(item.key for item in awaited), *tries]))

    # What a look means.

    def judge(self, item: Item, answer: Answer, look: Look) -> None:
        """It is there, or gone; no answer is no failure for a while."""
        if isinstance(answer, AwsError) and waits.is_unanswered(answer) and not self.outage.is_too_long():
            self.expect(item)
            self.wait(item, "", answer.code)
        elif isinstance(answer, AwsError) and waits.is_gone(answer):
            self.gone(item)
        elif isinstance(answer, PlabError):
            self.fail(item, answer)
        elif answer:
            self.there(item, answer)
        elif item.found or not self.lab.is_fresh(item.resource):
            self.gone(item)

    def expect(self, item: Item) -> None:
        """Something may be there that no look has shown yet."""
        item.phase = item.phase or Phase.PENDING

    def there(self, item: Item, found: tuple[Found, ...]) -> None:
        """A look has seen it."""
        item.phase, item.found = found[0].phase, found
        item.ids.update(one.id for one in found)
        self.lab.state.born.pop(item.key, None)
        strangers = set(item.living) - self.consented.get(item.key, set())
        if item.resource.create is None and strangers:
            text = f"{', '.join(sorted(strangers))} came while the lab was going; nobody has agreed to cut it."
            self.fail(item, PlabError(text, hint="plab down shows it and asks."))
        elif not item.living or (item.taken and item.refused_since is None):
            item.refused_since = None
            self.timeline.begin(item.key, self.now, self.before(item))
            self.wait(item, found[0].id, found[0].detail)

    def gone(self, item: Item) -> None:
        """A look has not seen it: if it ever was there, it is deleted."""
        item.phase, item.found, item.refused_since = None, (), None
        if not item.ids:
            return
        ids, item.ids = sorted(item.ids), set()
        counted = self.deleted.setdefault(item.resource.noun, [])
        counted += [id_ for id_ in ids if id_ not in counted]  # one look may miss what a later one shows again
        self.lab.state.gone(item.key)
        self.timeline.end(item.key, self.now, self.before(item))
        self.pace.look_again(item.resource.needs)
        for other in self.items.values():
            if item.key in other.resource.awaits and not other.error:
                self.expect(other)
        self.lab.emit(Finished(item.key, item.resource.step, ", ".join(ids), "deleted", "deleted"))

    def before(self, item: Item) -> list[str]:
        """What had to go before it."""
        return [*(r.key for r in self.resources.values() if item.key in r.needs), *item.resource.awaits]

    # Deletes.

    def calls(self) -> Sequence[list[Item]]:
        """One for each kind and account."""
        groups: dict[tuple[int, str], list[Item]] = {}
        for item in self.open():
            if not self.is_free(item) or self.now < item.not_before or (item.key, "delete") in self.tried:
                continue
            if not item.taken and item.refused_since is None:
                item.since = self.now
                self.lab.emit(Started(item.key, item.resource.step, "delete", item.living[0]))
            self.tried.add((item.key, "delete"))
            self.timeline.begin(item.key, self.now, self.before(item))
            account = self.lab.account(item.resource.party)
            groups.setdefault((id(item.resource.delete), account.id), []).append(item)
        return list(groups.values())

    def act(self, look: Look) -> bool:
        """And when nothing will ever move, say what is in the way."""
        if any(self.is_awaited(item) for item in self.open()):
            return super().act(look)
        left = {key for key, item in self.items.items() if item.error}
        for item in self.open():
            above = ", ".join(sorted(needed_by(self.resources, item.key) & left))
            text = f"{item.key} stays, because {above} could not be deleted."
            self.fail(item, PlabError(text, hint="plab down"))
        return True

    def send(self, items: list[Item], look: Look) -> Mapping[str, AwsError]:
        """One delete of several ids; AWS's refusals by id."""
        resource = items[0].resource
        ids = tuple(id_ for item in items for id_ in item.living)
        return resource.delete(self.lab.account(resource.party), ids) if resource.delete else {}

    def record(self, items: list[Item], answer: object) -> bool:
        """A refusal that names none of our ids counts for all of them; one that is gone is none."""
        refusals: Mapping[str, PlabError] = answer if isinstance(answer, Mapping) else {}
        ours = {id_ for item in items for id_ in item.living}
        of_all = [error for id_, error in refusals.items() if id_ not in ours]
        took = False
        for item in items:
            errors = [answer] if isinstance(answer, PlabError) else [refusals[i] for i in item.living if i in refusals]
            took |= self.record_one(item, errors or of_all)
        return took

    def record_one(self, item: Item, errors: Sequence[PlabError]) -> bool:
        """AWS has taken it, something is still in it, or it stays."""
        error = next((e for e in errors if not (isinstance(e, AwsError) and waits.is_gone(e))), None)
        if error is None:
            item.taken, item.refused_since, item.not_before = True, None, self.now + RESEND
            self.pace.look_again([item.key])
        elif isinstance(error, AwsError) and waits.is_in_use(error):
            self.refuse(item)
            self.wait(item, item.living[0], error.code)
        else:
            self.fail(item, error)
        return error is None

    def conclude(self) -> Removed | None:
        """The receipt, once a fresh survey has seen nothing new: describes may have been late at the first."""
        self.take(survey(self.lab, self.steps, to_delete=True))
        if self.open():
            return None
        self.timeline.note(self.now, over=True)
        errors = {key: item.error for key, item in self.items.items() if item.error}
        return Removed(self.deleted, self.unseen | errors)
