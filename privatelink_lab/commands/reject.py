"""`plab reject`: refuse pending connections, or cut available ones."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, admission
from privatelink_lab.commands.run_command import Ask, Execution


def reject(options: Options, *, endpoints: Sequence[str], ask: Ask) -> int:
    """Reject or cut connections; see `plab reject --help`."""
    with Execution(options) as execution:
        rows = admission.with_ids(admission.connections(execution.lab), endpoints)
        agreed = admission.ask_about(execution, rows, "Reject", named=True, ask=ask)
        return admission.carry_out(execution, agreed, admission.reject, "rejected")
