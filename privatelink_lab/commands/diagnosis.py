"""Whether a consumer reaches the service: what the judge of `plab why` knows at once, and what a probe adds to it."""

from __future__ import annotations

import hashlib
import re
import statistics
from contextlib import suppress
from dataclasses import replace
from typing import Any

from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import PlabError
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.printable import on_one_line
from privatelink_lab.steps._existing import port
from privatelink_lab.steps.probe import ProbeReport, console_of
from privatelink_lab.steps.web_server import page
from privatelink_lab.why import Evidence, Judged, Verdict, judge
from privatelink_lab.why.cause import Stage, Stops

OK = 200
DNS, PATH, PROBE = "dns", "path", "probe"
NOT_BUILT = "not built"
WAITING = "waiting-for-acceptance"
OF_NAMES = {"vpc-dns-off", "own-dns-servers", "shadow-zone", "no-interfaces"}  # causes for a name that is not found


def known_at_once(verdict: Verdict) -> Verified | None:
    """The verdict on a path through which no packet passes, by AWS's own words; None for one that has to be probed.

    Without an endpoint there is nothing to probe, so that what is likely counts as well. What is wrong with the server
    shows a probe better: AWS sends packets also to targets that are unhealthy.
    """
    name, first = verdict.request.name, verdict.first
    if not verdict.request.endpoint:
        is_refused = first and first.stops is not Stops.NOTHING
        return _broken_by(name, first) if first and is_refused else broken_at(name, Stage.ENDPOINT, NOT_BUILT)
    is_proved = first and first.sighting.proved and first.stops is Stops.ALL and first.cause.stage is not Stage.SERVER
    return _broken_by(name, first) if first and is_proved else None


def verdict(lab: Lab, evidence: Evidence, consumer: str, report: ProbeReport) -> Verified:
    """The verdict on a probe's report; `evidence`, collected after the probe, shows the cause where there is one."""
    wanted = hashlib.sha256(page(lab.config.provider.web_server.message)).hexdigest()
    only_tcp = not lab.config.provider.has_network
    good = [row for row in report.answers if only_tcp or (row["status"] == OK and row["digest"] == wanted)]
    found = next(v for v in judge(_with_probe(lab, evidence, consumer, report)) if v.request.name == consumer)
    if good and len(good) == report.tries:
        true = [one for one in found.causes if one.sighting.proved and one.stops is Stops.NOTHING]
        return replace(_reached(consumer, good, only_tcp=only_tcp), also=[in_words(one) for one in true])
    if len(good) < len(report.answers):
        other = next(row for row in report.answers if row not in good)
        words = f"it answered {other['status']} with" if other["status"] else "it does not speak HTTP:"
        return broken_at(consumer, Stage.SERVER, f"{words} {other['body']!r}", other)
    stopping = (one for one in found.causes if one.stops is not Stops.NOTHING)
    # What the probe saw outranks what merely could be: a name that is not found is no matter of packets.
    cause = next((one for one in stopping if report.problem != DNS or good or one.code in OF_NAMES), None)
    row = good[0] if good else None
    if cause:
        return _broken_by(consumer, cause, row)
    if report.problem == DNS and not good:
        return broken_at(consumer, DNS, report.detail)
    lost = f"{report.tries - len(good)} of {report.tries} requests got no answer ({report.detail})"
    text = lost if good else report.detail or "no answer"
    unseen = f"; AWS did not show everything: {', '.join(found.unseen)}" if found.unseen else ""
    return broken_at(consumer, PATH, f"{text}; AWS shows nothing that is wrong{unseen}", row)


def listens_on_localhost(lab: Lab, evidence: Evidence) -> str:
    """The line of a target's console that says so; '' without one, or where AWS shows no console."""
    number = port(lab)
    says = re.compile(rf"(127\.0\.0\.1|\[?::1\]?|localhost)( port |:){number}\b")
    rows = (row for half in evidence.halves for row in half.rows.get("instances", ()))
    with suppress(PlabError):
        lines = [line for row in rows for line in console_of(lab, PROVIDER, row["InstanceId"]).splitlines()]
        return next((on_one_line(line).strip() for line in reversed(lines) if says.search(line)), "")
    return ""


def in_words(one: Judged) -> str:
    """A cause in one line: its code, what it means, and what was seen."""
    return f"{one.code}: {one.cause.sentence} {one.sighting.evidence}"


def _with_probe(lab: Lab, evidence: Evidence, consumer: str, report: ProbeReport) -> Evidence:
    """The evidence, what the probe saw, and what the web server says of its own address."""
    mine = next((request for request in evidence.requests if request.name == consumer), None)
    saw = "answers" if report.answers else "refused" if "refused" in report.detail.lower() else report.problem
    seen = {saw or "nothing": report.detail}
    if report.ping is False:
        seen["ping"] = "the endpoint's address answers no ping"
    if not report.answers and (line := listens_on_localhost(lab, evidence)):
        seen["localhost"] = f"its console: {line}"
    id_ = mine.endpoint if mine else ""
    rows = tuple({"VpcEndpointId": id_, "saw": word, "detail": detail} for word, detail in seen.items())
    halves = (replace(half, rows=dict(half.rows) | {"probes": rows}) for half in evidence.halves)
    return replace(evidence, halves=tuple(halves))


def _broken_by(consumer: str, judged: Judged, row: dict[str, Any] | None = None) -> Verified:
    return replace(broken_at(consumer, judged.cause.stage, in_words(judged), row), fix=judged.sighting.fix)


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


def _reached(consumer: str, rows: list[dict[str, Any]], *, only_tcp: bool) -> Verified:
    return Verified(
        consumer,
        ok=True,
        addresses=sorted({row["address"] for row in rows}),
        status=None if only_tcp else rows[0]["status"],
        body=None if only_tcp else rows[0]["body"],
        connect_ms=_times([row["connect_ms"] for row in rows]),
        total_ms=_times([row["total_ms"] for row in rows]),
        detail=f"{len(rows)} of {len(rows)} {'connections' if only_tcp else 'requests'}",
    )


def _times(times: list[float]) -> dict[str, Any]:
    return {"p50": round(statistics.median(times), 2), "max": max(times), "each": times}
