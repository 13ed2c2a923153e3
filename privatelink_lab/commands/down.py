"""`plab down`: delete the whole lab, after consent and with a receipt."""

from __future__ import annotations

from collections import Counter

from privatelink_lab import engine
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.accept_reject import connections
from privatelink_lab.commands.consent import consents_to_delete_service
from privatelink_lab.commands.receipt import delete, existing_keys
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.engine import Survey
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS


def down(options: Options, *, force: bool, adopt: bool, ask: Ask) -> int:
    """Delete the lab; see `plab down --help`."""
    with Execution(options, deletes=True) as execution:
        seen = engine.survey(execution.lab, STEPS, to_delete=True)
        engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=adopt)
        if adopt:
            engine.put_tags_back(execution.lab, seen)
        if execution.lab.only_since or execution.lab.adopted:
            seen = engine.survey(execution.lab, STEPS, to_delete=True)  # only what is this maker's own
        existing = existing_keys(seen)
        if existing and not _consents(execution, seen, existing, force=force, ask=ask):
            execution.screen.say("Nothing was changed.")
            return execution.finish(json_report.removed(execution.lab, engine.Removed()), 1)
        receipt, result = delete(execution, seen)
        for line in _what_stays(execution.lab):
            execution.screen.say(line)
        return execution.finish(result, receipt.exit_code, receipt.left)


def _what_stays(lab: Lab) -> list[str]:
    """What was there before the lab, and is there after it."""
    provider = lab.config.provider
    if provider.nlb:
        return [f"{provider.nlb} was there before the lab, and stays."]
    if not provider.service.id:
        return []
    open_ = [row.endpoint for row in connections(lab) if row.open]
    stay = f", with its connections: {', '.join(open_)}" if open_ else ""
    return [f"{provider.service.id} was there before the lab, and stays{stay}."]


def _consents(execution: Execution, seen: Survey, keys: list[str], *, force: bool, ask: Ask) -> bool:
    if not consents_to_delete_service(execution, seen, "plab down --force", force=force, ask=ask):
        return False
    if execution.session.options.yes:
        return True
    counts = Counter(seen.resources[key].type.noun for key in keys for _ in seen.found[key])
    execution.screen.warn(f"This deletes {json_report.counted(counts)} in {json_report.place(execution.lab)}.")
    return ask("Delete all of this?")
