"""Accept and reject connections by hand: list them, ask, call AWS, and wait until AWS shows the new state.

Neither command writes or reads the state: the endpoint ids and what AWS shows are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from privatelink_lab import engine
from privatelink_lab.admission import Decision
from privatelink_lab.aws import Account
from privatelink_lab.clock import until
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import Ask, Execution
from privatelink_lab.config import Customer
from privatelink_lab.engine.polling import interval
from privatelink_lab.errors import AwsError, PlabError, UsageError
from privatelink_lab.events import Accepted, Decided, Failed, Rejected, Started, Waiting, duration
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import STEPS, acceptance
from privatelink_lab.steps.acceptance import Connection
from privatelink_lab.steps.consumer_endpoint import phase_of

TIMEOUT = 900.0  # seconds from the call until AWS shows available, or rejected
STEP = acceptance.STEP.name

NOTHING_MORE: Mapping[str, Any] = {}
NO_CUSTOMERS: Mapping[str, Customer] = {}
NO_VERDICTS: Mapping[str, Decision] = {}

Send = Callable[[Account, str, Iterable[str]], Mapping[str, AwsError]]  # returns the refusals by id
Act = Callable[[Lab, list[Connection]], list[Failed]]


def refuse_without_service(lab: Lab) -> None:
    """Raise UsageError where somebody else runs the service."""
    if lab.config.is_customers:
        text = f"{lab.config.provider.service_name} is somebody else's: its provider admits and rejects."
        raise UsageError(text, hint="What you tell the provider: plab status")


def connections(lab: Lab) -> list[Connection]:
    """The connections to the lab's service now, oldest first; [] when there is no service."""
    return in_snapshot(lab, snapshot_of(lab))


def snapshot_of(lab: Lab) -> Snapshot:
    """A snapshot that finds the service and the endpoints, and compares none of their attributes: that takes calls."""
    return engine.take_snapshot(lab, engine.planned(lab, STEPS), to_delete=True)


def in_snapshot(lab: Lab, snapshot: Snapshot) -> list[Connection]:
    """The same, as a snapshot shows them."""
    return sorted(acceptance.connections(lab, snapshot), key=lambda row: (str(row.since), row.endpoint))


def named(
    rows: list[Connection], names: Sequence[str], customers: Mapping[str, Customer] = NO_CUSTOMERS
) -> list[Connection]:
    """The connections of these endpoint ids, consumers and customers; raises UsageError for one that has none.

    A name means those that are open, if it has any.
    """
    accounts = {name: customers[name].accounts if name in customers else () for name in names}
    by_name = {
        name: [row for row in rows if name in {row.endpoint, row.consumer} or row.owner in accounts[name]]
        for name in names
    }
    by_name = {name: [row for row in found if row.open] or found for name, found in by_name.items()}
    unknown = [name for name, found in by_name.items() if not found]
    if unknown:
        text = f"The service has no connection of an endpoint, consumer or customer {', '.join(unknown)}."
        raise UsageError(text, hint="List them: plab connections")
    return list({row.endpoint: row for found in by_name.values() for row in found}.values())


def refuse_ended(rows: list[Connection]) -> None:
    """Raise UsageError when one of these connections can no longer be accepted."""
    for row in rows:
        if not row.pending and phase_of(row.state) is Phase.FAILED:
            key = f"{row.consumer}/endpoint" if row.consumer else ""
            hint = f"A new endpoint can ask again: plab up --replace {key}" if key else "Its owner must make a new one."
            raise UsageError(f"{row.endpoint} is {row.state}; it cannot be accepted any more.", hint=hint)


# Consent.


def ask_about(
    execution: Execution,
    rows: list[Connection],
    verb: str,
    *,
    named: bool,
    ask: Ask,
    verdicts: Mapping[str, Decision] = NO_VERDICTS,
) -> list[Connection]:
    """The connections that the user agrees to. The list comes first, so that the user sees each owner."""
    for row in rows:
        execution.screen.warn(f"  {_sentence(row, verdicts.get(row.endpoint))}")
    if named:
        ids = ", ".join(row.endpoint for row in rows)
        return rows if execution.session.options.yes or ask(f"{verb} {ids}?") else []
    if execution.session.options.yes:
        raise UsageError("--yes alone does not say which endpoints to accept.", hint="Name their ids, or use --all.")
    return [row for row in rows if ask(f"{verb} {row.endpoint}?", instead="--all --yes")]


def _sentence(row: Connection, verdict: Decision | None) -> str:
    whose = f"consumer {row.consumer} of this lab" if row.consumer else "NOT a consumer of this lab"
    if verdict and verdict.customer:
        whose = f"customer {verdict.customer}: {verdict.reason} ({verdict.text})"
    whose += ", by its tags alone: the state here does not know it" if row.consumer and row.by_tags else ""
    made = row.since.strftime("%Y-%m-%d %H:%M UTC") if row.since else "at an unknown time"
    return f"{row.endpoint} of account {row.owner}: {row.state}, made {made}, {whose}"


# Action.


def carry_out(
    execution: Execution, rows: list[Connection], act: Act, participle: str, more: Mapping[str, Any] = NOTHING_MORE
) -> int:
    """Accept or reject these connections, and report, with `more` in the summary; returns the exit code."""
    if not rows:
        execution.screen.say("Nothing was changed.")
        return execution.finish({participle: [], **more}, 1)
    try:
        with interruptible(execution.lab):
            failed = act(execution.lab, rows)
    except AwsError as error:  # AWS refuses the whole call
        return execution.finish({**more}, error.exit_code, {", ".join(row.endpoint for row in rows): error})
    errors = {event.key: event.error for event in failed}
    done = [row.endpoint for row in rows if _key(row) not in errors]
    code = execution.finish({participle: done, **more}, 1 if errors else 0, errors)
    if done and not execution.screen.json:
        execution.screen.out(f"{participle.capitalize()}: {', '.join(done)}")
        again = [f"plab up --replace {row.consumer}/endpoint" for row in rows if row.consumer]
        verify = ["plab verify"] if again else []  # a customer's own endpoint is for the customer to prove
        follows = verify if participle == "accepted" else again
        execution.screen.say(f"Next: {' | '.join([*follows, 'plab connections'])}")
    return code


def accept(lab: Lab, rows: list[Connection]) -> list[Failed]:
    """Accept these connections and wait until all are `available`; returns what failed.

    `pending` after acceptance is progress. A connection that is available already counts as done.
    """
    pending = [row for row in rows if row.pending]
    return _Admission(lab, rows, "available", Accepted).run(pending, acceptance.accept, "accept")


def reject(lab: Lab, rows: list[Connection]) -> list[Failed]:
    """Reject or cut these connections and wait until all are `rejected`; returns what failed."""
    open_rows = [row for row in rows if row.open]
    return _Admission(lab, rows, "rejected", Rejected).run(open_rows, acceptance.reject, "reject")


def send_one_by_one_if_refused(lab: Lab, rows: list[Connection], send: Send) -> Mapping[str, AwsError]:
    """Send these rows in one call, and each by itself where AWS refuses the call for one of them; refusals by id.

    Raises AwsError where a single row is refused so.
    """
    if not rows:
        return {}
    try:
        return send(lab.provider, rows[0].service, [row.endpoint for row in rows])
    except AwsError as error:
        if len(rows) == 1 or not error.code.startswith("Invalid"):
            raise
    refused: dict[str, AwsError] = {}
    for row in rows:
        try:
            refused |= send(lab.provider, row.service, [row.endpoint])
        except AwsError as error:
            refused[row.endpoint] = error
    return refused


def admission(execution: Execution, rule_of: Callable[[Connection], str]) -> Act:
    """Accept, and write down who is admitted by what rule; the lab's own consumers are plab's and need no note."""

    def act(lab: Lab, rows: list[Connection]) -> list[Failed]:
        failed = accept(lab, rows)
        bad = {event.key for event in failed}
        done = [row for row in rows if row.pending and not row.consumer and row.endpoint not in bad]
        write_down(execution, {row: rule_of(row) for row in done})
        return failed

    return act


def write_down(execution: Execution, rules: Mapping[Connection, str]) -> None:
    """Tag admitted connections, one call per rule; a refusal is a warning, because they are admitted all the same."""
    for rule in dict.fromkeys(rules.values()):
        try:
            acceptance.write_down(execution.lab.provider, [row for row in rules if rules[row] == rule], rule)
        except PlabError as error:
            execution.screen.warn(f"Who admitted them is not written down: {error}")


class _Admission:
    def __init__(self, lab: Lab, rows: list[Connection], goal: str, done: type[Decided]) -> None:
        self.lab, self.goal, self.done = lab, goal, done
        self.open = {row.endpoint: row for row in rows}
        self.refused: Mapping[str, AwsError] = {}
        self.failed: list[Failed] = []
        self.began, self.limit = lab.clock.now(), lab.of_aws(TIMEOUT)

    def run(self, rows: list[Connection], send: Send, action: str) -> list[Failed]:
        """Send these rows in one call, for the one service, and wait until all reach the goal; returns what failed.

        AWS may accept some and refuse others. A refusal may mean that it is so already, so it counts only if the next
        snapshot shows no change.
        """
        for row in rows:
            self.lab.emit(Started(_key(row), STEP, action, row.endpoint))
        self.refused = send_one_by_one_if_refused(self.lab, rows, send)
        clock = self.lab.clock
        return until(self._tick, clock=clock, pause=lambda: interval(clock.now() - self.began))

    def _tick(self) -> list[Failed] | None:
        self.lab.check_interrupted()
        now = {row.endpoint: row for row in connections(self.lab)}
        for id_ in list(self.open):
            self._judge(self.open[id_], now.get(id_))
        return None if self.open else self.failed

    def _judge(self, before: Connection, row: Connection | None) -> None:
        phase = phase_of(row.state) if row else Phase.DELETING
        if row and row.state.lower() == self.goal:
            del self.open[row.endpoint]
            self.lab.emit(self.done(row.endpoint, row.owner, row.consumer, row.state))
        elif before.endpoint in self.refused and (not row or row.state == before.state):
            self._fail(before, self.refused[before.endpoint])
        elif not row or phase in {Phase.FAILED, Phase.DELETING}:
            self._fail(before, _problem(f"{before.endpoint} is {row.state if row else 'gone'}."))
        elif self.lab.clock.now() - self.began > self.limit:
            text = f"{before.endpoint} is still {row.state} after {duration(self.limit)}."
            self._fail(before, _problem(text))
        elif row.state != before.state:
            self.open[row.endpoint] = row
            self.lab.emit(Waiting(_key(row), STEP, row.endpoint, row.state, self.limit))

    def _fail(self, row: Connection, error: PlabError) -> None:
        failed = Failed(_key(row), STEP, error)
        del self.open[row.endpoint]
        self.failed.append(failed)
        self.lab.emit(failed)


def _problem(text: str) -> PlabError:
    return PlabError(text, hint="plab connections")


def _key(row: Connection) -> str:
    return f"{row.consumer}/acceptance" if row.consumer else row.endpoint
