"""`plab accept --rules`: admit what the customers' lines in the config admit, once or every N seconds, and say why."""

from __future__ import annotations

from collections.abc import Iterable

from privatelink_lab.admission import Decision, decide
from privatelink_lab.commands import accept_reject
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.errors import Interrupted, PlabError, UsageError
from privatelink_lab.events import Ruled
from privatelink_lab.lab import Lab
from privatelink_lab.steps import acceptance
from privatelink_lab.steps._existing import service
from privatelink_lab.steps.acceptance import Connection

LONGEST_PAUSE = 600.0  # seconds, where AWS refuses calls for load or lets none through


def decisions(lab: Lab, rows: Iterable[Connection]) -> dict[str, Decision]:
    """What the rules say of each connection that is no consumer's of this lab, by the endpoint's id."""
    return decide(lab.config.customers, lab.provider.region, [row for row in rows if not row.consumer])


def once(execution: Execution) -> int:
    """Admit what the rules admit now, wait until it is available, and say of everything that waits why it waits.

    Exit code 0 also where some stay pending.
    """
    lab = execution.lab
    _refuse_without_customers(lab)
    rows = accept_reject.connections(lab)
    found = decisions(lab, rows)
    _tell(lab, rows, found, {})
    chosen = [row for row in rows if row.endpoint in found and found[row.endpoint].admits]
    held = {row.endpoint: found[row.endpoint].reason.value for row in _waiting(rows, found) if row not in chosen}
    more = {"held": held}
    if not chosen:
        execution.screen.say("The rules admit nothing now.")
        return execution.finish({"accepted": [], **more}, 0)
    act = accept_reject.admission(execution, lambda row: _rule_of(row, found))
    return accept_reject.carry_out(execution, chosen, act, "accepted", more)


def watch(execution: Execution, seconds: float) -> int:
    """The same every `seconds`, one line per decision, until Ctrl-C or SIGTERM; what AWS refuses is tried again."""
    lab, told, pause, total = execution.lab, dict[str, str](), seconds, list[str]()
    _refuse_without_customers(lab)
    with interruptible(lab):
        try:
            while True:
                try:
                    total += _look(execution, told)
                    pause = seconds
                except PlabError as error:
                    if isinstance(error, Interrupted):
                        raise
                    pause = min(2 * pause, max(seconds, LONGEST_PAUSE))
                    execution.screen.warn(f"{error} plab looks again in {pause:.0f} s.")
                lab.clock.sleep(pause)
                lab.check_interrupted()
        except Interrupted:
            execution.screen.say("Stopped.")
    return execution.finish({"accepted": total, "held": {}}, 0)


def _look(execution: Execution, told: dict[str, str]) -> list[str]:
    """One look: the ids that were accepted; AWS is not waited for, since the next look shows it."""
    lab = execution.lab
    rows = accept_reject.connections(lab)
    found = decisions(lab, rows)
    _tell(lab, rows, found, told)
    chosen = [row for row in rows if row.endpoint in found and found[row.endpoint].admits]
    if not chosen:
        return []
    refused = accept_reject.send_one_by_one_if_refused(lab, chosen, acceptance.accept)
    done = [row for row in chosen if row.endpoint not in refused]
    for id_, error in refused.items():
        if error.code != "InvalidState":  # another operator was first; the next look shows it
            execution.screen.warn(f"{id_}: {error}")
    for row in done:
        execution.screen.say(f"{row.endpoint} of account {row.owner} is accepted: {_rule_of(row, found)}")
    accept_reject.write_down(execution, {row: _rule_of(row, found) for row in done})
    return [row.endpoint for row in done]


def _rule_of(row: Connection, found: dict[str, Decision]) -> str:
    return f"customer {found[row.endpoint].customer}"


def _waiting(rows: Iterable[Connection], found: dict[str, Decision]) -> list[Connection]:
    return [row for row in rows if row.pending and row.endpoint in found]


def _tell(lab: Lab, rows: Iterable[Connection], found: dict[str, Decision], told: dict[str, str]) -> None:
    """One event for each decision that was not told yet."""
    for row in _waiting(rows, found):
        one = found[row.endpoint]
        if told.get(row.endpoint) != one.reason:
            told[row.endpoint] = one.reason
            lab.emit(Ruled(row.endpoint, row.owner, row.region, one.customer, one.reason.value, one.text))


def _refuse_without_customers(lab: Lab) -> None:
    if not lab.config.customers:
        text = "The config has no customers, so there are no rules."
        raise UsageError(text, hint="Add them under `customers:` in the config; docs/customers.md explains them.")
    provider = lab.config.provider
    required = service(lab)["AcceptanceRequired"] if provider.service.id else provider.service.acceptance_required
    if not required:
        raise UsageError("The service requires no acceptance: AWS admits every allowed account.")
