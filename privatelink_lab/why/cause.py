"""What a cause is: one row of the table, and one sighting of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from privatelink_lab.why.path import Path


class Stage(StrEnum):
    """A place on a packet's way, in this order."""

    CLIENT = "client"
    ENDPOINT_GROUP = "endpoint group"
    ENDPOINT = "endpoint"
    PERMISSION = "permission"
    ACCEPTANCE = "acceptance"
    SERVICE = "service"
    ZONES = "zones"
    BALANCER = "balancer"
    BALANCER_GROUP = "balancer group"
    LISTENER = "listener"
    TARGET_GROUP = "target group"
    TARGET = "target"
    SERVER = "server"


class Stops(StrEnum):
    """Where a cause lets no packet pass."""

    ALL = "all"
    SOME = "some"  # some zones, some clients, or at some moments
    NOTHING = "nothing"


@dataclass(frozen=True)
class Sighting:
    """What the evidence shows of a cause.

    `fix` is plab's command and `by_hand` the AWS CLI's, a `ByHand` where the account is known; `to_do` is what a person
    does where neither helps, if it is not the cause's cure. `stops` is set where it differs from the cause's. A
    sighting that is not `proved` fits what was seen, and is likely.
    """

    evidence: str
    fix: str = ""
    by_hand: str = ""
    stops: Stops | None = None
    proved: bool = True
    to_do: str = ""


NO_SERVICE = "InvalidServiceName"  # what AWS answers for one that is not there, and for one that is not shown
OVER = {"rejected", "expired", "failed"}  # states of an endpoint: it takes another one, which has to be allowed
REVOKED = "; the config says access: revoked"
TO_GIVE = "Nothing, or `access: given` for {} in the config, and then: plab up"
PROVIDER = "provider"  # whose refusals concern everybody
Look = Callable[[Path], Iterable[Sighting]]


@dataclass(frozen=True)
class Cause:
    """One row. `side` is who can see it: P the provider, C the consumer, X a probe or a person.

    `implies` are the codes that follow from it and are not listed beside it. `looks` is how it looks to the customer,
    `console` where AWS's console shows it, `cure` what ends it, `page` AWS's page. `local`: the local AWS can show it.
    `waits`: only time or the other side ends it, and the command by hand shows when it is over.
    """

    number: int
    code: str
    stage: Stage
    side: str
    sentence: str
    looks: str
    console: str
    cure: str
    page: str
    look: Look
    stops: Stops = Stops.ALL
    implies: frozenset[str] = frozenset()
    local: bool = False
    waits: bool = False


def saw(word: str, *, proved: bool = True) -> Look:
    """What only a probe or a person sees: a row of `probes` whose `saw` is this word."""

    def look(path: Path) -> Iterable[Sighting]:
        for row in path.rows("probes"):
            if row.get("saw") == word and row.get("VpcEndpointId") in {"", path.request.endpoint}:
                yield Sighting(str(row.get("detail") or word), proved=proved)

    return look


def refused(*codes: str, operation: str = "", words: str = "") -> Look:
    """A call that AWS refused with one of these codes, and with these words in its sentence."""

    def look(path: Path) -> Iterable[Sighting]:
        for row in path.rows("refusals"):
            mine = row.get("consumer") in {None, "", PROVIDER, path.request.name} and operation in {
                "",
                row["operation"],
            }
            if mine and row["code"] in codes and words in row.get("message", ""):
                yield Sighting(f"{row['operation']}: {row.get('message', '')} ({row['code']})")

    return look
