"""From options to a lab: its config, its state, and the AWS that it lives on.

Local is an address, not a mode: only this file and the `plab local` commands know that a server can be started here.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from privatelink_lab import aws, config, expiry, lock, state
from privatelink_lab.clock import Clock, RealClock
from privatelink_lab.commands import Options
from privatelink_lab.config import Config
from privatelink_lab.errors import Interrupted, PlabError, StateError, UsageError
from privatelink_lab.events import Finished, Started
from privatelink_lab.lab import Lab
from privatelink_lab.state import FOLDER, Party, Place, State
from privatelink_lab.timeline import Timeline
from privatelink_lab.ui.output import Screen

if TYPE_CHECKING:
    from privatelink_lab.local.control_client import LocalServer

LOCAL_STEP = "local AWS"


class NoLab(Exception):
    """The local AWS of the lab is gone, so nothing of the lab is left; the argument is the lab's name. No error."""


@dataclass
class Session:
    """The lab of one command: its config, its state, and the AWS that it lives on."""

    options: Options
    screen: Screen
    folder: Path
    config: Config
    state: State
    has_config: bool = True  # False: the defaults, because the lab is or was on a local AWS
    clock: Clock = field(default_factory=RealClock)
    address: aws.Address | None = None
    server: LocalServer | None = None
    started_server: bool = False

    @property
    def url(self) -> str:
        """The URL of the local AWS, or of AWS_ENDPOINT_URL; '' for AWS itself."""
        return self.address.url if self.address else os.environ.get("AWS_ENDPOINT_URL", "")

    def lab(self) -> Lab:
        """The lab, before any call to AWS."""
        lab = Lab(self.config, self.state, self._connect, self.clock, self.screen.show, has_gone=self._has_gone)
        lab.speed = self._speed
        return lab

    @property
    def _speed(self) -> float:
        return (self.server.speed or math.inf) if self.server else 1.0

    def _has_gone(self) -> bool:
        """Whether the local AWS of this command has ended since."""
        return self.server is not None and self.server.has_ended()

    def _connect(self, party: Party) -> aws.Account:
        return aws.connect(
            profile=party.profile, role_arn=party.role_arn, region=self.config.region, address=self.address
        )

    # Where the lab lives.

    def choose_aws(self, *, start: bool, writes: bool) -> None:
        """Choose AWS or the local AWS, and start the latter when `start` and --local ask for it.

        Raises UsageError when the lab lives elsewhere than the options say, NoLab when its local AWS is gone.
        """
        was_local = bool(self.state.place and self.state.place.server) or self._was_on_this_server()
        if start and was_local and not self.options.local:
            raise UsageError(
                f"The lab {self.config.lab!r} lives on the local AWS; a bare `plab up` would build it on AWS.",
                hint="Continue there: plab up --local. Or remove it: plab down",
            )
        if not (self.state.place or was_local or self.options.local or "AWS_ENDPOINT_URL" in os.environ):
            self._refuse_unclear_aws(start=start)
        if self.options.local and self.state.place and not was_local:
            raise UsageError(
                f"The lab {self.config.lab!r} lives in {self.state.place.name}, not on the local AWS.",
                hint="Leave --local out, or choose another `lab:` name for a local one."
                if start
                else "This command is for a lab that `plab up --local` made in this folder.",
            )
        if self.options.local or was_local:
            self._use_local(start=start, writes=writes)

    def _was_on_this_server(self) -> bool:
        """Whether the last lab of this name was deleted from the local AWS that runs here now."""
        last = None if self.state.place else state.last_place(self.folder, self.config.lab)
        if not (last and last.server) or not _runs_locally(self.folder):
            return False
        from privatelink_lab.local import control_client

        now = control_client.running(self.folder / FOLDER)
        return bool(now and now.token == last.server)

    def _refuse_unclear_aws(self, *, start: bool) -> None:
        """Raise UsageError or NoLab where a lab without a known place may be on a local AWS, and not on AWS."""
        if _runs_locally(self.folder):
            raise UsageError(
                f"A local AWS runs in this folder, and it is not clear whether the lab {self.config.lab!r} is on it.",
                hint=f"For a lab on it: plab {self.options.command} --local. For a lab on AWS: use another folder.",
            )
        if not self.has_config:
            raise _no_config() if start else NoLab(self.config.lab)

    def _use_local(self, *, start: bool, writes: bool) -> None:
        from privatelink_lab.local import control_client

        if start:
            self._start()
        else:
            self.server = control_client.running(self.folder / FOLDER)
        place = self.state.place
        if place and place.server and (not self.server or place.server != self.server.token):
            self.state.forget(on_disk=writes)
        if not self.server:
            raise NoLab(self.config.lab)
        self.address = aws.Address(self.server.url, self.server.access_key_id, self.server.secret_access_key)

    def _start(self) -> None:
        from privatelink_lab.local import control_client, launch

        self.server = control_client.running(self.folder / FOLDER)
        if self.server:
            return
        self.screen.show(Started("local", LOCAL_STEP, "start"))
        try:
            options = control_client.ServerOptions(by_up=True)
            self.server, self.started_server = launch.start(self.folder / FOLDER, options)
        except KeyboardInterrupt:
            raise Interrupted("Stopped while the local AWS was starting.", hint="plab up --local") from None
        self.screen.show(Finished("local", LOCAL_STEP, self.server.url, "ready", "started"))

    def resolve_place(self, lab: Lab) -> Place:
        """Ask AWS for the account of the credentials, and return where the lab lives.

        Raises StateError for a lab whose state is of another account, region or server.
        """
        before, lab.speed = self.state.place, self._speed
        token = self.server.token if self.server else None
        now = lab.place(server=token, folder=str(self.folder.absolute()))
        if before and not before.same_as(now):
            raise StateError(
                f"The state of lab {self.config.lab!r} is of {before.name}; these credentials are of {now.name}.",
                hint="Use the earlier credentials and region, or another `lab:` name.",
            )
        self.state.place = now
        lab.refuse_moved_parties()
        self.screen.say(self._where(lab))
        return now

    def _where(self, lab: Lab) -> str:
        if self.server:
            return f"lab {self.config.lab} on the {self.account_in_words(lab)}"
        place = self.account_in_words(lab)
        if self.options.lab:
            return f"lab {self.config.lab}, by its tags in {place}; of other accounts only those that the state names"
        return f"lab {self.config.lab} in {place}"

    def account_in_words(self, lab: Lab) -> str:
        """Which AWS answers: `account ID, REGION, as ARN`, or `local AWS (FOLDER), REGION, PACE`."""
        if self.server:
            return f"local AWS ({self.folder.absolute()}), {lab.provider.region}, {self.server.pace}"
        at = f" at {lab.provider.endpoint}" if lab.provider.endpoint else ""
        return f"account {lab.provider.id}, {lab.provider.region}, as {lab.provider.arn}{at}"

    def of_region(self, region: str) -> Session:
        """The same credentials in another Region."""
        return replace(self, config=self.config.model_copy(update={"region": region}))

    def of_lab(self, name: str, place: Place, *, is_elsewhere: bool) -> Session:
        """The session of a lab that was found by its tags.

        It has the config where that is the lab's own, else the config's credentials and the name; and the state of
        this folder where it is of that place. `is_elsewhere`: in another Region than the config or the environment
        names. Raises UsageError for what no lab can be called, StateError for a state that cannot be read.
        """
        is_own = name == self.config.lab and not is_elsewhere
        found, options = self.config, replace(self.options, region=place.region if is_elsewhere else None)
        if not is_own:
            named, mine = config.of_name(name), self.config.provider
            provider = named.provider.model_copy(update={"profile": mine.profile, "role_arn": mine.role_arn})
            found = named.model_copy(update={"region": place.region, "provider": provider})
            options = replace(options, config=None, lab=name)
        kept = state.load(self.folder, name)
        if not (kept.place and kept.place.same_as(place)):
            kept = State(name)
        return replace(self, options=options, config=found, state=kept, clock=RealClock())

    def refuse_without_traffic(self) -> None:
        """Raise PlabError when the lab lives on a local AWS that carries no packets."""
        if self.server is None:
            return
        from privatelink_lab.local import control_client

        why_not = control_client.about(self.server)["why_not"]
        if why_not:
            raise PlabError(f"The local AWS carries no traffic. {why_not}", hint="plab local status")

    def stop_server_if_idle(self, *, tell: bool) -> None:
        """Stop the local AWS if `plab up` started it and nothing is left in it; `tell`: say why it goes on."""
        if not self.server:
            return
        from privatelink_lab.local import control_client, launch

        left = control_client.about(self.server)["resources"]
        at_work = lock.others_at_work(self.folder, self.config.lab)
        if self.server.by_up and not left and not at_work:
            launch.stop(self.folder / FOLDER)
            self.screen.say("The local AWS is stopped, because nothing is left in it.")
        elif tell:
            why = "another plab works on it" if at_work else "`plab local start` started it"
            why = f"{left} other resources are in it" if left else why
            self.screen.say(f"The local AWS goes on, because {why}. It ends with: plab local stop")


def open_session(options: Options, screen: Screen) -> Session:
    """Load the config and the state that the options point at; no call goes out.

    Without a config file, --local and a lab on the local AWS use the defaults. With --lab only the lab's name is known.
    """
    file, loaded = config_file(options), _config(options)
    if loaded is None:
        raise _no_config()
    has_config = bool(options.lab or options.config or file.exists())
    kept = state.load(file.parent, loaded.lab)
    if options.lab:  # the state knows its Region; else the environment says it, also for a local AWS
        loaded = loaded.model_copy(update={"region": kept.place.region if kept.place else options.region})
    return Session(options, screen, file.parent, loaded, kept, has_config)


def open_account(options: Options, screen: Screen) -> Session:
    """The account and Region of the config or else of the environment, and no lab; a local AWS that runs here is meant.

    Raises NoLab when --local is given and none runs.
    """
    file = config_file(options)
    has_file = bool(options.config) or file.exists()
    found = config.load(file, aws.known_regions()) if has_file else config.of_name(config.DEFAULT_LAB)
    options = replace(options, local=options.local or _runs_locally(file.parent))
    session = Session(options, screen, file.parent, found, State(found.lab))
    session.choose_aws(start=False, writes=False)
    return session


def _no_config() -> UsageError:
    return UsageError(
        f"There is no config file {config.DEFAULT_FILE}.",
        hint="Write one with `plab init`, or go to the folder of your lab. Without an account: plab up --local",
    )


def is_local(options: Options) -> bool:
    """Whether what the options point at is on a local AWS: they say so, or one runs beside the config."""
    folder = config_file(options).parent
    if options.local or _runs_locally(folder):
        return True
    with suppress(PlabError):
        last = state.last_place(folder, lab_name(options))
        return bool(last and last.server) and not state.load(folder, lab_name(options)).place
    return False


def has_lab(options: Options) -> bool:
    """Whether the options point at a lab: by a config, or on a local AWS."""
    return _config(options) is not None


def has_expired(options: Options) -> bool:
    """Whether the end of the lab has come, by its state here."""
    with suppress(PlabError):
        end = state.load(config_file(options).parent, lab_name(options)).expires
        return expiry.is_past(end, datetime.now(UTC))
    return False


def lab_name(options: Options) -> str:
    """The lab's name by the config; without a config it is the default lab."""
    return (_config(options) or config.default_config()).lab


def last_run(options: Options) -> tuple[str, Timeline | None]:
    """The lab's name, and the timeline of its last run that changed something. No call goes out."""
    lab, folder = lab_name(options), config_file(options).parent
    return lab, state.load(folder, lab).timeline or state.last_timeline(folder, lab)


def config_file(options: Options) -> Path:
    """The config that the options point at, whether it is there or not."""
    return options.config or Path(config.DEFAULT_FILE)


def _config(options: Options) -> Config | None:
    """The config that the options point at; None without a file, unless the lab is on a local AWS."""
    path = config_file(options)
    if options.lab:
        return config.of_name(options.lab)
    if options.config or path.exists():
        return config.load(path, aws.known_regions())
    return config.default_config() if options.local or _lives_locally(path.parent) else None


def _lives_locally(folder: Path) -> bool:
    """Whether the default lab is on a local AWS, or was there when it was deleted."""
    place = state.load(folder, config.DEFAULT_LAB).place or state.last_place(folder, config.DEFAULT_LAB)
    return bool(place and place.server) or _runs_locally(folder)


def _runs_locally(folder: Path) -> bool:
    from privatelink_lab.local import control_client

    return control_client.may_run(folder / FOLDER)
