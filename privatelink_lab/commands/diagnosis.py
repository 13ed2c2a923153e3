"""Whether a consumer reaches the service: what the judge of `plab why` knows at once, and what a probe adds to it."""

from __future__ import annotations

import hashlib
import statistics
from dataclasses import replace
from typing import Any

from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.steps.probe import ProbeReport
from privatelink_lab.steps.web_server import page
from privatelink_lab.why import Evidence, Judged, Verdict, judge
from privatelink_lab.why.cause import Stage, Stops

OK = 200
DNS, PATH, PROBE = "dns", "path", "probe"
NOT_BUILT = "not built"
WAITING = "waiting-for-acceptance"


def known_at_once(verdict: Verdict) -> Verified | None:
    """The verdict on a path through which no packet passes, by AWS's own words; None for one that has to be probed."""
    name = verdict.request.name
    if not verdict.is_built:
        return broken_at(name, Stage.ENDPOINT, NOT_BUILT)
    first = verdict.first
    return _broken_by(name, first) if first and first.sighting.proved and first.stops is Stops.ALL else None


def verdict(lab: Lab, evidence: Evidence, consumer: str, report: ProbeReport) -> Verified:
    """The verdict on a probe's report; `evidence`, collected after the probe, shows the cause where there is one."""
    wanted = hashlib.sha256(page(lab.config.provider.web_server.message)).hexdigest()
    good = [row for row in report.answers if row["status"] == OK and row["digest"] == wanted]
    if good and len(good) == report.tries:
        return _reached(consumer, good)
    if len(good) < len(report.answers):
        other = next(row for row in report.answers if row not in good)
        words = f"it answered {other['status']} with" if other["status"] else "it does not speak HTTP:"
        return broken_at(consumer, Stage.SERVER, f"{words} {other['body']!r}", other)
    found = next(one for one in judge(_with_probe(evidence, consumer, report)) if one.request.name == consumer)
    cause = next((one for one in found.causes if one.stops is not Stops.NOTHING), None)
    row = good[0] if good else None
    if cause:
        return _broken_by(consumer, cause, row)
    if report.problem == DNS and not good:
        return broken_at(consumer, DNS, report.detail)
    lost = f"{report.tries - len(good)} of {report.tries} requests got no answer ({report.detail})"
    text = lost if good else report.detail or "no answer"
    unseen = f"; AWS did not show everything: {', '.join(found.unseen)}" if found.unseen else ""
    return broken_at(consumer, PATH, f"{text}; AWS shows nothing that is wrong{unseen}", row)


def _with_probe(evidence: Evidence, consumer: str, report: ProbeReport) -> Evidence:
    """The evidence, and what the probe saw."""
    mine = next((request for request in evidence.requests if request.name == consumer), None)
    saw = "answers" if report.answers else "refused" if "refused" in report.detail.lower() else report.problem
    row = {"VpcEndpointId": mine.endpoint if mine else "", "saw": saw or "nothing", "detail": report.detail}
    halves = (replace(half, rows=dict(half.rows) | {"probes": (row,)}) for half in evidence.halves)
    return replace(evidence, halves=tuple(halves))


def _broken_by(consumer: str, judged: Judged, row: dict[str, Any] | None = None) -> Verified:
    detail = f"{judged.code}: {judged.cause.sentence} {judged.sighting.evidence}"
    return replace(broken_at(consumer, judged.cause.stage, detail, row), fix=judged.sighting.fix)


def broken_at(consumer: str, hop: str, detail: str, row: dict[str, Any] | None = None) -> Verified:
    """The verdict that a hop is broken; `row` is an answer that came back nevertheless."""
    row = row or {}
    return Verified(
        consumer,
        ok=False,
        addresses=[row["address"]] if row else [],
        status=row.get("status"),
        body=row.get("body"),
        hop=str(hop),
        detail=detail,
        fix="plab up" if detail == NOT_BUILT else "",
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
