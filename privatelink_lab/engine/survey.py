"""The survey: what the config names, and what else bears the lab's tag in every account that we know."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from privatelink_lab.aws import Account
from privatelink_lab.engine.thread_pool import in_parallel
from privatelink_lab.errors import PlabError
from privatelink_lab.kind import Kind, Rows
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Resource, Step
from privatelink_lab.snapshot import Snapshot


@dataclass(frozen=True)
class Survey:
    """What one snapshot shows: per key what was found, or why it could not be read."""

    resources: dict[str, Resource]
    found: dict[str, tuple[Found, ...]]
    errors: dict[str, PlabError]
    unseen: dict[str, PlabError]  # what may hold something of ours and could not be read
    snapshot: Snapshot

    @property
    def since(self) -> str:
        """When the lab began, by the oldest tag that was seen; '' for no lab."""
        return min((since for _, since in self.snapshot.makers()), default="")

    def existing(self) -> dict[str, tuple[Found, ...]]:
        """The keys under which something exists."""
        return {key: found for key, found in self.found.items() if found}


def planned(lab: Lab, steps: Sequence[Step]) -> dict[str, Resource]:
    """Every resource that the config names, by key, in the order of the steps."""
    return {r.key: r.in_step(step.name) for step in steps for r in step.resources(lab)}


def take_snapshot(
    lab: Lab,
    resources: Mapping[str, Resource],
    done: Mapping[str, tuple[Found, ...]] | None = None,
    *,
    to_delete: bool = False,
    fetch: Callable[[Account, Kind], Rows] | None = None,
) -> Snapshot:
    """A new snapshot; no call goes out before it is asked. Keys in `done` are taken as given."""
    return Snapshot(
        lab.config.lab,
        lab.name,
        resources,
        lambda resource, snapshot: resource.type.find(lab, snapshot, resource),
        done=done,
        counts=lab.counts,
        knows=lab.knows,
        is_first=lab.is_new and not lab.had_state,
        since=lab.state.since,
        is_provider=lambda account: account.id == lab.provider.id,
        to_delete=to_delete,
        fetch=fetch,
    )


def survey(
    lab: Lab,
    steps: Sequence[Step],
    more: Mapping[str, Resource] | None = None,
    *,
    to_delete: bool = False,
    fetch: Callable[[Account, Kind], Rows] | None = None,
) -> Survey:
    """One snapshot of what the config names, and of what else bears the lab's tag in the accounts we know.

    `more` are resources that no step plans. `to_delete` leaves out what goes with its parent. `fetch` as in Snapshot.
    """
    named = {key: r for key, r in planned(lab, steps).items() if not (to_delete and r.type.goes_with_parent)}
    named |= dict(more or {})
    snapshot = take_snapshot(lab, named, to_delete=to_delete, fetch=fetch)
    forgotten, unseen = _forgotten(lab, steps, named, snapshot)
    resources = named | forgotten
    snapshot = snapshot.with_resources(resources)
    answers = dict(zip(resources, in_parallel(list(resources), snapshot.found), strict=True))
    found = {key: answer for key, answer in answers.items() if not isinstance(answer, PlabError)}
    errors = {key: answer for key, answer in answers.items() if isinstance(answer, PlabError)}
    return Survey(resources, found, errors, unseen, snapshot)


def _forgotten(
    lab: Lab, steps: Sequence[Step], named: Mapping[str, Resource], snapshot: Snapshot
) -> tuple[dict[str, Resource], dict[str, PlabError]]:
    """What bears the lab's tag and is not in the config (a removed consumer), rebuilt from its key.

    Also what could not be read: without that, "nothing is left" would be a guess.
    """
    accounts, unreachable = lab.accounts()
    unseen = {party: error for party, error in unreachable.items() if not lab.names(party)}
    kinds = {kind for step in steps for kind in step.kinds}
    places = [(account, kind) for account in accounts for kind in kinds if _may_have(lab, account, kind)]
    rebuilt: dict[str, Resource] = {}
    accounts_of: dict[str, set[str]] = {}  # of parties that neither the config nor the state knows
    for (account, kind), keys in zip(places, in_parallel(places, lambda place: snapshot.keys(*place)), strict=True):
        if isinstance(keys, PlabError):
            unseen[_place(account, kind)] = keys
            continue
        for key in sorted(keys - named.keys()):
            resource = _rebuild(lab, steps, key)
            if resource:
                lab.remember(resource.party, account)
                rebuilt[key] = resource
                if resource.party not in lab.state.parties:
                    accounts_of.setdefault(resource.party, set()).add(account.id)
            else:
                text = f"A {kind.name} of account {account.id} bears the lab's tag with a key that plab does not know."
                unseen[key] = PlabError(text, hint="Use the plab that made it, or delete it yourself.")
    for account in accounts:
        whole = [_place(where, kind) for where, kind in places if where is account]
        if whole and unseen.keys() >= set(whole):  # its credentials are refused: one error says it all
            errors = [unseen.pop(place) for place in whole]
            unseen[f"account {account.id}"] = errors[0]
    for party, ids in accounts_of.items():
        if len(ids) > 1:  # one of them has only written tags
            rebuilt = {key: resource for key, resource in rebuilt.items() if resource.party != party}
            text = f"Accounts {' and '.join(sorted(ids))} both have resources of a consumer {party}."
            hint = f"Put {party} back into the config, with its profile or role_arn. Then: plab down"
            unseen[party] = PlabError(f"{text} plab does not know which are the lab's, and deletes none.", hint=hint)
    return no_longer_planned(lab, steps) | rebuilt, unseen  # also what has lost its tags


def no_longer_planned(lab: Lab, steps: Sequence[Step]) -> dict[str, Resource]:
    """By key: what this lab has made by its state, and the config no longer names."""
    named = planned(lab, steps)
    made = {key: _rebuild(lab, steps, key) for key in lab.state.ids if key not in named}
    return {key: resource for key, resource in made.items() if resource}


def _place(account: Account, kind: Kind) -> str:
    return f"{kind.name} of account {account.id}"


def _may_have(lab: Lab, account: Account, kind: Kind) -> bool:
    return not kind.provider_only or (account.id == lab.provider.id and not lab.config.is_customers)


def _rebuild(lab: Lab, steps: Sequence[Step], key: str) -> Resource | None:
    made = ((step, step.rebuild(lab, key)) for step in steps)
    return next((resource.in_step(step.name) for step, resource in made if resource), None)
