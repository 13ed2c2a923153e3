"""`plab reject`: refuse pending connections, or cut available ones."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, accept_reject
from privatelink_lab.commands.run_command import Ask, Execution


def reject(options: Options, *, endpoints: Sequence[str], ask: Ask) -> int:
    """Reject or cut connections; see `plab reject --help`."""
    with Execution(options) as execution:
        rows = accept_reject.named(accept_reject.connections(execution.lab), endpoints)
        agreed = accept_reject.ask_about(execution, rows, "Reject", named=True, ask=ask)
        return accept_reject.carry_out(execution, agreed, accept_reject.reject, "rejected")
