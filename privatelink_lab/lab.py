"""Lab: one lab's config, state, accounts, clock and events; its names and tags."""

from __future__ import annotations

import getpass
import re
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from privatelink_lab import aws, expiry, tags
from privatelink_lab.config import PROVIDER, Config
from privatelink_lab.errors import Interrupted, PlabError, UsageError
from privatelink_lab.events import Emit
from privatelink_lab.memo import Memo
from privatelink_lab.resource import Resource
from privatelink_lab.resource_key import split_key
from privatelink_lab.state import Party, Place, State

if TYPE_CHECKING:
    from privatelink_lab.aws.account import Silence
    from privatelink_lab.clock import Clock

PENDING_CREATE_PERIOD = 30.0  # seconds in which a create without an answer may still show its effect
TO_CONTINUE = "Run the same command again to continue. To remove everything: plab down"
LEAST_PERIOD = 5.0  # seconds that remain of such a period on a local AWS, however fast its clock
LEAST_TIMEOUT = 60.0  # the same of a timeout: what this machine does itself is no faster
NO_TAGS: Mapping[str, str] = {}
ONE_CREATE = (tags.KEY, tags.MAKER, tags.CREATED)  # no two resources agree in these, unless they were copied
Connect = Callable[[Party], aws.Account]


def as_tag(moment: datetime) -> str:
    """An instant as tags say it: RFC 3339 in UTC, to the millisecond, since it tells two makers apart."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def this_maker() -> str:
    """The maker on this machine: user@host, the value of `plab:maker`, in characters that AWS's tags take."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no such user in the password database, as in some containers
        user = "unknown"
    return re.sub(r"[^\w.:/=+@-]", "-", f"{user}@{socket.gethostname()}")


@dataclass
class Lab:
    """Everything that a step may ask for. Steps read it; only the engine's loop writes `state`."""

    config: Config
    state: State
    connect: Connect
    clock: Clock
    emit: Emit
    maker: str = field(default_factory=this_maker)
    speed: float = 1.0  # how many times faster than AWS its clock is; math.inf: everything at once
    ttl: str = ""  # of --ttl: it moves the lab's end
    has_gone: Callable[[], bool] = lambda: False  # whether the AWS that it lives on has ended: a local one
    explain: Callable[[], str] = lambda: ""  # what the judge of `plab why` says now
    run_cache: Memo = field(default_factory=lambda: Memo(keep_errors=False))  # zones, images, reused subnets
    interrupted: bool = False
    is_new: bool = False  # it began with this run, as far as AWS shows
    adopts: bool = False  # it goes on with what another run has made under a key of its own
    only_since: str | None = None  # leave out what another maker of the same lab has made
    only_made: bool = False  # leave out all but what a create of this state has made
    deleting: set[str] = field(default_factory=set)  # keys whose deletion AWS has accepted in this run
    given_tags: dict[str, dict[str, str]] = field(default_factory=dict)  # by key: those of the last create
    suspects: set[str] = field(default_factory=set)  # ids that bear the lab's tag and are not its own
    recognized: set[str] = field(default_factory=set)  # ids that only their tags show as the lab's own
    pruned: frozenset[str] = frozenset()  # principals, and endpoints of other accounts, that a person agreed to cut
    adopted: set[str] = field(default_factory=set)  # ids whose tags this run has put back
    had_state: bool = field(init=False)  # a lab without one knows nothing of what it has made
    _accounts: dict[Party, aws.Account] = field(default_factory=dict)
    _found_in: dict[str, aws.Account] = field(default_factory=dict)
    _parties_before: dict[str, Party] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._parties_before = dict(self.state.parties)
        self.had_state = bool(self.state.ids or self.state.create_pending or self.state.made)
        for name in (PROVIDER, *(consumer.name for consumer in self.config.consumers)):
            self.state.parties[name] = self._party(name)

    def refuse_moved_parties(self) -> None:
        """Raise UsageError when the config moves a consumer whose resources are in its old account."""
        for name, before in self._parties_before.items():
            has_things = any(split_key(key)[0] == name for key in self.state.ids)
            if before != self.state.parties[name] and has_things and self._account(before).id != self.account(name).id:
                raise UsageError(
                    f"{name} moves to another account, and what the lab made stays in {self._account(before).id}.",
                    hint=f"Put its profile and role_arn back, run plab down, then change them (or rename {name}).",
                )

    # Accounts.

    @property
    def provider(self) -> aws.Account:
        """The provider's account."""
        return self.account(PROVIDER)

    def account(self, party: str) -> aws.Account:
        """The account of `provider` or of a consumer, also of one that only the state or a tag still knows."""
        if party in self._found_in and party not in self.state.parties:
            return self._found_in[party]
        return self._account(self.state.parties.get(party) or self._party(PROVIDER))

    def _account(self, party: Party) -> aws.Account:
        with self._lock:
            if party not in self._accounts:
                self._accounts[party] = self.connect(party)
            return self._accounts[party]

    def _party(self, name: str) -> Party:
        if (
            name == PROVIDER and self.config.is_customers
        ):  # the service is not ours: the first consumer's is our account
            name = self.config.consumers[0].name
        of = self.config.provider if name == PROVIDER else self.config.consumer(name)
        assert of is not None  # noqa: S101 (callers name parties of the config)
        return Party(of.profile, of.role_arn)

    def accounts(self) -> tuple[list[aws.Account], dict[str, PlabError]]:
        """The accounts of config and state, once each, and the parties whose account cannot be reached.

        An account that cannot be reached fails its own keys, not the rest.
        """
        reached: dict[str, aws.Account] = {}
        errors: dict[str, PlabError] = {}
        for name in self.state.parties:
            try:
                account = self.account(name)
                reached.setdefault(account.id, account)
            except PlabError as error:
                errors[name] = error
        return list(reached.values()), errors

    def silent(self) -> dict[str, Silence]:
        """By service and URL: from where no usable answer comes."""
        return {
            source: silence
            for account in list(self._accounts.values())
            for source, silence in [*account.silent.items()]
        }

    def is_account_of(self, party: str, account_id: str) -> bool:
        """Whether the party's account has this id; False for a party that cannot be reached."""
        try:
            return self.account(party).id == account_id
        except PlabError:
            return False

    def names(self, party: str) -> bool:
        """Whether the config names this party."""
        return party == PROVIDER or self.config.consumer(party) is not None

    def remember(self, party: str, account: aws.Account) -> None:
        """Note where a tag of a party that neither config nor state knows was found."""
        self._found_in[party] = account

    def place(self, *, server: str | None, folder: str) -> Place:
        """Where this lab lives now."""
        return Place(self.provider.region, self.provider.id, server, folder if server else "")

    # Names and tags.

    @property
    def name(self) -> str:
        """The name of the balancer and the target group: deterministic, at most 25 characters.

        The prefix keeps it clear of what AWS reserves (`internal-` for balancers, `sg-` for groups).
        """
        return f"plab-{self.config.lab}"

    def tags(self, resource: Resource, *, spec: str = "", **attributes: Any) -> list[Any]:
        """The tags of a new resource, also those of the config.

        `attributes` are those that its kind calls `fixed`; `spec` is the hash of what a describe cannot show.
        """
        key, account, kind = resource.key, self.account(resource.party), resource.type.kind
        fixed = {name: attributes[name] for name in (kind.fixed if kind else ())}
        values = self.config.tags | {
            "Name": self.resource_name(key),
            tags.LAB: self.config.lab,
            tags.KEY: key,
            tags.MAKER: self.maker,
            tags.SINCE: self.state.since,
            tags.CREATED: self._created(key),
            **({tags.EXPIRES: self.state.expires} if self.state.expires else {}),
            tags.IDENTITY: tags.identity(self.config.lab, key, account=account.id, region=account.region, fixed=fixed),
        }
        if spec:
            values[tags.SPEC] = spec
        self.given_tags[key] = tags.own(values)
        return [{"Key": name, "Value": value} for name, value in values.items()]

    def _created(self, key: str) -> str:
        return as_tag(datetime.fromtimestamp(self.state.sent_at.get(key, self.clock.now()), UTC))

    def tag_specifications(self, resource: Resource, *more: str, **attributes: Any) -> list[Any]:
        """The same tags as EC2 takes them at creation: for the resource, and for `more` kinds that come with it."""
        assert resource.type.kind is not None  # noqa: S101 (what has no kind has no tags)
        pairs = self.tags(resource, **attributes)
        return [{"ResourceType": kind, "Tags": pairs} for kind in (resource.type.kind.name, *more)]

    def resource_name(self, key: str) -> str:
        """The `Name` tag of a resource."""
        return f"{self.config.lab}-{key.replace('/', '-')}"

    # Time and interruption.

    def begin(self) -> None:
        """Note when the lab began, if it has not yet."""
        self.is_new = not self.state.since
        self.state.since = self.state.since or as_tag(datetime.now(UTC))
        if self.ttl:
            self.state.expires = expiry.after(datetime.now(UTC), self.ttl)
        elif self.config.ttl and self.is_new:
            self.state.expires = expiry.after(datetime.fromisoformat(self.state.since), self.config.ttl)
        self.refuse_expired()

    def refuse_expired(self) -> None:
        """Raise PlabError for a lab whose end has come: it may be reaped at any moment."""
        now = datetime.now(UTC)
        if expiry.is_past(self.state.expires, now):
            text = f"The lab {self.config.lab!r} {expiry.in_words(self.state.expires, now)}, and may be reaped."
            raise PlabError(text, hint="To keep it: plab up --ttl 2h. To remove it: plab down")

    def interrupt(self) -> None:
        """Ask the loop to stop: start nothing new, let calls in flight finish. Safe in a signal handler."""
        self.interrupted = True
        self.clock.wake()

    def may_be_invisible(self, resource: Resource) -> bool:
        """Whether we made it, or may have, so recently that AWS may not show it yet."""
        key, period = resource.key, self.grace_period(resource)
        pending = self.of_aws(PENDING_CREATE_PERIOD, LEAST_PERIOD)
        at_least = pending if self.config.creation_grace_period is None else 0.0
        periods = ((self.state.created_at, period), (self.state.create_pending, max(at_least, period)))
        return any(0 <= self.clock.now() - moments[key] < period for moments, period in periods if key in moments)

    def grace_period(self, resource: Resource) -> float:
        """Seconds for which describes may miss what exists: the config's, or by the kind of resource."""
        if self.config.creation_grace_period is not None:
            return self.config.creation_grace_period
        return self.of_aws(resource.type.patience.creation_grace_period, LEAST_PERIOD)

    def timeout(self, resource: Resource) -> float:
        """Seconds that a resource may take."""
        return self.of_aws(resource.type.patience.timeout) + resource.type.patience.also

    def of_aws(self, seconds: float, least: float = LEAST_TIMEOUT) -> float:
        """Seconds of this machine's clock for `seconds` of AWS's: fewer where the lab's AWS is faster, to a `least`."""
        return max(seconds / self.speed, min(seconds, least))

    def knows(self, key: str, id_: str, named: Mapping[str, str] = NO_TAGS) -> bool | None:
        """Whether this lab has made the id under the key, by its state; None where nothing speaks for it.

        Without a state everything is known, but for a lab that begins with this run: nothing of it was there before.
        A run that adopts also knows by its tags what another run has made. False is a suspect of an earlier run.
        """
        state = self.state
        if id_ in state.suspects:
            return False
        lost = key in state.create_pending or state.is_lost(key, self.clock.now())
        is_lost_state = not self.had_state and not self.is_new
        known = is_lost_state or lost or id_ in state.made or state.ids.get(key) == id_
        return True if known or (self.adopts and self._is_of_another_run(id_, named)) else None

    def _is_of_another_run(self, id_: str, named: Mapping[str, str]) -> bool:
        """Whether tags say when a run created it, and are no copy of those of another resource that is known."""
        told = [named.get(name) for name in ONE_CREATE]
        others = (known for other, known in self.state.made.items() if other != id_)
        return all(told) and all([known.get(name) for name in ONE_CREATE] != told for known in others)

    def made(self, key: str, named: Mapping[str, str]) -> bool:
        """Whether the last create of the key by this state has made what bears these tags, answered or not."""
        told = (named.get(tags.MAKER), named.get(tags.CREATED))
        return key in self.state.sent_at and told == (self.maker, self._created(key))

    def counts(self, named: Mapping[str, str]) -> bool:
        """Whether what bears these tags of the lab counts in this run."""
        of_maker = self.only_since in {None, named.get(tags.SINCE)}
        return of_maker and (not self.only_made or self.made(named.get(tags.KEY, ""), named))

    def check_interrupted(self, hint: str = TO_CONTINUE) -> None:
        """Raise Interrupted once the user asked to stop; PlabError when the local AWS has ended under the run."""
        if self.has_gone():
            text = "The local AWS has ended under this command, and everything in it with it."
            raise PlabError(text, hint="Its log says why: plab local logs. To begin again: plab up --local")
        if self.interrupted:
            raise Interrupted("Stopped; what exists is tagged and in the state file.", hint=hint)
