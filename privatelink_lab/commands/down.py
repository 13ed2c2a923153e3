"""`plab down`: delete it all, in reverse, with consent and a receipt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privatelink_lab import engine, report
from privatelink_lab.commands.work import Ask, Work, cost_words, counted
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError
from privatelink_lab.interrupts import interruptible
from privatelink_lab.resource import Found
from privatelink_lab.session import Options
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN
from privatelink_lab.ui.screen import Screen


def down(options: Options, *, force: bool, adopt: bool, ask: Ask) -> int:
    """Delete it all; see `plab down --help`."""
    with Work(options, writes=True) as work:
        return _down(work, force=force, adopt=adopt, ask=ask)


def _down(work: Work, *, force: bool, adopt: bool, ask: Ask) -> int:
    seen = engine.survey(work.lab, STEPS, to_delete=True)
    engine.know_maker(work.lab, seen.look, adopt=adopt)
    existing = {key: found for key, found in seen.existing().items() if seen.resources[key].delete}
    cost = report.cost(work.lab, seen)
    if existing and not _consents(work, seen, list(existing), force=force, ask=ask):
        work.screen.say("Nothing was touched.")
        return work.finish(report.removed(work.lab, engine.Removed(), None), 1)
    work.screen.open_board([(seen.resources[key].step, key) for key in reversed(existing)])
    with interruptible(work.lab):
        receipt = engine.down(work.lab, STEPS, seen)
    result = report.removed(work.lab, receipt, cost)
    code = work.finish(result, receipt.exit_code, receipt.left)
    if not work.screen.json:
        _print_receipt(work.screen, receipt, result)
    if not receipt.left:
        work.session.stop_server_if_idle()
        work.session.state.archive()
    return code


def _consents(work: Work, seen: Survey, keys: list[str], *, force: bool, ask: Ask) -> bool:
    foreign = seen.found.get(FOREIGN, ())
    if foreign and not force and not _consents_to_cut(work, foreign, ask):
        return False
    if work.session.options.yes:
        return True
    counts: dict[str, int] = {}
    for key in keys:
        noun = seen.resources[key].noun
        counts[noun] = counts.get(noun, 0) + len(seen.found[key])
    work.screen.warn(f"This deletes {counted(counts)} in {report.place(work.lab)}.")
    return ask("Delete all of it?")


def _consents_to_cut(work: Work, foreign: Sequence[Found], ask: Ask) -> bool:
    """Whether the person at the terminal lets go of somebody else's connections; --yes alone does not say so."""
    for found in foreign:
        work.screen.warn(f"  {found.id} of account {found.shows['owner']} is {found.detail}")
    text = f"{len(foreign)} connections of other accounts use the service; deleting it cuts them."
    if work.session.options.yes:
        raise PlabError(f"{text} Nothing was touched.", hint="Tell their owners, then: plab down --force")
    work.screen.warn(text)
    return ask("Have their owners been told? Reject them all?", instead="--force")


def _print_receipt(screen: Screen, receipt: engine.Removed, result: dict[str, Any]) -> None:
    screen.out(f"Deleted: {counted(result['deleted'])}.")
    screen.out(": ".join(filter(None, (f"Left: {len(receipt.left)}", ", ".join(receipt.left)))) + ".")
    if receipt.left:
        screen.out("It may still cost money. Next: plab down (again), or plab status")
    elif result["stopped_usd_per_hour"]:
        screen.out(f"No longer costs {cost_words(result['stopped_usd_per_hour'])}.")
