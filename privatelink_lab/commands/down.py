"""`plab down`: delete the whole lab, after consent and with a receipt."""

from __future__ import annotations

from collections import Counter
from typing import Any

from privatelink_lab import engine
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.consent import consents_to_cut
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.engine import Survey
from privatelink_lab.errors import AccountError, AwsError
from privatelink_lab.prices import Cost
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.output import Screen

LEFT = "What is left may still cost money. Next:"


def down(options: Options, *, force: bool, adopt: bool, ask: Ask) -> int:
    """Delete the lab; see `plab down --help`."""
    with Execution(options, deletes=True) as execution:
        seen = engine.survey(execution.lab, STEPS, to_delete=True)
        engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=adopt)
        if adopt:
            engine.put_tags_back(execution.lab, seen)
        if execution.lab.only_since or execution.lab.adopted:
            seen = engine.survey(execution.lab, STEPS, to_delete=True)  # only what is this maker's own
        existing = [key for key in seen.existing() if not seen.resources[key].type.goes_with_parent]
        cost, since = json_report.cost_of(execution.lab, seen), json_report.since_of(execution.lab, seen)
        if existing and not _consents(execution, seen, existing, force=force, ask=ask):
            execution.screen.say("Nothing was changed.")
            return execution.finish(json_report.removed(execution.lab, engine.Removed()), 1)
        execution.screen.open_board([(seen.resources[key].step, key) for key in reversed(existing)])
        with interruptible(execution.lab):
            receipt = engine.down(execution.lab, STEPS, seen)
        result = json_report.removed(execution.lab, receipt, cost, since)
        code = execution.finish(result, receipt.exit_code, receipt.left)
        for text in receipt.incomplete.values():
            execution.screen.warn(text)
        if not execution.screen.json:
            _print_receipt(execution.screen, receipt, result, cost, since)
        if not receipt.left:
            execution.session.stop_server_if_idle(tell=True)
            execution.session.state.archive()
        return code


def _consents(execution: Execution, seen: Survey, keys: list[str], *, force: bool, ask: Ask) -> bool:
    if not consents_to_cut(execution, seen, "plab down --force", force=force, ask=ask):
        return False
    if execution.session.options.yes:
        return True
    counts = Counter(seen.resources[key].type.noun for key in keys for _ in seen.found[key])
    execution.screen.warn(f"This deletes {json_report.counted(counts)} in {json_report.place(execution.lab)}.")
    return ask("Delete all of this?")


def _print_receipt(screen: Screen, receipt: engine.Removed, result: dict[str, Any], cost: Cost, since: str) -> None:
    screen.out(f"Deleted: {json_report.counted(result['deleted'])}.")
    screen.out(": ".join(filter(None, (f"Left: {len(receipt.left)}", ", ".join(receipt.left)))) + ".")
    if receipt.left:
        steps = dict.fromkeys(error.hint for error in receipt.left.values() if isinstance(error, AccountError))
        screen.out(" ".join([LEFT, *(steps or [_next(receipt)]), *(["Then plab down"] if steps else [])]))
    elif result["deleted"] and cost.usd_per_hour != 0:  # else an earlier `down` has ended what costs
        screen.out(f"It cost {cost.in_words()}.{json_report.spent(cost, since)}")


def _next(receipt: engine.Removed) -> str:
    """What can help with what is left: its hints, or the same command where AWS may answer otherwise next time."""
    hints = [error.hint for error in receipt.left.values() if error.hint]
    if any(not hint.startswith(("plab ", engine.AGAIN)) for hint in hints):
        return "what the hints above say, then plab down"
    refused = [error for error in receipt.left.values() if isinstance(error, AwsError) and not error.hint]
    return "plab status" if refused and not hints else "plab down | plab status"
