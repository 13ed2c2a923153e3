"""Looking: one snapshot of everything that the lab is, and everything that still bears its tag."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from privatelink_lab.aws import Account
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.look import BALANCED, CONSUMER_KINDS, KINDS, Look
from privatelink_lab.resource import Found, Resource, Step

Item = TypeVar("Item")
Result = TypeVar("Result")

WORKERS = 8


def in_parallel(items: Sequence[Item], call: Callable[[Item], Result]) -> list[Result | PlabError]:
    """`call` on every item at once, in order; a PlabError is that item's result."""

    def attempt(item: Item) -> Result | PlabError:
        try:
            return call(item)
        except PlabError as error:
            return error

    if len(items) <= 1:
        return [attempt(item) for item in items]
    return list(_pool().map(attempt, items))


@functools.cache
def _pool() -> ThreadPoolExecutor:
    """One for all looks: starting threads anew for each of them took longer than the calls. Not to be nested."""
    return ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="aws")


@dataclass(frozen=True)
class Survey:
    """What one look saw: per key what was found, or why it could not be looked at."""

    resources: dict[str, Resource]
    found: dict[str, tuple[Found, ...]]
    errors: dict[str, PlabError]
    unseen: dict[str, PlabError]  # what may hold something of ours and could not be looked at
    look: Look

    @property
    def since(self) -> str:
        """When the lab began, by the oldest tag that was seen; '' for no lab."""
        return min((since for _, since in self.look.makers()), default="")

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
    since = lab.state.since if lab.own_only else None
    return Look(
        lab.config.lab, names, resources, lambda resource, look: resource.find(lab, look), settled=settled, since=since
    )


def survey(
    lab: Lab, steps: Sequence[Step], more: Mapping[str, Resource] | None = None, *, to_delete: bool = False
) -> Survey:
    """One look at everything: what the config names, and what else bears the lab's tag in the accounts we know.

    `more` are resources that no step plans, and that are to be looked at as well. `to_delete` leaves out what goes with
    its parent.
    """
    named = {key: r for key, r in planned(lab, steps).items() if r.delete or not to_delete} | dict(more or {})
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
            else:
                message = (
                    f"A {kind} of account {account.id} bears the lab's tag with a key that this plab does not know."
                )
                unseen[key] = PlabError(message, hint="Use the plab that made it, or delete it yourself.")
    return revived, unseen


def _kinds(lab: Lab, account: Account) -> tuple[str, ...]:
    return KINDS if account.id == lab.provider.id else CONSUMER_KINDS


def _revive(lab: Lab, steps: Sequence[Step], key: str) -> Resource | None:
    made = ((step, step.revive(lab, key)) for step in steps)
    return next((resource.in_step(step.name) for step, resource in made if resource), None)
