"""`plab accept`: let pending connections reach the service."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, admission
from privatelink_lab.commands.run_command import Ask, Execution


def accept(options: Options, *, endpoints: Sequence[str], everyone: bool, ask: Ask) -> int:
    """Accept pending connections; see `plab accept --help`."""
    with Execution(options) as execution:
        rows = admission.connections(execution.lab)
        rows = admission.with_ids(rows, endpoints) if endpoints else [row for row in rows if row.pending]
        if not rows:
            execution.screen.say("Nothing is pending.")
            return execution.finish({"accepted": []}, 0)
        agreed = admission.ask_about(execution, rows, "Accept", named=bool(endpoints) or everyone, ask=ask)
        return admission.carry_out(execution, agreed, admission.accept, "accepted")
