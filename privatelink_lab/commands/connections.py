"""`plab accept`, `plab reject` and `plab connections`: who may reach the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from privatelink_lab import admission, report
from privatelink_lab.commands.work import Ask, Work
from privatelink_lab.errors import AwsError, UsageError
from privatelink_lab.events import Failed
from privatelink_lab.interrupts import interruptible
from privatelink_lab.session import Options
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import Connection


def accept(options: Options, *, endpoints: Sequence[str], everyone: bool, ask: Ask) -> int:
    """Admit pending connections; see `plab accept --help`."""
    with Work(options) as work:
        rows = admission.connections(work.lab, STEPS)
        rows = admission.chosen(rows, endpoints) if endpoints else [row for row in rows if row.pending]
        if not rows:
            work.screen.say("Nothing is pending.")
            return work.finish({"accepted": []}, 0)
        picked = _picked(work, rows, "Accept", named=bool(endpoints) or everyone, ask=ask)
        return _admitted(work, picked, admission.accept, "accepted")


def reject(options: Options, *, endpoints: Sequence[str], ask: Ask) -> int:
    """Refuse or cut connections; see `plab reject --help`."""
    with Work(options) as work:
        rows = admission.chosen(admission.connections(work.lab, STEPS), endpoints)
        picked = _picked(work, rows, "Reject", named=True, ask=ask)
        return _admitted(work, picked, admission.reject, "rejected")


def _picked(work: Work, rows: list[Connection], verb: str, *, named: bool, ask: Ask) -> list[Connection]:
    """What the user wants of what was listed. Nobody is admitted unseen: the list comes first."""
    for row in rows:
        work.screen.warn(f"  {_sentence(row)}")
    if named:
        ids = ", ".join(row.endpoint for row in rows)
        return rows if work.session.options.yes or ask(f"{verb} {ids}?") else []
    if work.session.options.yes:
        raise UsageError("--yes needs to know whom to admit.", hint="Name the endpoint ids, or say --all.")
    return [row for row in rows if ask(f"{verb} {row.endpoint}?")]


def _sentence(row: Connection) -> str:
    whose = f"consumer {row.consumer} of this lab" if row.consumer else "NOT a consumer of this lab"
    since = row.since.strftime("%Y-%m-%d %H:%M UTC") if row.since else "an unknown time"
    return f"{row.endpoint} of account {row.owner}: {row.state} since {since}, {whose}"


def _admitted(work: Work, rows: list[Connection], act: Callable[..., list[Failed]], participle: str) -> int:
    if not rows:
        work.screen.say("Nothing was touched.")
        return work.finish({participle: []}, 1)
    ids = ", ".join(row.endpoint for row in rows)
    try:
        with interruptible(work.lab):
            failed = act(work.lab, STEPS, rows)
    except AwsError as error:  # AWS refuses the whole call
        return work.finish({}, error.exit_code, {ids: error})
    done = [] if failed else [row.endpoint for row in rows]
    code = work.finish({participle: done}, 1 if failed else 0, {event.key: event.error for event in failed})
    if done and not work.screen.json:
        work.screen.out(f"{participle.capitalize()}: {ids}")
    return code


def connections(options: Options) -> int:
    """List who is connected; see `plab connections --help`."""
    with Work(options) as work:
        rows = admission.connections(work.lab, STEPS)
        data = report.connections(rows)
        if options.json:
            work.screen.data(data)
        elif not rows:
            work.screen.say("Nobody is connected.")
        else:
            columns = ("endpoint", "owner", "state", "consumer", "region", "since")
            table = ([str(row[c] or "-") for c in columns] for row in data["connections"])
            work.screen.table([c.upper() for c in columns], table)
        return 0
