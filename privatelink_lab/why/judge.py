"""What is broken on each path, by the table of causes. Pure: evidence in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from privatelink_lab.why.cause import Cause, Sighting, Stage, Stops
from privatelink_lab.why.causes import CAUSES
from privatelink_lab.why.evidence import Evidence, Request
from privatelink_lab.why.metrics import NEW_CONNECTIONS, RESETS
from privatelink_lab.why.path import CONSUMER_KINDS, PROVIDER_KINDS, Path, paths

OK, NONE, BROKEN, LIKELY, UNSEEN, NOT_ASKED = "ok", "none", "BROKEN", "likely", "unseen", "not asked"
STAGES = tuple(Stage)


@dataclass(frozen=True)
class Judged:
    """A cause that was sighted on one path."""

    cause: Cause
    sighting: Sighting

    @property
    def code(self) -> str:
        """Its code."""
        return self.cause.code

    @property
    def confidence(self) -> str:
        """`proved`: AWS says so; `likely`: it fits what was seen."""
        return "proved" if self.sighting.proved else "likely"

    @property
    def stops(self) -> Stops:
        """Where it lets no packet pass."""
        return self.sighting.stops or self.cause.stops

    def as_json(self) -> dict[str, Any]:
        """The object of `plab why --json`."""
        return {
            "code": self.code,
            "hop": self.cause.stage.value,
            "side": self.cause.side,
            "confidence": self.confidence,
            "stops": self.stops.value,
            "sentence": self.cause.sentence,
            "evidence": self.sighting.evidence,
            "fix": self.sighting.fix,
            "by_hand": self.sighting.by_hand,
            "by_hand_account": getattr(self.sighting.by_hand, "account", None) or None,
        }


@dataclass(frozen=True)
class Verdict:
    """What is known of one path: the causes in order, the stages of the way, and what was not seen."""

    request: Request
    service: str
    port: int | None
    state: str
    causes: tuple[Judged, ...]
    stages: Mapping[Stage, tuple[str, str]]
    unseen: tuple[str, ...]
    has_two_accounts: bool = False

    @property
    def first(self) -> Judged | None:
        """The answer; None if nothing is wrong as far as could be seen."""
        return self.causes[0] if self.causes else None

    @property
    def also(self) -> tuple[Judged, ...]:
        """The other causes: each of them is there by itself."""
        return self.causes[1:]

    @property
    def is_built(self) -> bool:
        """Whether there is an endpoint, or AWS has refused one."""
        return bool(self.request.endpoint or self.causes)

    def as_json(self) -> dict[str, Any]:
        """The object of `plab why --json`."""
        keys = ("code", "hop", "side", "confidence", "stops", "sentence", "evidence", "fix", "by_hand")
        empty = dict.fromkeys((*keys, "by_hand_account"))
        first = self.first.as_json() if self.first else empty
        return {
            "consumer": self.request.name or None,
            "customer": self.request.customer or None,
            "endpoint": self.request.endpoint or None,
            "account": self.request.account,
            "service_name": self.service,
            "port": self.port,
            "state": self.state,
            **first,
            "also": [one.as_json() for one in self.also],
            "unseen": list(self.unseen),
        }


def judge(evidence: Evidence) -> list[Verdict]:
    """A verdict on each request, and on each endpoint and connection that no request names."""
    return [_verdict(path) for path in paths(evidence)]


def _verdict(path: Path) -> Verdict:
    causes = _ordered(_independent(_sighted(path)))
    two = bool(path.provider and path.account and path.provider.account != path.account)
    stages, unseen = _stages(path, causes), _unseen(path)
    return Verdict(path.request, path.service_name, path.port, path.state, causes, stages, unseen, two)


def _sighted(path: Path) -> list[Judged]:
    """One entry per cause; several sightings of one are told together."""
    found = []
    for cause in CAUSES:
        sightings = list(cause.look(path))
        if sightings:
            first = next((one for one in sightings if one.proved), sightings[0])
            texts = dict.fromkeys(one.evidence for one in [first, *sightings])
            stops = min((one.stops or cause.stops for one in sightings), key=list(Stops).index)
            together = replace(first, evidence="; ".join(texts), stops=stops)
            found.append(Judged(cause, together))
    return found


def _independent(found: list[Judged]) -> list[Judged]:
    """Without what only follows from another one that is there."""
    implied = {code for one in found if one.sighting.proved for code in one.cause.implies}
    return [one for one in found if one.code not in implied]


def _ordered(found: Iterable[Judged]) -> tuple[Judged, ...]:
    """Proved ones that stop packets first, in the order of the packet's way; what stops nothing last."""

    def rank(one: Judged) -> tuple[bool, bool, int, int]:
        return one.stops is Stops.NOTHING, not one.sighting.proved, STAGES.index(one.cause.stage), one.cause.number

    return tuple(sorted(found, key=rank))


# The way, stage by stage.


def _stages(path: Path, causes: tuple[Judged, ...]) -> dict[Stage, tuple[str, str]]:
    shown = _as_seen(path)
    for one in reversed(causes):
        if one.stops is not Stops.NOTHING:
            word = BROKEN if one.sighting.proved else LIKELY
            shown[one.cause.stage] = (word, f"{one.code}: {one.cause.sentence}")
    return shown


def _as_seen(path: Path) -> dict[Stage, tuple[str, str]]:
    """Each stage as AWS shows it, where nothing is wrong with it."""
    consumer, provider = path.why_unseen("endpoints"), path.why_unseen("services")
    port = f"tcp {path.port}" if path.port else f"tcp {', '.join(map(str, path.ports))}"
    clients = ", ".join(path.client_cidrs)
    groups = [row["GroupId"] for row in path.endpoint_groups]
    state = str((path.endpoint or {}).get("State", "")) or ("not built" if not path.request.endpoint else "")
    own = [row for balancer in path.balancers for row in path.groups_of(balancer)]
    healthy = [row for row in path.targets if (row.get("TargetHealth") or {}).get("State") == "healthy"]
    accepted = str((path.connection or {}).get("VpcEndpointState", ""))
    names = {
        Stage.CLIENT: (consumer or (OK if clients else ""), f"{clients} may leave to the endpoint" if clients else ""),
        Stage.ENDPOINT_GROUP: (consumer or path.why_unseen("groups") or (OK if groups else NONE), ", ".join(groups)),
        Stage.ENDPOINT: (consumer or state or NONE, path.request.endpoint),
        Stage.PERMISSION: (
            provider or path.why_unseen("permissions") or (OK if path.is_permitted else NONE),
            path.account if provider or path.is_permitted else f"no principal is of account {path.account}",
        ),
        Stage.ACCEPTANCE: (
            provider or path.why_unseen("connections") or (OK if accepted else NONE),
            f"{accepted}{_traffic(path)}",
        ),
        Stage.SERVICE: (provider or (str((path.service or {}).get("ServiceState", "")).lower() or NONE), ""),
        Stage.ZONES: (OK if path.service_zones else consumer or provider, ", ".join(sorted(path.service_zones))),
        Stage.BALANCER: (provider or path.why_unseen("balancers") or _balancer_state(path), ""),
        Stage.BALANCER_GROUP: (provider or (OK if own else NONE), ", ".join(row["GroupId"] for row in own)),
        Stage.LISTENER: (provider or path.why_unseen("listeners") or (OK if path.listeners else NONE), port),
        Stage.TARGET_GROUP: (
            provider or path.why_unseen("target_groups") or (OK if path.target_groups else NONE),
            f"{len(path.targets)} registered" if path.target_groups else "",
        ),
        Stage.TARGET: (
            provider or path.why_unseen("targets") or (OK if healthy else "unhealthy" if path.targets else NONE),
            f"{len(healthy)} of {len(path.targets)} healthy" if path.targets else "",
        ),
        Stage.SERVER: (NOT_ASKED, "plab verify asks it"),
    }
    return {stage: names[stage] for stage in Stage}


def _traffic(path: Path) -> str:
    """What came from the endpoint in the last hour, by the provider's metrics; '' where they are not seen."""
    new, resets = path.sum_of(NEW_CONNECTIONS), path.sum_of(RESETS)
    if new is None:
        return ""
    if not new:
        return "; no connection came from it in the last hour, so look at the customer's half first"
    return f"; {new:g} new connections and {resets or 0:g} resets in the last hour"


def _balancer_state(path: Path) -> str:
    return ", ".join(str((row.get("State") or {}).get("Code", "active")) for row in path.balancers) or NONE


def _unseen(path: Path) -> tuple[str, ...]:
    """What was not shown, and who can show it."""
    texts = []
    for kinds, half, whose, first in (
        (CONSUMER_KINDS, path.consumer, f"the consumer's half (account {path.account or 'unknown'})", "endpoints"),
        (PROVIDER_KINDS, path.provider, "the provider's half", "services"),
    ):
        if half is None or (first not in half.rows and not half.unseen):
            if first == "endpoints" and not path.request.endpoint and not path.request.account:
                continue
            texts.append(f"{whose}; who has its credentials: plab why --save FILE {path.request.endpoint}".rstrip())
        else:
            texts += [
                f"{kind} of account {half.account}: {half.unseen[kind]}" for kind in kinds if half.unseen.get(kind)
            ]
    return tuple(text for text in texts if not text.startswith("offers"))
