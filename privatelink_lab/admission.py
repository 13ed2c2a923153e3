"""Admit and refuse connections by hand: `plab accept` and `plab reject`, until AWS says that it is done.

They write no state and need none: whom they are asked to admit, and what AWS says, is all they know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from privatelink_lab import engine, waits
from privatelink_lab.aws import Account
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.events import Accepted, Event, Failed, Rejected, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase, Step
from privatelink_lab.steps import acceptance
from privatelink_lab.steps.acceptance import Connection
from privatelink_lab.steps.consumer_endpoint import phase_of

TIMEOUT = 900.0  # seconds from the call until AWS says available, or rejected
STEP = acceptance.STEP.name

Send = Callable[[Account, str, Iterable[str]], None]


def connections(lab: Lab, steps: Sequence[Step]) -> list[Connection]:
    """Who is connected to the lab's service now, oldest first; [] when there is no service."""
    look = engine.look_at(lab, engine.planned(lab, steps))
    rows = acceptance.connections(lab, look)
    return sorted(rows, key=lambda c: (str(c.since), c.endpoint))


def chosen(rows: list[Connection], ids: Sequence[str]) -> list[Connection]:
    """The connections with these endpoint ids; raises UsageError for an id that is not connected."""
    by_id = {row.endpoint: row for row in rows}
    unknown = [id_ for id_ in ids if id_ not in by_id]
    if unknown:
        raise UsageError(
            f"No connection to the service has the endpoint {', '.join(unknown)}.", hint="List them: plab connections"
        )
    return [by_id[id_] for id_ in dict.fromkeys(ids)]


def accept(lab: Lab, steps: Sequence[Step], rows: list[Connection]) -> list[Failed]:
    """Admit these connections and wait until each is `available`; returns what failed.

    `pending` after acceptance is progress. One that is available already counts as done.
    """
    refused = [_cannot_accept(row) for row in rows if not row.pending and phase_of(row.state) is Phase.FAILED]
    if refused:
        raise refused[0]
    waiting = [row for row in rows if row.pending]
    return _Admission(lab, steps, rows, "available", Accepted).run(waiting, acceptance.accept, "accept")


def _cannot_accept(row: Connection) -> PlabError:
    return UsageError(
        f"{row.endpoint} is {row.state}; it cannot be accepted any more.",
        hint="Its owner must ask again with a new endpoint (in this lab: plab up --replace CONSUMER/endpoint).",
    )


def reject(lab: Lab, steps: Sequence[Step], rows: list[Connection]) -> list[Failed]:
    """Refuse or cut these connections and wait until each is `rejected`; returns what failed."""
    waiting = [row for row in rows if row.open]
    return _Admission(lab, steps, rows, "rejected", Rejected).run(waiting, acceptance.reject, "reject")


class _Admission:
    def __init__(
        self,
        lab: Lab,
        steps: Sequence[Step],
        rows: list[Connection],
        goal: str,
        done: Callable[[str, str, str | None, str], Event],
    ) -> None:
        self.lab, self.steps, self.goal, self.done = lab, steps, goal, done
        self.open = {row.endpoint: row for row in rows}
        self.failed: list[Failed] = []
        self.began = lab.clock.now()

    def run(self, waiting: list[Connection], send: Send, action: str) -> list[Failed]:
        """Send what is due, one call per service, and wait for the goal; returns what failed."""
        for service in {row.service for row in waiting}:
            rows = [row for row in waiting if row.service == service]
            for row in rows:
                self.lab.emit(Started(_key(row), STEP, action, row.endpoint))
            send(self.lab.provider, service, [row.endpoint for row in rows])
        clock = self.lab.clock
        return waits.until(self._tick, clock=clock, pause=lambda: waits.interval(clock.now() - self.began))

    def _tick(self) -> list[Failed] | None:
        self.lab.check_interrupted()
        now = {row.endpoint: row for row in connections(self.lab, self.steps)}
        for id_ in list(self.open):
            self._judge(self.open[id_], now.get(id_))
        return None if self.open else self.failed

    def _judge(self, before: Connection, row: Connection | None) -> None:
        phase = phase_of(row.state) if row else Phase.LEAVING
        if row and row.state.lower() == self.goal:
            del self.open[row.endpoint]
            self.lab.emit(self.done(row.endpoint, row.owner, row.consumer, row.state))
        elif not row or phase in {Phase.FAILED, Phase.LEAVING}:
            self._fail(before, f"{before.endpoint} is {row.state if row else 'gone'}.")
        elif self.lab.clock.now() - self.began > TIMEOUT:
            self._fail(before, f"{before.endpoint} is still {row.state} after {TIMEOUT / 60:.0f} minutes.")
        elif row.state != before.state:
            self.open[row.endpoint] = row
            self.lab.emit(Waiting(_key(row), STEP, row.endpoint, row.state))

    def _fail(self, row: Connection, message: str) -> None:
        failed = Failed(_key(row), STEP, PlabError(message, hint="plab connections"))
        del self.open[row.endpoint]
        self.failed.append(failed)
        self.lab.emit(failed)


def _key(row: Connection) -> str:
    return f"{row.consumer}/acceptance" if row.consumer else row.endpoint
