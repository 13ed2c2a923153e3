"""How every command runs: from options to session, lock and lab, and from result or error to exit code."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any, Protocol, Self

from privatelink_lab import engine, lock, state
from privatelink_lab.clock import RealClock
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.advice import COMMAND, as_typed
from privatelink_lab.commands.lab_session import NoLab, Session, has_expired, is_local, open_session
from privatelink_lab.commands.surplus import Surplus
from privatelink_lab.errors import PlabError, Unwritable
from privatelink_lab.events import Summary
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.call_lines import CallLines
from privatelink_lab.ui.output import Screen

NO_ERRORS: Mapping[str, PlabError] = {}


class Ask(Protocol):
    """Asks the person at the terminal; raises UsageError, which names the option `instead`, where there is none."""

    def __call__(self, question: str, *, instead: str = "--yes") -> bool:
        """Whether the answer is yes."""


def execute(command: Callable[..., int], options: Options, **rest: Any) -> int:
    """Run a command and return its exit code; with --json an error becomes the summary, otherwise it is raised."""
    if options.verbose:
        logging.basicConfig(handlers=[CallLines()])
        logging.getLogger("privatelink_lab").setLevel(logging.DEBUG)
    try:
        return command(options, **rest)
    except NoLab as gone:
        return _no_lab(options, str(gone))
    except PlabError as error:
        return _fail(options, error)
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 (a defect of plab: one sentence without a traceback)
        hint = "This is a defect of plab. Run it with -v and report what it prints."
        return _fail(options, PlabError(f"{type(error).__name__}: {error}", hint=hint))


def _fail(options: Options, error: PlabError) -> int:
    if options.verbose:
        traceback.print_exc()
    if not options.json:
        error.hint = _advise(options)(error.hint)
        raise error
    Screen(json=True, advise=_advise(options)).show(Summary(options.command, error.exit_code, {}, error))
    return error.exit_code


def new_screen(options: Options) -> Screen:
    """The output of a command; the commands in what it prints get the options that this one was given."""
    return Screen(json=options.json, quiet=options.quiet, advise=_advise(options))


def _advise(options: Options) -> Callable[[str], str]:
    """What completes the commands in hints; where the lab is, is asked once, and only if a text has a command."""
    where: list[tuple[bool, bool]] = []

    def advise(text: str) -> str:
        if not COMMAND.search(text):
            return text
        where[:] = where or [(is_local(options), has_expired(options))]
        local, expired = where[0]
        return as_typed(text, options, local=local, expired=expired)

    return advise


def _no_lab(options: Options, lab: str) -> int:
    """Report that the local AWS of the lab is gone: nothing is left. Only `verify` and `shell` fail without a lab."""
    command = options.command
    code = 1 if command in {"verify", "shell", "reject"} else 0
    screen = new_screen(options)
    screen.warn("No local AWS runs in this folder, so no lab is there. Next: plab up --local")
    place: dict[str, Any] = {"lab": lab, "place": "the local AWS, which is not running"}
    if options.json and command == "status":
        empty = {"usd_per_hour": 0.0, "since": "", "usd_so_far": 0.0, "expires": None, "resources": []}
        screen.data(place | empty | Surplus().as_json())
    elif options.json and command == "connections":
        screen.data(json_report.connections([]))
    elif options.json and command == "list":
        screen.data({"labs": [], "unread": {}})
    elif options.json:
        results: dict[str, dict[str, Any]] = {
            "down": {"deleted": {}, "left": []},
            "accept": {"accepted": [], "skipped": {}},
            "reject": {"rejected": []},
            "verify": {"verified": [], "broken": {}},
            "reap": {"labs": [], "kept": {}},
        }
        screen.show(Summary(command, code, place | results.get(command, {})))
    return code


class Execution:
    """One command's session, screen, lock and lab, from its start to its end.

    `session`: of a lab that is known already. With `starts` it may start a local AWS. With `writes`, `deletes` or
    `locks` it holds the lock of the lab. A disk that refuses the lock or the state does not stop what `deletes`.
    """

    def __init__(
        self,
        options: Options,
        *,
        writes: bool = False,
        deletes: bool = False,
        starts: bool = False,
        locks: bool = False,
        session: Session | None = None,
    ) -> None:
        self.screen = new_screen(options)
        self.session: Session = open_session(options, self.screen) if session is None else session
        self.session.screen = self.screen
        self._writes, self._deletes, self._starts = writes or deletes, deletes, starts
        self._locks = self._writes or locks
        self.lab: Lab

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stop_unused_server()
            raise
        return self

    def _open(self) -> None:
        with ExitStack() as stack:  # closes what it holds if a line in here fails
            stack.callback(self.screen.close_board)
            if self._locks:
                if self.session.state.path:
                    self._enter(stack, lambda: lock.in_folder(self.session.folder, self.session.config.lab))
                    self.session.state = state.load(self.session.folder, self.session.config.lab)
                self.session.state.warn = self.screen.warn if self._deletes else None
            self.lab = self.session.lab()
            if self._starts:
                planned = [(r.step, r.key) for r in engine.planned(self.lab, STEPS).values() if r.type.made_by_plab]
                self.screen.open_board(planned)
            self.session.choose_aws(start=self._starts, writes=self._writes)
            place = self.session.resolve_place(self.lab)
            if self._locks:
                here = self.session
                self._enter(stack, lambda: lock.on_machine(place, here.url, here.config.lab, here.folder))
            self._stack = stack.pop_all()

    def _enter(self, stack: ExitStack, lock_of: Callable[[], AbstractContextManager[None]]) -> None:
        try:
            stack.enter_context(lock_of())
        except Unwritable as error:
            if not self._deletes:
                raise
            self.screen.warn(f"{error} plab goes on without it.")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._stop_unused_server()
        self._stack.close()

    def _stop_unused_server(self) -> None:
        """End the local AWS that this command has started, if it was stopped before anything was made there."""
        if self.session.started_server:
            with suppress(PlabError):
                self.session.stop_server_if_idle(tell=False)

    def resume(self) -> None:
        """After an interrupt, give the lab a new clock that can wait again, so that the command can clean up."""
        before, self.session.clock = self.lab.state, RealClock()
        self.lab = self.session.lab()
        self.lab.state = before

    def finish(self, result: dict[str, Any], exit_code: int, errors: Mapping[str, PlabError] = NO_ERRORS) -> int:
        """Close the board, show the errors that no event has shown and, with --json, close the stream of events."""
        self.screen.close_board()
        self.screen.show_errors(errors)
        if self.screen.json:
            first = next(iter(errors.values()), None)
            self.screen.show(Summary(self.session.options.command, exit_code, result, first))
        return exit_code
