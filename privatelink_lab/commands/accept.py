"""`plab accept`: let pending connections reach the service."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, accept_reject
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.steps.acceptance import Connection
from privatelink_lab.steps.endpoint_service import is_named


def accept(options: Options, *, endpoints: Sequence[str], everyone: bool, ask: Ask) -> int:
    """Accept pending connections; see `plab accept --help`."""
    with Execution(options) as execution:
        rows = accept_reject.connections(execution.lab)
        rows = accept_reject.named(rows, endpoints) if endpoints else [row for row in rows if row.pending]
        if not rows:
            execution.screen.say("Nothing is pending.")
            return execution.finish({"accepted": [], "skipped": {}}, 0)
        accept_reject.refuse_ended(rows)
        skipped = [row for row in rows if everyone and not endpoints and not is_named(execution.lab, row.owner)]
        for row in skipped:
            text = f"Skipped: {row.endpoint} of account {row.owner}, which the config does not name."
            execution.screen.warn(f"{text} To admit it: plab accept {row.endpoint}")
        rows = [row for row in rows if row not in skipped]
        if not rows:
            return execution.finish({"accepted": [], "skipped": _owners(skipped)}, 0)
        agreed = accept_reject.ask_about(execution, rows, "Accept", named=bool(endpoints) or everyone, ask=ask)
        more = {"skipped": _owners(skipped)}
        return accept_reject.carry_out(execution, agreed, accept_reject.accept, "accepted", more)


def _owners(rows: Sequence[Connection]) -> dict[str, str]:
    return {row.endpoint: row.owner for row in rows}
