"""Whether a consumer reaches the service, and if not, which hop is broken as far as AWS shows it."""

from __future__ import annotations

import hashlib
import statistics
from typing import Any

from privatelink_lab.config import PROVIDER
from privatelink_lab.engine import Survey
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Hop, Phase
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.probe import ProbeReport
from privatelink_lab.steps.web_server import page

SETTINGS = frozenset({Hop.SERVICE, Hop.BALANCER})  # what is wrong there rarely stops a packet: named last
OK = 200
ENDPOINT, DNS, PATH, PROBE = "endpoint", "dns", "path", "probe"


def endpoint_problem(seen: Survey, consumer: str) -> Verified | None:
    """The verdict on an endpoint that lets no packet pass, or that AWS did not show; None for an available one."""
    key = endpoint_key(consumer)
    if key in seen.errors:
        return broken_at(consumer, ENDPOINT, f"AWS did not show {key}: {seen.errors[key]}")
    found = seen.found.get(key, ())
    if found and found[0].phase is Phase.READY:
        return None
    state = found[0].detail if found else "not there"
    return broken_at(consumer, ENDPOINT, f"{key}: {state}")


def verdict(lab: Lab, seen: Survey, consumer: str, report: ProbeReport) -> Verified:
    """The verdict on a probe's report; `seen`, a survey after the probe, shows the broken hop where there is one."""
    wanted = hashlib.sha256(page(lab.config.provider.web_server.message)).hexdigest()
    good = [row for row in report.answers if row["status"] == OK and row["digest"] == wanted]
    if good and len(good) == report.tries:
        return _reached(consumer, good)
    if len(good) < len(report.answers):
        other = next(row for row in report.answers if row not in good)
        words = f"it answered {other['status']} with" if other["status"] else "it does not speak HTTP:"
        return broken_at(consumer, Hop.WEB_SERVER, f"{words} {other['body']!r}", other)
    if good:
        lost = f"{report.tries - len(good)} of {report.tries} requests got no answer ({report.detail})"
        return broken_at(consumer, *first_broken_hop(seen, consumer, lost), good[0])
    if report.problem == DNS and endpoint_problem(seen, consumer) is None:  # a deleted endpoint has no DNS name either
        return broken_at(consumer, DNS, report.detail)
    return broken_at(consumer, *first_broken_hop(seen, consumer, report.detail or "no answer"))


def first_broken_hop(seen: Survey, consumer: str, otherwise: str) -> tuple[str, str]:
    """The first hop that AWS shows as broken, and its state; PATH and `otherwise` where AWS shows none."""
    bad = endpoint_problem(seen, consumer)
    if bad:
        return ENDPOINT, bad.detail
    drifted, unseen = [], []
    for hop, key in _hops(seen, consumer):
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
        return PATH, f"{otherwise}; AWS did not show every hop: {', '.join(unseen)}"
    return (
        PATH,
        f"{otherwise}; AWS shows no broken hop: check network ACLs, and security groups that were changed by hand",
    )


def _hops(seen: Survey, consumer: str) -> list[tuple[Hop, str]]:
    """The hops of a packet from this consumer, in order, and the key of each."""
    parties = {PROVIDER, consumer}
    keys = {resource.hop: key for key, resource in seen.resources.items() if resource.party in parties}
    return [(hop, keys[hop]) for hop in Hop if hop in keys]


def broken_at(consumer: str, hop: str, detail: str, row: dict[str, Any] | None = None) -> Verified:
    """The verdict that a hop is broken; `row` is an answer that came back nevertheless."""
    row = row or {}
    return Verified(
        consumer,
        ok=False,
        addresses=[row["address"]] if row else [],
        status=row.get("status"),
        body=row.get("body"),
        hop=hop,
        detail=detail,
    )


def _reached(consumer: str, rows: list[dict[str, Any]]) -> Verified:
    return Verified(
        consumer,
        ok=True,
        addresses=sorted({row["address"] for row in rows}),
        status=rows[0]["status"],
        body=rows[0]["body"],
        connect_ms=_times([row["connect_ms"] for row in rows]),
        total_ms=_times([row["total_ms"] for row in rows]),
        detail=f"{len(rows)} of {len(rows)} requests",
    )


def _times(times: list[float]) -> dict[str, Any]:
    return {"p50": round(statistics.median(times), 2), "max": max(times), "each": times}
