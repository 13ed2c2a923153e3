"""`plab up --prune`: remove what the config no longer names: permissions first, then connections, then resources."""

from __future__ import annotations

from collections.abc import Mapping

from privatelink_lab import engine
from privatelink_lab.commands import surplus
from privatelink_lab.commands.consent import consents_to_cut
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.commands.surplus import Surplus
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._permissions import PERMISSIONS
from privatelink_lab.steps.acceptance import FOREIGN, REVOCATION
from privatelink_lab.steps.endpoint_service import KEY as SERVICE


def prune(execution: Execution, *, adopt: bool, force: bool, ask: Ask) -> Mapping[str, PlabError] | None:
    """Remove the surplus, once it is listed; returns what could not be removed and why, or None without consent."""
    lab = execution.lab
    engine.check(lab, STEPS)
    seen = engine.survey(lab, STEPS)
    engine.claim_or_refuse(lab, seen.snapshot, adopt=adopt)
    if lab.only_since:
        seen = engine.survey(lab, STEPS)  # only what is this maker's own
    goes = of(execution, seen)
    if not goes:
        execution.screen.say("Nothing is to be pruned.")
        return {}
    lab.begin()  # a lab that has expired is refused before anything goes
    for line in _what_goes(seen, goes):
        execution.screen.warn(line)
    cut = [Found(row.endpoint, Phase.READY, row.state, {"owner": row.owner}) for row in goes.connections]
    text = f"This cuts connections of accounts that the config does not name: {len(cut)}."
    if not consents_to_cut(execution, cut, text, f"{surplus.COMMAND} --force", force=force, ask=ask):
        return None
    if not execution.session.options.yes and not ask("Remove all of this?"):
        return None
    left = _cut(lab, seen) if lab.pruned else {}
    return left if left or not goes.keys else engine.down(lab, STEPS, seen, only=set(goes.keys)).left


def of(execution: Execution, seen: Survey) -> Surplus:
    """What a survey shows as surplus; from now on the lab's permissions and connections are judged without it.

    Names what could not be seen, and stays therefore. Raises PlabError where AWS does not show who may ask.
    """
    lab = execution.lab
    for error in (seen.errors[key] for key in (PERMISSIONS, FOREIGN) if key in seen.errors):
        raise error
    for party, error in lab.accounts()[1].items():
        if lab.names(party):
            text = f"The account of {party} is unknown, so no permission and no connection is pruned"
            execution.screen.warn(f"{text}: {error}")
    if seen.unseen:
        first = next(iter(seen.unseen.values()))
        execution.screen.warn(f"Could not be read, and stays: {surplus.few(list(seen.unseen))}. {first}")
    goes = surplus.in_survey(lab, seen)
    lab.pruned = frozenset({*goes.principals, *(row.endpoint for row in goes.connections)})
    return goes


def _what_goes(seen: Survey, goes: Surplus) -> list[str]:
    lines = [f"  {key}  {found.id}" for key in goes.keys for found in seen.found[key]]
    return [*lines, *(f"  permission of {principal}" for principal in goes.principals)]


def _cut(lab: Lab, seen: Survey) -> Mapping[str, PlabError]:
    """Take the permissions, then the connections; returns what failed."""
    planned = engine.planned(lab, STEPS)
    built = engine.create_only(lab, {key: planned[key] for key in (PERMISSIONS, REVOCATION)}, seen)
    blocked = (key for key in built.blocked if key not in built.failed)
    return built.failed or {key: PlabError(f"{key} stays, because {SERVICE} is not ready.") for key in blocked}
