"""`plab accept`: let pending connections reach the service."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, accept_reject
from privatelink_lab.commands.run_command import Ask, Execution


def accept(options: Options, *, endpoints: Sequence[str], everyone: bool, ask: Ask) -> int:
    """Accept pending connections; see `plab accept --help`."""
    with Execution(options) as execution:
        rows = accept_reject.connections(execution.lab)
        rows = accept_reject.with_ids(rows, endpoints) if endpoints else [row for row in rows if row.pending]
        if not rows:
            execution.screen.say("Nothing is pending.")
            return execution.finish({"accepted": []}, 0)
        accept_reject.refuse_ended(rows)
        agreed = accept_reject.ask_about(execution, rows, "Accept", named=bool(endpoints) or everyone, ask=ask)
        return accept_reject.carry_out(execution, agreed, accept_reject.accept, "accepted")
