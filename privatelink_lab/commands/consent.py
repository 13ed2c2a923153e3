"""What is deleted only with consent: the list comes first, so that the person at the terminal knows what goes."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.resource import Found
from privatelink_lab.steps.acceptance import FOREIGN


def consents_to_cut(execution: Execution, seen: Survey, forced: str, *, force: bool, ask: Ask) -> bool:
    """Whether the person agrees to cut other accounts' connections; --yes alone does not agree.

    Raises PlabError, whose hint is the command `forced`, where --yes stands without --force.
    """
    foreign = seen.found.get(FOREIGN, ())
    return not foreign or force or _asks_to_cut(execution, foreign, forced, ask)


def _asks_to_cut(execution: Execution, foreign: Sequence[Found], forced: str, ask: Ask) -> bool:
    for found in foreign:
        execution.screen.warn(f"  {found.id} of account {found.shows['owner']} is {found.detail}")
    text = f"{len(foreign)} connections of other accounts use the service; deleting the service cuts them."
    if execution.session.options.yes:
        raise PlabError(f"{text} Nothing was changed.", hint=f"Tell their owners, then run: {forced}")
    execution.screen.warn(text)
    return ask("Do their owners know? Reject all these connections?", instead="--force")
