"""What is deleted only with consent: the list comes first, so that the person at the terminal knows what goes."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.resource import Found
from privatelink_lab.steps.acceptance import FOREIGN


def consents_to_cut(
    execution: Execution, cut: Sequence[Found], text: str, forced: str, *, force: bool, ask: Ask
) -> bool:
    """Whether the person agrees to cut other accounts' connections, which are listed; --yes alone does not agree.

    `text` says what happens to them. Raises PlabError, whose hint is the command `forced`, where --yes stands without
    --force.
    """
    for found in cut:
        consumer = found.shows.get("consumer")
        why = f"; it is {consumer}'s, and plab cannot delete it, because it cannot read the account" if consumer else ""
        execution.screen.warn(f"  {found.id} of account {found.shows['owner']} is {found.detail}{why}")
    if not cut or force:
        return True
    if execution.session.options.yes:
        raise PlabError(f"{text} Nothing was changed.", hint=f"Tell their owners, then run: {forced} -y")
    execution.screen.warn(text)
    return ask("Do their owners know? Reject all these connections?", instead="--force")


def consents_to_delete_service(execution: Execution, seen: Survey, forced: str, *, force: bool, ask: Ask) -> bool:
    """The same, where the service goes and all connections of other accounts with it."""
    cut = seen.found.get(FOREIGN, ())
    text = f"Open connections of other accounts: {len(cut)}. Deleting the service cuts them."
    return consents_to_cut(execution, cut, text, forced, force=force, ask=ask)
