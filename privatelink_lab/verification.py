"""Whether the consumers reach the service, and if not, at which hop it breaks as far as AWS can tell."""

from __future__ import annotations

import hashlib
import statistics
from typing import Any

from privatelink_lab.engine import Survey
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.probe import Report

# The way of a packet: what it passes, by key. The first that is not as it should be is where it breaks.
HOPS = (
    ("endpoint security group", "{consumer}/security-group/ingress"),
    ("service", "provider/endpoint-service"),
    ("balancer", "provider/nlb"),
    ("listener", "provider/nlb/listener"),
    ("web server", "provider/web-server"),
    ("target security group", "provider/security-group/ingress"),
    ("target", "provider/target-group/registration"),
)
SETTINGS = frozenset({"service", "balancer"})  # where a drifted setting seldom stops a packet: blamed last
OK = 200
ENDPOINT, DNS, PATH, WEB_SERVER, PROBE = "endpoint", "dns", "path", "web server", "probe"


def closed(seen: Survey, consumer: str) -> Verified | None:
    """The verdict on an endpoint that lets nothing pass, or that could not be looked at; None for an available one."""
    key = endpoint_key(consumer)
    if key in seen.errors:
        return broken(consumer, ENDPOINT, f"{key} could not be looked at: {seen.errors[key]}")
    found = seen.found.get(key, ())
    if found and found[0].phase is Phase.READY:
        return None
    state = found[0].detail if found else "not there"
    return broken(consumer, ENDPOINT, f"{key}: {state}")


def verdict(lab: Lab, seen: Survey, consumer: str, report: Report) -> Verified:
    """What the report of a probe that has ended says, with a look at AWS from after it where it is bad."""
    wanted = hashlib.sha256(lab.config.provider.web_server.message.encode()).hexdigest()
    good = [row for row in report.answers if row["status"] == OK and row["digest"] == wanted]
    if good and len(good) == report.tries:
        return _well(consumer, good)
    if len(good) < len(report.answers):
        other = next(row for row in report.answers if row not in good)
        words = f"it answered {other['status']} with" if other["status"] else "what answers speaks no HTTP:"
        return broken(consumer, WEB_SERVER, f"{words} {other['body']!r}", other)
    if good:
        lost = f"{report.tries - len(good)} of {report.tries} requests got no answer ({report.detail})"
        return broken(consumer, *hop_of(seen, consumer, lost), good[0])
    if report.problem == DNS and closed(seen, consumer) is None:  # the names go with the endpoint
        return broken(consumer, DNS, report.detail)
    return broken(consumer, *hop_of(seen, consumer, report.detail or "no answer"))


def hop_of(seen: Survey, consumer: str, otherwise: str) -> tuple[str, str]:
    """The first hop that AWS shows as broken, and its state; `path` and `otherwise` where it shows none."""
    bad = closed(seen, consumer)
    if bad:
        return ENDPOINT, bad.detail
    drifted, unseen = [], []
    for hop, name in HOPS:
        key = name.format(consumer=consumer)
        found = seen.found.get(key, ())
        state = f"{key}: {found[0].detail if found else 'missing'}"
        if key in seen.errors:
            unseen.append(f"{key}: {seen.errors[key]}")
        elif found and found[0].phase is Phase.DRIFTED and hop in SETTINGS:
            drifted.append((hop, state))
        elif not found or found[0].phase is not Phase.READY:
            return hop, state
    if drifted:
        return drifted[0]
    if unseen:
        return PATH, f"{otherwise}; not all of it could be looked at: {', '.join(unseen)}"
    return PATH, f"{otherwise}; AWS shows nothing wrong: look at network ACLs, and at groups that were changed by hand"


def broken(consumer: str, hop: str, detail: str, row: dict[str, Any] | None = None) -> Verified:
    """A verdict that names a hop."""
    row = row or {}
    return Verified(
        consumer,
        ok=False,
        addresses=[row["address"]] if row else [],
        status=row.get("status"),
        body=row.get("body"),
        connect_ms=None,
        total_ms=None,
        hop=hop,
        detail=detail,
    )


def _well(consumer: str, rows: list[dict[str, Any]]) -> Verified:
    return Verified(
        consumer,
        ok=True,
        addresses=sorted({row["address"] for row in rows}),
        status=rows[0]["status"],
        body=rows[0]["body"],
        connect_ms=_times([row["connect_ms"] for row in rows]),
        total_ms=_times([row["total_ms"] for row in rows]),
        hop=None,
        detail=f"{len(rows)} of {len(rows)} requests",
    )


def _times(each: list[float]) -> dict[str, Any]:
    return {"p50": round(statistics.median(each), 2), "max": max(each), "each": each}
