"""Whether a consumer reaches the service, and if not, which hop is broken as far as AWS shows it."""

from __future__ import annotations

import hashlib
import statistics
from typing import Any

from privatelink_lab.engine import Survey
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.probe import ProbeReport

# The hops of a packet in order, each with its key. The first hop that is not as it should be is the broken one.
HOPS = (
    ("endpoint security group", "{consumer}/security-group/ingress"),
    ("service", "provider/endpoint-service"),
    ("balancer", "provider/nlb"),
    ("listener", "provider/nlb/listener"),
    ("web server", "provider/web-server"),
    ("target security group", "provider/security-group/ingress"),
    ("target", "provider/target-group/registration"),
)
SETTINGS = frozenset({"service", "balancer"})  # a wrong setting there rarely stops a packet, so these are named last
OK = 200
ENDPOINT, DNS, PATH, WEB_SERVER, PROBE = "endpoint", "dns", "path", "web server", "probe"


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
    wanted = hashlib.sha256(lab.config.provider.web_server.message.encode()).hexdigest()
    good = [row for row in report.answers if row["status"] == OK and row["digest"] == wanted]
    if good and len(good) == report.tries:
        return _reached(consumer, good)
    if len(good) < len(report.answers):
        other = next(row for row in report.answers if row not in good)
        words = f"it answered {other['status']} with" if other["status"] else "it does not speak HTTP:"
        return broken_at(consumer, WEB_SERVER, f"{words} {other['body']!r}", other)
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
        return PATH, f"{otherwise}; AWS did not show every hop: {', '.join(unseen)}"
    return (
        PATH,
        f"{otherwise}; AWS shows no broken hop: check network ACLs, and security groups that were changed by hand",
    )


def broken_at(consumer: str, hop: str, detail: str, row: dict[str, Any] | None = None) -> Verified:
    """The verdict that a hop is broken; `row` is an answer that came back nevertheless."""
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


def _reached(consumer: str, rows: list[dict[str, Any]]) -> Verified:
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


def _times(times: list[float]) -> dict[str, Any]:
    return {"p50": round(statistics.median(times), 2), "max": max(times), "each": times}
