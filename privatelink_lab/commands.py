"""What each command does, between the command line and the engine: look, ask, act, report."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from typing import Any, Self

from privatelink_lab import admission, engine, prices, report, state
from privatelink_lab.config import Config
from privatelink_lab.engine import Survey
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.events import Summary
from privatelink_lab.lab import Lab
from privatelink_lab.session import LOCAL_STEP, NoLab, Options, Session, interruptible, open_session
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN, Connection
from privatelink_lab.ui.screen import Screen

Ask = Callable[[str], bool]
HOURS_PER_DAY = 24


def guarded(command: Callable[..., int], options: Options, **rest: Any) -> int:
    """Run a command; an error becomes its sentence, its hint and its exit code (and a JSON summary)."""
    if options.verbose:
        logging.basicConfig(stream=sys.stderr, format="%(message)s")
        logging.getLogger("privatelink_lab").setLevel(logging.DEBUG)
    try:
        return command(options, **rest)
    except PlabError as error:
        return _fail(command.__name__, options, error)
    except Exception as error:  # noqa: BLE001 (the last door: a defect of ours, said without a traceback)
        hint = "This is a defect of plab. Run it with -v and report what it prints."
        return _fail(command.__name__, options, PlabError(f"{type(error).__name__}: {error}", hint=hint))


def _fail(command: str, options: Options, error: PlabError) -> int:
    if options.verbose:
        traceback.print_exc()
    if not options.json:
        raise error
    Screen(json=True).tell(Summary(command, error.exit_code, {}, error))
    return error.exit_code


class _Work:
    """A session with its screen, lock and lab, for the length of one command."""

    def __init__(self, options: Options, command: str, *, writes: bool = False, starts: bool = False) -> None:
        self.screen = Screen(json=options.json, quiet=options.quiet)
        self.session: Session = open_session(options, self.screen)
        self.command, self._writes, self._starts = command, writes, starts
        self._stack = ExitStack()
        self.lab: Lab

    def __enter__(self) -> Self:
        self._stack.callback(self.screen.close_board)
        try:
            if self._writes:
                self._stack.enter_context(state.locked(self.session.folder, self.session.config.lab))
                self.session.state = state.load(self.session.folder, self.session.config.lab)
            self.lab = self.session.lab()
            if self._starts:
                self.screen.open_board(self._plan())
            self.session.find_place(start=self._starts)
            self.session.settle_place(self.lab)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _plan(self) -> list[tuple[str, str]]:
        planned = engine.planned(self.lab, STEPS).values()
        local = [(LOCAL_STEP, "local")] if self.session.options.local else []
        return [*local, *((r.step, r.key) for r in planned if r.create)]

    def finish(self, result: dict[str, Any], exit_code: int, error: PlabError | None = None) -> int:
        """Close the board and, with --json, the stream of events."""
        self.screen.close_board()
        if self.screen.json:
            self.screen.tell(Summary(self.command, exit_code, result, error))
        return exit_code


# up


def up(options: Options, *, dry_run: bool, replace: Sequence[str], adopt: bool) -> int:
    """Build, continue or repair; see `plab up --help`."""
    with _Work(options, "up", writes=True, starts=True) as work:
        if dry_run:
            return _dry_run(work)
        with interruptible(work.lab):
            if replace:
                _replace(work, replace, adopt=adopt)
            built = engine.up(work.lab, STEPS, adopt=adopt)
        result = report.built(work.lab, built)
        first = next(iter(built.failed.values()), None)
        code = work.finish(result, built.exit_code, first)
        for error in built.failed.values():
            _warn(work.screen, error)
        if not work.screen.json:
            _print_built(work.screen, work.session.config, result, ok=code == 0)
        return code


def _warn(screen: Screen, error: PlabError) -> None:
    screen.warn(f"Error: {error}")
    if error.hint:
        screen.warn(f"Hint: {error.hint}")


def _dry_run(work: _Work) -> int:
    plan = report.plan(work.lab, engine.survey(work.lab, STEPS))
    work.screen.close_board()
    if work.screen.json:
        work.screen.data(plan)
        return 0
    work.screen.table(("KEY", "ACTION", "NOW"), ((row["key"], row["action"], row["detail"]) for row in plan["plan"]))
    work.screen.out(f"Nothing was changed. It would cost {_cost(plan['usd_per_hour'])}.")
    return 0


def _replace(work: _Work, keys: Sequence[str], *, adopt: bool) -> None:
    seen = engine.survey(work.lab, STEPS)
    if not adopt:
        engine.refuse_other_owner(work.lab, seen.look)
    replaceable = [key for key, resource in seen.resources.items() if resource.create and resource.delete]
    for key in keys:
        if key not in replaceable:
            hint = f"One of: {', '.join(replaceable)}"
            raise UsageError(f"{key!r} is nothing that up can replace.", hint=hint)
    only = {after for key in keys for after in engine.needed_by(seen.resources, key)}
    if FOREIGN in only and seen.found.get(FOREIGN):
        ids = " ".join(found.id for found in seen.found[FOREIGN])
        raise PlabError(f"Connections of other accounts hold the service: {ids}.", hint=f"plab reject {ids}")
    removed = engine.down(work.lab, seen, only=only)
    for error in removed.left.values():
        raise error


def _print_built(screen: Screen, config: Config, result: dict[str, Any], *, ok: bool) -> None:
    if ok:
        screen.out(f"The lab {config.lab} is up in {result['place']}, after {result['seconds']:.0f} s.")
    if result["service_name"]:
        screen.out(f"  service    {result['service_name']}")
    for endpoint in result["endpoints"]:
        state = "" if endpoint["state"] == "available" else f"{endpoint['state']}  "
        screen.out(f"  {endpoint['consumer']:<10} {state}{endpoint['dns_name'] or ''}".rstrip())
    screen.out(f"  cost       {_cost(result['usd_per_hour'])}")
    for endpoint in result["endpoints"]:
        if endpoint["state"].lower() == "pendingacceptance":
            screen.out(f"The endpoint {endpoint['endpoint']} of {endpoint['consumer']} waits for `plab accept`.")
    screen.out(f"Next: {' | '.join(result['next'])}")


def _cost(usd_per_hour: float | None) -> str:
    if usd_per_hour is None:
        return "an unknown amount per hour (list prices are known for us-east-1 only)"
    return f"about {usd_per_hour:.4f} USD/hour on AWS ({prices.REGION} list price of {prices.PRICES_OF})"


# down


def down(options: Options, *, force: bool, adopt: bool, ask: Ask) -> int:
    """Delete it all; see `plab down --help`."""
    try:
        with _Work(options, "down", writes=True) as work:
            return _down(work, force=force, adopt=adopt, ask=ask)
    except NoLab:
        return _no_lab(options, "down")


def _down(work: _Work, *, force: bool, adopt: bool, ask: Ask) -> int:
    seen = engine.survey(work.lab, STEPS)
    if not adopt:
        engine.refuse_other_owner(work.lab, seen.look)
    existing = {key: found for key, found in seen.existing().items() if seen.resources[key].delete}
    cost = report.status(work.lab, seen)["usd_per_hour"]
    if existing and not _consents(work, seen, list(existing), force=force, ask=ask):
        work.screen.say("Nothing was touched.")
        return work.finish(report.removed(work.lab, engine.Removed(), None), 1)
    work.screen.open_board([(seen.resources[key].step, key) for key in reversed(existing)])
    with interruptible(work.lab):
        receipt = engine.down(work.lab, seen)
    result = report.removed(work.lab, receipt, cost)
    first = next(iter(receipt.left.values()), None)
    code = work.finish(result, receipt.exit_code, first)
    if not work.screen.json:
        _print_receipt(work.screen, receipt, result)
    if not receipt.left:
        work.session.stop_server_if_idle()
        work.session.state.archive()
    return code


def _consents(work: _Work, seen: Survey, keys: list[str], *, force: bool, ask: Ask) -> bool:
    foreign = seen.found.get(FOREIGN, ())
    if foreign and not force:
        _refuse_foreign(work, foreign)
    if work.session.options.yes:
        return True
    counts: dict[str, int] = {}
    for key in keys:
        noun = seen.resources[key].noun
        counts[noun] = counts.get(noun, 0) + len(seen.found[key])
    work.screen.warn(f"This deletes {_counted(counts)} in {report.place(work.lab)}.")
    return ask("Delete all of it?")


def _refuse_foreign(work: _Work, foreign: Iterable[Any]) -> None:
    rows = list(foreign)
    for found in rows:
        work.screen.warn(f"  {found.id} of account {found.shows['owner']} is {found.detail}")
    raise PlabError(
        f"{len(rows)} connections of other accounts use the service; deleting it cuts them. Nothing was touched.",
        hint="Tell their owners, then: plab down --force",
    )


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items()) or "nothing"


def _print_receipt(screen: Screen, receipt: engine.Removed, result: dict[str, Any]) -> None:
    screen.out(f"Deleted: {_counted(result['deleted'])}.")
    screen.out(f"Left: {len(receipt.left)}.")
    for key, error in receipt.left.items():
        screen.out(f"  {key}: {error}")
    if receipt.left:
        screen.out("It may still cost money. Next: plab down (again), or plab status")
    elif result["stopped_usd_per_hour"]:
        screen.out(f"No longer costs {_cost(result['stopped_usd_per_hour'])}.")


def _no_lab(options: Options, command: str) -> int:
    """The local server that held the lab is gone: nothing is left, and that is fine."""
    screen = Screen(json=options.json, quiet=options.quiet)
    screen.warn("The local AWS is not running, so everything that was in it is gone. Next: plab up --local")
    if options.json:
        empty: dict[str, Any] = {"deleted": {}, "left": []}
        screen.tell(Summary(command, 0, empty if command == "down" else {}))
    return 0


# accept, reject, connections


def accept(options: Options, *, endpoints: Sequence[str], everyone: bool, ask: Ask) -> int:
    """Admit pending connections; see `plab accept --help`."""
    try:
        with _Work(options, "accept") as work:
            rows = admission.connections(work.lab, STEPS)
            rows = admission.chosen(rows, endpoints) if endpoints else [row for row in rows if row.pending]
            if not rows:
                work.screen.say("Nothing is pending.")
                return work.finish({"accepted": []}, 0)
            picked = _picked(work, rows, "Accept", named=bool(endpoints) or everyone, ask=ask)
            return _admitted(work, picked, admission.accept, "accepted")
    except NoLab:
        return _no_lab(options, "accept")


def reject(options: Options, *, endpoints: Sequence[str], ask: Ask) -> int:
    """Refuse or cut connections; see `plab reject --help`."""
    try:
        with _Work(options, "reject") as work:
            rows = admission.chosen(admission.connections(work.lab, STEPS), endpoints)
            picked = _picked(work, rows, "Reject", named=True, ask=ask)
            return _admitted(work, picked, admission.reject, "rejected")
    except NoLab:
        return _no_lab(options, "reject")


def _picked(work: _Work, rows: list[Connection], verb: str, *, named: bool, ask: Ask) -> list[Connection]:
    """What the user wants of what was listed. Nobody is admitted unseen: the list comes first."""
    if not work.screen.quiet and not work.screen.json:
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


def _admitted(work: _Work, rows: list[Connection], act: Callable[..., list[PlabError]], participle: str) -> int:
    if not rows:
        work.screen.say("Nothing was touched.")
        return work.finish({participle: []}, 0)
    with interruptible(work.lab):
        failed = act(work.lab, STEPS, rows)
    done = [] if failed else [row.endpoint for row in rows]
    code = work.finish({participle: done}, 1 if failed else 0, failed[0] if failed else None)
    for error in failed:
        _warn(work.screen, error)
    if done and not work.screen.json:
        work.screen.out(f"{participle.capitalize()}: {', '.join(done)}")
    return code


def connections(options: Options) -> int:
    """List who is connected; see `plab connections --help`."""
    try:
        with _Work(options, "connections") as work:
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
    except NoLab:
        if options.json:
            Screen(json=True).data(report.connections([]))
            return 0
        return _no_lab(options, "connections")


# status


def status(options: Options) -> int:
    """Show what exists; see `plab status --help`."""
    try:
        with _Work(options, "status") as work:
            data = report.status(work.lab, engine.survey(work.lab, STEPS))
            if options.json:
                work.screen.data(data)
            else:
                _print_status(work.screen, data)
            return 0
    except NoLab:
        if options.json:
            lab = open_session(options, Screen(json=True)).config.lab
            empty = {"lab": lab, "place": "local AWS, not running", "usd_per_hour": 0.0, "resources": []}
            Screen(json=True).data(empty)
            return 0
        return _no_lab(options, "status")


def _print_status(screen: Screen, data: dict[str, Any]) -> None:
    rows = data["resources"]
    if all(row["phase"] == report.MISSING for row in rows):
        screen.out("There is no such lab: nothing bears its tag. Next: plab up")
        return
    screen.table(("KEY", "STATE", "DETAIL", "ID"), (_status_cells(row) for row in rows))
    screen.out(f"Cost: {_cost(data['usd_per_hour'])}.")
    hours = report.age_hours(data["since"])
    if hours is not None and hours > HOURS_PER_DAY:
        spent = "an unknown amount" if data["usd_so_far"] is None else f"about {data['usd_so_far']:.2f} USD"
        screen.out(
            f"This lab is {hours / HOURS_PER_DAY:.0f} days old and has cost {spent} so far. Done with it? plab down"
        )


def _status_cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row for a person: of an ARN only its own part, so that a line fits into a window."""
    return (row["key"], row["phase"], row["detail"], (row["id"] or "-").rpartition(":")[2])


# init, local


def write_example(path: Path, *, force: bool) -> None:
    """Write the commented example config to `path`; raises UsageError when it exists or cannot be written."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists.", hint="Choose another name, or overwrite it with --force.")
    text = resources.files("privatelink_lab").joinpath("config.example.yaml").read_text(encoding="utf-8")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def local_start(folder: Path, *, speed: float, json: bool) -> int:
    """Start the local AWS; see `plab local start --help`."""
    from privatelink_lab.local import launch

    server, started = launch.start(folder, speed)
    screen = Screen(json=json)
    screen.say(f"The local AWS {'started' if started else 'was running already'} at {server.url}. Use it with:")
    _print_server(screen, server)
    return 0


def local_stop(folder: Path) -> int:
    """Stop the local AWS; see `plab local stop --help`."""
    from privatelink_lab.local import launch

    stopped = launch.stop(folder)
    Screen().say(f"The local AWS at {stopped.url} is stopped." if stopped else "No local AWS is running here.")
    return 0


def local_status(folder: Path, *, json: bool) -> int:
    """Print how to reach the local AWS; see `plab local status --help`."""
    from privatelink_lab.local import launch

    server = launch.running(folder)
    if server is None:
        raise PlabError("No local AWS is running here.", hint="plab local start, or plab up --local")
    _print_server(Screen(json=json), server)
    return 0


def _print_server(screen: Screen, server: Any) -> None:
    if screen.json:
        keys = ("url", "pid", "speed", "access_key_id", "secret_access_key")
        screen.data({key: getattr(server, key) for key in keys})
        return
    screen.out(server.exports().rstrip())
    screen.say(f"# {server.url}, process {server.pid}, {server.speed:g} times as fast as AWS")


def local_logs(folder: Path) -> int:
    """Print the local AWS's log; see `plab local logs --help`."""
    from privatelink_lab.local import launch

    path = launch.log_path(folder)
    if not path.exists():
        raise PlabError("There is no log: no local AWS has run here.", hint="plab local start")
    Screen().out(path.read_text(encoding="utf-8", errors="replace").rstrip())
    return 0
