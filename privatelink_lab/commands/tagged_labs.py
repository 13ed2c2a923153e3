"""The labs of an account by their tags, as `plab list` shows them and `plab reap` judges them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from privatelink_lab import engine, expiry
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.lab_session import Session, open_account
from privatelink_lab.engine import Survey, TaggedLabs
from privatelink_lab.errors import PlabError
from privatelink_lab.events import duration
from privatelink_lab.lab import Lab
from privatelink_lab.prices import Cost
from privatelink_lab.state import Place
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.output import Screen


@dataclass(frozen=True)
class SeenLab:
    """One lab: what a survey shows of it, and the time by AWS at which its account was read."""

    session: Session
    lab: Lab
    seen: Survey
    now: datetime

    @property
    def has_expired(self) -> bool:
        """Whether its end has come."""
        return engine.has_expired(self.lab, self.seen, self.now)

    @property
    def unread(self) -> dict[str, PlabError]:
        """What may be of this lab and could not be read, and why."""
        return self.seen.unseen | self.seen.errors

    @property
    def cost(self) -> Cost:
        """What all of it costs."""
        return json_report.cost_of(self.lab, self.seen)

    def as_json(self) -> dict[str, Any]:
        """The lab's object in `plab list --json`."""
        hours = json_report.age_hours(self.seen.since)
        existing = self.seen.existing()
        return {
            "lab": self.lab.config.lab,
            "account": self.lab.provider.id,
            "region": self.lab.provider.region,
            "makers": sorted({maker for maker, _ in self.seen.snapshot.makers()}),
            "since": self.seen.since,
            "expires": self.seen.snapshot.expires() or None,
            "expired": self.has_expired,
            "resources": sum(len(found) for key, found in existing.items() if self.seen.resources[key].type.kind),
            "usd_per_hour": self.cost.usd_per_hour,
            "usd_so_far": None if hours is None else self.cost.usd_after(hours),
            "unread": {what: str(error) for what, error in self.unread.items()},
            "suspect": {what: str(error) for what, error in self._suspects().items()},
            "incomplete": engine.incomplete(self.lab, self.seen.snapshot),
        }

    def cells(self) -> tuple[str, ...]:
        """The same as a row of a table; see COLUMNS."""
        data, hours = self.as_json(), json_report.age_hours(self.seen.since)
        end = data["expires"] or ""
        return (
            data["lab"],
            data["region"],
            ", ".join(data["makers"]) or "-",
            "-" if hours is None else duration(hours * 3600),
            "not known" if self.unread else expiry.short(end, self.now),
            self.cost.figure(),
            "-" if hours is None else self.cost.figure(hours),
        )

    def sentences(self) -> Iterator[str]:
        """What else there is to say of it."""
        for what, error in self.unread.items():
            yield f"{self.lab.config.lab}: {what} could not be read: {error}"
        for what, error in self._suspects().items():
            yield f"{self.lab.config.lab}: {what}: {error}"
        for key, ids in engine.twice(self.seen).items():
            several = f"{key} exists {len(ids)} times ({', '.join(ids)})"
            yield f"{self.lab.config.lab}: {several}; the reaper keeps the lab."
        for text in engine.incomplete(self.lab, self.seen.snapshot).values():
            yield f"{self.lab.config.lab}: {text}"

    def _suspects(self) -> dict[str, PlabError]:
        return engine.suspects(self.lab, self.seen.snapshot)


COLUMNS = ("LAB", "REGION", "MAKER", "AGE", "ENDS", "USD/HOUR", "USD SO FAR")


@dataclass(frozen=True)
class Labs:
    """All labs that an account shows, and what could not be read: a kind of resource, a Region, a name."""

    labs: list[SeenLab]
    unread: dict[str, PlabError]


def find_labs(options: Options, screen: Screen, *, all_regions: bool) -> Labs:
    """Every lab of the account and Region, or of all its Regions, by its tags. Raises AwsError, AccountError, NoLab."""
    session = open_account(options, screen)
    account = session.lab().provider
    screen.say(session.account_in_words(session.lab()))
    found = Labs([], {})
    for region in account.regions() if all_regions else [account.region]:
        _read_region(session.of_region(region), found, is_elsewhere=region != account.region)
    return found


def _read_region(session: Session, found: Labs, *, is_elsewhere: bool) -> None:
    """Add the labs of one Region to what was found."""
    of_region = session.lab()
    account = of_region.provider
    try:
        place = of_region.place(server=session.server.token if session.server else None, folder=str(session.folder))
        read = engine.tagged_labs(account, STEPS)
    except PlabError as error:
        found.unread[account.region] = error
        return
    found.unread.update({f"{kind} in {account.region}": error for kind, error in read.unread.items()})
    for name in read.names:
        try:
            own = session.of_lab(name, place, is_elsewhere=is_elsewhere)
            found.labs.append(_survey(own, read, place))
        except PlabError as error:
            found.unread[f"{name} in {account.region}"] = error


def _survey(session: Session, read: TaggedLabs, place: Place) -> SeenLab:
    lab = session.lab()
    session.state.place = place
    return SeenLab(session, lab, read.survey(lab, STEPS), read.account.now())


def print_labs(screen: Screen, labs: list[SeenLab], *, all_regions: bool) -> None:
    """A table of labs, and below it what else there is to say of them."""
    shown = [at for at, name in enumerate(COLUMNS) if all_regions or name != "REGION"]
    rows = [seen.cells() for seen in labs]
    screen.table([COLUMNS[at] for at in shown], [[row[at] for at in shown] for row in rows])
    for seen in labs:
        for text in seen.sentences():
            screen.warn(text)
