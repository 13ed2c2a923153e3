"""Delete what a survey has found, and print the receipt: the same for `plab down` and `plab reap`."""

from __future__ import annotations

from typing import Any

from privatelink_lab import engine
from privatelink_lab.commands import json_report
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.engine import Survey
from privatelink_lab.errors import AccountError, AwsError
from privatelink_lab.prices import Cost
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.output import Screen

LEFT = "What is left may still cost money. Next:"


def existing_keys(seen: Survey) -> list[str]:
    """The keys of what is there and goes by a call of its own."""
    return [key for key in seen.existing() if not seen.resources[key].type.goes_with_parent]


def delete(execution: Execution, seen: Survey, *, reaps: bool = False) -> tuple[engine.Removed, dict[str, Any]]:
    """Delete what was found; returns the receipt, and as JSON. The state is archived when nothing is left.

    Who `reaps` cuts no connection of another account, and says of each receipt whose it is. Raises Interrupted,
    StateError.
    """
    lab, screen = execution.lab, execution.screen
    cost, since = json_report.cost_of(lab, seen), json_report.since_of(lab, seen)
    screen.open_board([(seen.resources[key].step, key) for key in reversed(existing_keys(seen))])
    with interruptible(lab):
        receipt = engine.down(lab, STEPS, seen, cuts=not reaps)
    result = json_report.removed(lab, receipt, cost, since)
    screen.close_board()
    screen.show_errors(receipt.left)
    for text in receipt.incomplete.values():
        screen.warn(text)
    if not screen.json:
        if reaps:
            screen.out(f"{lab.config.lab}, {json_report.place(lab)}:")
        _print(screen, receipt, result, cost, since)
    if not receipt.left:
        execution.session.stop_server_if_idle(tell=not reaps)
        execution.session.state.archive()
    return receipt, result


def _print(screen: Screen, receipt: engine.Removed, result: dict[str, Any], cost: Cost, since: str) -> None:
    screen.out(f"Deleted: {json_report.counted(result['deleted'])}.")
    left = [f"{row['key']} ({row['id']})" if row["id"] else row["key"] for row in result["left"]]
    screen.out(": ".join(filter(None, (f"Left: {len(left)}", ", ".join(left)))) + ".")
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
