"""Down: what exists and has no dependents is deleted, until a last survey shows nothing; then the receipt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from privatelink_lab.engine.outcome import Removed
from privatelink_lab.engine.ownership import delete_command, incomplete, suspects, untagged
from privatelink_lab.engine.reconcile import RESEND, Answer, Item, Run, dependents_by_key, dependents_of
from privatelink_lab.engine.survey import Survey, no_longer_planned, survey
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.events import Finished, Started
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Delete, Found, Phase, Resource, Step
from privatelink_lab.resource_key import split_key
from privatelink_lab.retry_classes import TRANSIENT, ErrorClass, classify
from privatelink_lab.snapshot import Doubt, Snapshot

AGAIN = "Run it again: plab down"
REAP_AGAIN = "Run it again: plab reap"  # who cuts nobody
ASK_AFTER = 20.0  # seconds for which AWS refuses a delete before plab asks what holds the resource
ASK_AGAIN = 60.0  # seconds until it asks again


def down(lab: Lab, steps: Sequence[Step], seen: Survey, *, only: set[str] | None = None, cuts: bool = True) -> Removed:
    """Delete everything that `seen` found, or only the keys in `only`; returns the receipt.

    What depends on a key goes before it, and a new survey at the end decides whether anything is left. What plab never
    made (foreign connections) is touched only as far as `seen` has it, and only if the run `cuts`. Raises Interrupted,
    StateError.
    """
    return _Down(lab, steps, seen, only, cuts=cuts).run()


def remove_own(lab: Lab, steps: Sequence[Step]) -> Removed:
    """Delete what this run has made, and nothing of the maker who began earlier; returns the receipt.

    Nobody has agreed to more: connections of other accounts stay, and with them what they hold.
    """
    lab.only_since = lab.state.since
    seen = survey(lab, steps, to_delete=True)
    own = {key for key, r in seen.resources.items() if r.type.made_by_plab or r.type.delete is None}
    return down(lab, steps, seen, only=own)


def remove_later(lab: Lab, steps: Sequence[Step], twice: Mapping[str, Sequence[Found]]) -> None:
    """Delete what creates of this state have made under keys that exist twice, and what they have built on it.

    `twice` has what is found under each key, the one that stays first. Raises PlabError where something is left: a
    service that has connections is not touched.
    """
    lab.only_made = True
    try:
        seen = survey(lab, steps, to_delete=True)
        keys = dependents_of(seen.resources, *twice, to_delete=True)
        if connected := connections_of(seen, keys):
            raise _stays(lab, seen, twice, f"Its endpoint service has connections: {', '.join(connected)}")
        if left := down(lab, steps, seen, only=keys).left:
            raise _stays(lab, seen, twice, " ".join(map(str, left.values())).removesuffix("."))
    finally:
        lab.only_made = False


def connections_of(seen: Survey, keys: Collection[str]) -> list[str]:
    """The ids under other parties' keys, or made by others, that one of these keys is found to serve."""
    dependents = dependents_by_key(seen.resources, to_delete=True)
    others = (
        other
        for key in sorted(keys)
        for other in dependents.get(key, ())
        if seen.found.get(key) and seen.resources[other].type.delete
        if not (seen.resources[other].type.made_by_plab and seen.resources[other].party == seen.resources[key].party)
    )
    return [row.id for other in others for row in seen.found.get(other, ())]


def _stays(lab: Lab, seen: Survey, twice: Mapping[str, Sequence[Found]], why: str) -> PlabError:
    """What to say of keys that exist twice, and of which this run cannot remove its own."""
    texts = [f"{key} exists twice: {found[0].id} was first, then {found[1].id}." for key, found in twice.items()]
    commands = [
        delete_command(kind, found[0].id, lab.account(seen.resources[key].party).region)
        for key, found in twice.items()
        if (kind := seen.resources[key].type.kind)
    ]
    text = f"{' '.join(texts)} This run deletes neither what is first nor what it has made. {why}."
    return PlabError(
        text, hint=f"If nobody needs what was first, delete it: {' && '.join(commands)} && plab up --adopt"
    )


class _Down(Run[Removed]):
    command, hint = "down", AGAIN

    def __init__(
        self, lab: Lab, steps: Sequence[Step], seen: Survey, only: set[str] | None, *, cuts: bool = True
    ) -> None:
        super().__init__(lab)
        self.steps, self.only, self.cuts = steps, only, cuts
        self.to_continue = AGAIN if cuts else REAP_AGAIN
        self.recheck_after = RESEND
        self.consented = {
            key: {row.id for row in found}
            for key, found in seen.found.items()
            if cuts or seen.resources[key].type.made_by_plab
        }
        self.deleted: dict[str, list[str]] = {}
        self.unseen: dict[str, PlabError] = {}
        self.incomplete: dict[str, str] = {}
        self.left_behind: dict[str, list[str]] = {}  # by key: what to search for once the key is gone
        self.resources: dict[str, Resource] = {}  # also what this run does not delete: something may depend on it
        self.take(seen)

    def take(self, seen: Survey) -> None:
        """Go on with what a survey shows, and with what we made so recently that it may not show it yet."""
        self.unseen = {} if self.only else seen.unseen | suspects(self.lab, seen.snapshot)
        self.incomplete = incomplete(self.lab, seen.snapshot)
        self.lab.suspects = {row.id for row in seen.snapshot.doubtful()}
        self.lab.state.record_suspects(row.id for row in seen.snapshot.doubtful() if row.doubt is Doubt.DUPLICATE)
        self.resources |= seen.resources
        self.dependents = dependents_by_key(self.resources, to_delete=True)
        self.left_behind = {}
        for resource in self.resources.values():
            for key in resource.ready_after:
                self.left_behind.setdefault(key, []).append(resource.key)
        for key, resource in self.to_delete(seen):
            self.items.setdefault(key, Item(resource, None))
        for key, item in self.items.items():
            if key in seen.errors:
                self.judge(item, seen.errors[key], seen.snapshot)
            elif found := seen.found.get(key):
                self.record_seen(item, found)
            elif self.lab.may_be_invisible(item.resource):
                self.expect_later(item)
            elif key in seen.found and item.error:  # it was given up, and is not there any more
                item.error = None
                self.record_gone(item)
        self.pace.polled([item.key for item in self.open() if item.found and not item.accepted])

    def to_delete(self, seen: Survey) -> Iterator[tuple[str, Resource]]:
        """What goes by a call of its own, and connections of other accounts.

        Where these are not cut, all that their party has stays: half of a path serves nobody.
        """
        uncut = {r.party for key, r in seen.resources.items() if not r.type.made_by_plab and seen.found.get(key)}
        for key, resource in seen.resources.items():
            stays = not self.cuts and resource.type.made_by_plab and resource.party in uncut
            if stays and seen.found.get(key) and not resource.type.goes_with_parent:
                self.unseen[key] = PlabError(f"{key} stays for the connections of other accounts.")
            if not (stays or resource.type.goes_with_parent) and (self.only is None or key in self.only):
                yield key, resource

    def open(self) -> list[Item]:
        """What exists, or may exist, and is not given up."""
        return [item for item in self.items.values() if item.phase is not None and not item.error]

    def to_read(self) -> list[Item]:
        """What is being deleted, or comes next, at its own pace; not what waits for its dependents to go."""
        return [item for item in self.open() if self.is_awaited(item) and self.pace.is_due(item.key)]

    def is_awaited(self, item: Item) -> bool:
        """Whether it may change by itself, or by the next call."""
        return item.accepted or len(item.existing) < len(item.found) or not item.found or self.is_free(item)

    def is_free(self, item: Item) -> bool:
        """Whether it exists, and no dependent that still exists has to go first."""
        return bool(item.existing) and not self.is_held(item.key)

    def is_held(self, key: str) -> bool:
        """Whether a dependent still exists, directly or behind one that is gone already."""
        return any(self.holds(other, key) for other in self.dependents.get(key, ()))

    def holds(self, other: str, key: str) -> bool:
        """Whether AWS refuses to delete `key` because of `other`, which depends on it."""
        item = self.items.get(other)
        if item is None or item.phase is None or item.unread:
            return self.is_held(other)
        return not (item.found and not item.existing and key in item.resource.unblocks_while_deleting)

    def recheck(self) -> None:
        """Survey again while AWS refuses a delete: another person may have made something in it."""
        refused = any(item.refused_since is not None and self.is_free(item) for item in self.items.values())
        if refused and self.only is None:
            self.recheck_after *= 2  # the longer nothing goes, the less often; RESEND again once something does
            self.take(survey(self.lab, self.steps, to_delete=True))

    def pause(self) -> float:
        """Seconds until what is awaited is due."""
        awaited = [item for item in self.open() if self.is_awaited(item)]
        retries = [item.not_before - self.now for item in awaited if item.refused_since is not None]
        return max(0.0, min([self.pace.pause(item.key for item in awaited), *retries]))

    # What a snapshot means.

    def judge(self, item: Item, answer: Answer, snapshot: Snapshot) -> None:
        """It exists, or is gone; no answer is no failure for a while."""
        meaning = classify(answer)
        if isinstance(answer, AwsError) and meaning in TRANSIENT and not self.outage.is_too_long(answer):
            self.expect_later(item)
            self.wait(item, "", answer.code)
        elif meaning is ErrorClass.GONE:
            self.record_gone(item)
        elif isinstance(answer, PlabError):
            item.unread = True
            if not item.error:
                self.fail(item, self.outage.explained(answer))
        elif answer:
            self.record_seen(item, answer)
        elif item.found or not self.lab.may_be_invisible(item.resource):
            self.record_gone(item)

    def expect_later(self, item: Item) -> None:
        """Something may exist that no snapshot has shown yet."""
        item.phase = item.phase or Phase.PENDING

    def record_seen(self, item: Item, found: tuple[Found, ...]) -> None:
        """A snapshot has shown it."""
        item.phase, item.found, item.unread = found[0].phase, found, False
        item.ids.update(row.id for row in found)
        for row in found:
            if self.lab.knows(item.key, row.id, row.tags):
                self.lab.state.record_tags(row.id, row.tags)
        self.lab.state.created_at.pop(item.key, None)
        unasked = set(item.existing) - self.consented.get(item.key, set())
        if unasked and not (item.type.made_by_plab and self.cuts):
            if not item.error:
                self.fail(item, self.uncut(found, unasked))
        elif lost := next((row for row in found if row.phase is Phase.UNTAGGED), None):
            if not item.error:
                self.fail(item, untagged(item.resource, lost))
        elif not item.existing or (item.accepted and item.refused_since is None):
            item.refused_since = None
            self.timeline.begin(item.key, self.now, self.before(item))
            self.wait(item, found[0].id, found[0].detail)

    def uncut(self, found: Sequence[Found], unasked: set[str]) -> PlabError:
        """What to say of connections that nobody has agreed to cut."""
        pairs = ((row.id, row.shows.get("owner")) for row in found if row.id in unasked)
        named = sorted(" of account ".join(filter(None, pair)) for pair in pairs)
        if not self.cuts and found[0].tags:
            text = f"{', '.join(named)} appeared during this reap, so somebody is at work on the lab."
            return PlabError(text, hint="plab list")
        if not self.cuts:
            text = f"What these use stays, because nobody has agreed to cut them: {', '.join(named)}."
            return PlabError(text, hint="Tell the owner. Then: plab down --adopt --force")
        text = f"{', '.join(named)} appeared during this `down`; you have not agreed to cut it."
        return PlabError(text, hint="This shows it and asks: plab down")

    def record_gone(self, item: Item) -> None:
        """A snapshot has not shown it: if it ever existed, it is deleted."""
        item.phase, item.found, item.refused_since = None, (), None
        if not item.ids:
            return
        ids, item.ids = sorted(item.ids), set()
        counted = self.deleted.setdefault(item.type.noun, [])
        counted += [id_ for id_ in ids if id_ not in counted]  # one snapshot may miss what a later one shows again
        self.lab.state.record_gone(item.key)
        self.timeline.end(item.key, self.now, self.before(item))
        self.pace.poll_now(item.resource.depends_on)
        for key in self.left_behind.get(item.key, ()):
            if key in self.items and not self.items[key].error:
                self.expect_later(self.items[key])
        self.lab.emit(Finished(item.key, item.resource.step, ", ".join(ids), "deleted", "deleted"))

    def before(self, item: Item) -> list[str]:
        """The keys that have to go before it."""
        return [*self.dependents.get(item.key, ()), *item.resource.ready_after]

    # Deletes.

    def calls(self) -> Sequence[list[Item]]:
        """One for each kind and account: AWS takes several ids at once."""
        groups: dict[tuple[Delete, str], list[Item]] = {}
        for item in self.open():
            if (
                not item.type.delete
                or not self.is_free(item)
                or self.now < item.not_before
                or (item.key, "delete") in self.tried
            ):
                continue
            if not item.accepted and item.refused_since is None:
                item.since = self.now
                self.lab.emit(Started(item.key, item.resource.step, "delete", item.existing[0]))
            self.tried.add((item.key, "delete"))
            self.timeline.begin(item.key, self.now, self.before(item))
            account = self.lab.account(item.resource.party)
            groups.setdefault((item.type.delete, account.id), []).append(item)
        return list(groups.values())

    def act(self, snapshot: Snapshot) -> bool:
        """Delete what can go; when nothing can, say what is in the way."""
        if any(self.is_awaited(item) for item in self.open()):
            return super().act(snapshot)
        left = {key for key, item in self.items.items() if item.error}
        for item in self.open():
            blockers = ", ".join(sorted(dependents_of(self.resources, item.key) & left))
            self.fail(item, PlabError(f"{item.key} stays, because {blockers} could not be deleted."))
        return True

    def send(self, items: list[Item], snapshot: Snapshot) -> Mapping[str, AwsError]:
        """Delete several ids in one call; returns AWS's refusals by id."""
        delete, party = items[0].type.delete, items[0].resource.party
        ids = tuple(id_ for item in items for id_ in item.existing)
        return delete(self.lab.account(party), ids) if delete else {}

    def record(self, items: list[Item], answer: object) -> bool:
        """Take in the refusals: one that names none of our ids counts for all of them."""
        refusals: Mapping[str, PlabError] = answer if isinstance(answer, Mapping) else {}
        ours = {id_ for item in items for id_ in item.existing}
        of_all = [error for id_, error in refusals.items() if id_ not in ours]
        progress = False
        for item in items:
            errors = (
                [answer] if isinstance(answer, PlabError) else [refusals[i] for i in item.existing if i in refusals]
            )
            progress |= self.record_one(item, errors or of_all)
        return progress

    def record_one(self, item: Item, errors: Sequence[PlabError]) -> bool:
        """AWS has accepted the delete, something is still in the way, or the resource is left."""
        error = next((e for e in errors if classify(e) is not ErrorClass.GONE), None)
        if error is None:
            item.accepted, item.refused_since, item.not_before = True, None, self.now + RESEND
            self.lab.deleting.add(item.key)
            self.recheck_after = RESEND
            self.pace.poll_now([item.key])
        elif self.outage.is_too_long(error):
            self.fail(item, self.outage.explained(error))
        elif isinstance(error, AwsError) and classify(error) in TRANSIENT | {ErrorClass.IN_USE}:
            self.postpone(item)
            if classify(error) is not ErrorClass.IN_USE or not self.is_held_by_others(item, error):
                self.wait(item, item.existing[0], f"{error.code}: {item.held}" if item.held else error.code)
        else:
            self.fail(item, error)
        return error is None

    def is_held_by_others(self, item: Item, error: AwsError) -> bool:
        """Whether only other people's things keep AWS from deleting it; then it is left, and they are named.

        What leaves by itself is waited for. AWS is asked once it has refused for a while, and then once a minute.
        """
        since = self.now if item.refused_since is None else item.refused_since
        if item.type.holders is None or self.now - since < ASK_AFTER or self.now < item.ask_at:
            return False
        item.ask_at = self.now + ASK_AGAIN
        account, id_ = self.lab.account(item.resource.party), item.existing[0]
        ours = {*self.lab.state.ids.values(), *(i for ids in self.deleted.values() for i in ids)}
        holders = item.type.holders(
            self.lab, account, id_, ours | {i for other in self.items.values() for i in other.ids}
        )
        item.held = ", ".join(dict.fromkeys(holder.text for holder in holders))
        others = [holder for holder in holders if holder.leaves is False]
        if not others or any(holder.leaves for holder in holders):
            return False
        commands = " && ".join(dict.fromkeys(f"{holder.command} --region {account.region}" for holder in others))
        text = f"{item.key} ({id_}) is held by {item.held}: {error.message}"
        hint = f"That is not of plab. If nobody needs it: {commands} && plab down"
        failure = AwsError(text, code=error.code, operation=error.operation, request_id=error.request_id, hint=hint)
        self.fail(item, failure)
        return True

    def conclude(self) -> Removed | None:
        """The receipt, once a new survey has shown nothing new: describes may have been late at the first."""
        seen = survey(self.lab, self.steps, to_delete=True)
        self.take(seen)
        if self.open():
            return None
        self.forget_parties(seen)
        self.timeline.note(self.now, over=True)
        errors = [(key, item.error) for key, item in self.items.items() if item.error]
        errors.sort(key=lambda pair: not isinstance(pair[1], AwsError))  # AWS's refusals before what stays for them
        return Removed(self.deleted, self.unseen | dict(errors), self.incomplete)

    def forget_parties(self, seen: Survey) -> None:
        """Forget how to reach a consumer that the config no longer names, once nothing of it is left.

        Else no later run could end well without the credentials of an account that has nothing of the lab.
        """
        state = self.lab.state
        made = no_longer_planned(self.lab, self.steps)
        keys = {*seen.existing(), *seen.errors, *made, *state.create_pending, *state.lost_creates}
        kept = {split_key(key)[0] for key in keys}
        for name in [] if seen.unseen else list(state.parties):
            if name not in kept and not self.lab.names(name):
                del state.parties[name]
