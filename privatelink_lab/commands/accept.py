"""`plab accept`: let pending connections reach the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from privatelink_lab.admission import Decision, Reason
from privatelink_lab.commands import Options, accept_reject, by_rules
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.errors import UsageError
from privatelink_lab.lab import Lab
from privatelink_lab.steps._permissions import is_named
from privatelink_lab.steps.acceptance import Connection

BY_NAME = {Reason.ADMIT, Reason.MANUAL}  # what a customer's name and --all admit; anything else only its own id


def accept(
    options: Options, *, names: Sequence[str], everyone: bool, rules: bool, watch: float | None, ask: Ask
) -> int:
    """Accept pending connections; see `plab accept --help`."""
    if (rules or watch) and (names or everyone):
        raise UsageError(
            "The rules decide for all connections: name none, and leave --all out.", hint="plab accept --rules"
        )
    with Execution(options) as execution:
        accept_reject.refuse_without_service(execution.lab)
        if watch:
            return by_rules.watch(execution, watch)
        if rules:
            return by_rules.once(execution)
        found = accept_reject.connections(execution.lab)
        verdicts = by_rules.decisions(execution.lab, found)
        rows = accept_reject.named(found, names, execution.lab.config.customers) if names else found
        rows = rows if names else [row for row in rows if row.pending]
        if not rows:
            execution.screen.say("Nothing is pending.")
            return execution.finish({"accepted": [], "skipped": {}}, 0)
        _refuse_revoked(rows, verdicts, names)
        accept_reject.refuse_ended([row for row in rows if row.endpoint in names or row.consumer in names])
        skipped = [row for row in rows if _is_skipped(execution.lab, row, verdicts, names, everyone=everyone)]
        for row in skipped:
            execution.screen.warn(_why_skipped(row, verdicts.get(row.endpoint)))
        rows = [row for row in rows if row not in skipped]
        if not rows:
            return execution.finish({"accepted": [], "skipped": _owners(skipped)}, 0)
        agreed = accept_reject.ask_about(
            execution, rows, "Accept", named=bool(names) or everyone, ask=ask, verdicts=verdicts
        )
        more = {"skipped": _owners(skipped)}
        act = accept_reject.admission(execution, lambda row: _rule(verdicts.get(row.endpoint)))
        return accept_reject.carry_out(execution, agreed, act, "accepted", more)


def _is_skipped(
    lab: Lab, row: Connection, verdicts: Mapping[str, Decision], names: Sequence[str], *, everyone: bool
) -> bool:
    """Whether what was asked for does not mean this connection: its own id would."""
    verdict = verdicts.get(row.endpoint)
    if row.endpoint in names or row.consumer:
        return False
    if verdict is None or verdict.customer is None:
        return everyone and not names and not is_named(lab, row.owner)
    if names or everyone:
        return verdict.reason not in BY_NAME
    return verdict.reason is Reason.REVOKED


def _why_skipped(row: Connection, verdict: Decision | None) -> str:
    if verdict is None or verdict.customer is None:
        text = f"Skipped: {row.endpoint} of account {row.owner}, which the config does not name."
    else:
        text = f"Skipped: {row.endpoint} of account {row.owner}: {verdict.reason} ({verdict.text})."
    if not row.pending or (verdict and verdict.reason is Reason.REVOKED):
        return text
    return f"{text} To admit it: plab accept {row.endpoint}"


def _refuse_revoked(rows: Sequence[Connection], verdicts: Mapping[str, Decision], names: Sequence[str]) -> None:
    """Raise UsageError for an endpoint, named by its id, of an account whose access the config has revoked."""
    for row in rows:
        verdict = verdicts.get(row.endpoint)
        if row.endpoint in names and verdict and verdict.reason is Reason.REVOKED:
            text = f"{row.endpoint} is of account {row.owner}; {verdict.text}."
            raise UsageError(text, hint=f"The line to change in the config: customers.{verdict.customer}.access")


def _rule(verdict: Decision | None) -> str:
    if verdict and verdict.reason in BY_NAME:
        return f"customer {verdict.customer}" + (" by hand" if verdict.reason is Reason.MANUAL else "")
    return "by hand"


def _owners(rows: Sequence[Connection]) -> dict[str, str]:
    return {row.endpoint: row.owner for row in rows}
