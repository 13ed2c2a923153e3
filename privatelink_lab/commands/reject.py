"""`plab reject`: refuse pending connections, or cut available ones."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab.commands import Options, accept_reject
from privatelink_lab.commands.by_rules import decisions
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.config import Customer


def reject(options: Options, *, endpoints: Sequence[str], ask: Ask) -> int:
    """Reject or cut connections; see `plab reject --help`."""
    with Execution(options) as execution:
        accept_reject.refuse_without_service(execution.lab)
        customers = execution.lab.config.customers
        found = accept_reject.connections(execution.lab)
        rows = accept_reject.named(found, endpoints, customers)
        verdicts = decisions(execution.lab, found)
        agreed = accept_reject.ask_about(execution, rows, "Reject", named=True, ask=ask, verdicts=verdicts)
        code = accept_reject.carry_out(execution, agreed, accept_reject.reject, "rejected")
        names = (verdicts[row.endpoint].customer for row in agreed if row.endpoint in verdicts)
        for name in dict.fromkeys(filter(None, names)):
            _say_the_rest(execution, name, customers[name])
        return code


def _say_the_rest(execution: Execution, name: str, customer: Customer) -> None:
    execution.screen.say(f"{name} pays for a rejected endpoint until it deletes it.")
    if customer.access == "given":
        text = f"A new endpoint of {name} can be admitted again. To keep it out, change the config: customers.{name}"
        execution.screen.say(f"{text}: access: revoked. Then: plab up")
