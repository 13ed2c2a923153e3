"""`plab connections`: which endpoints are connected to the service, who admitted them, and what the rules say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from privatelink_lab import tags
from privatelink_lab.admission import COUNT, Decision, Reason
from privatelink_lab.commands import Options, accept_reject, by_rules, json_report
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.events import duration
from privatelink_lab.kind import Row
from privatelink_lab.printable import on_one_line
from privatelink_lab.steps import acceptance
from privatelink_lab.steps.acceptance import Connection

HEADS = ("CUSTOMER", "ENDPOINT", "OWNER", "REGION", "STATE", "AGE", "VERDICT")
WRONG = {Reason.LIMIT_REACHED, Reason.NOT_LISTED, Reason.REGION_NOT_LISTED, Reason.REVOKED}  # for one that is available


def connections(options: Options, *, names: Sequence[str], states: Sequence[str]) -> int:
    """List the connections; see `plab connections --help`."""
    with Execution(options) as execution:
        lab = execution.lab
        snapshot = accept_reject.snapshot_of(lab)
        found = accept_reject.in_snapshot(lab, snapshot)
        verdicts = by_rules.decisions(lab, found)
        rows = accept_reject.named(found, names, lab.config.customers) if names else found
        rows = [row for row in rows if not states or row.state.lower() in {state.lower() for state in states}]
        rows.sort(key=lambda row: not _is_wrong(row, verdicts.get(row.endpoint)))
        data = json_report.connections(rows, snapshot, verdicts)
        others = [_without_endpoint(row) for row in acceptance.without_endpoint(lab, snapshot)]
        data["without_endpoint"] = others
        if options.json:
            execution.screen.data(data)
            return 0
        for row in rows:
            verdict = verdicts.get(row.endpoint)
            if verdict and _is_wrong(row, verdict):
                whose = verdict.customer or f"account {row.owner}"
                text = f"{row.endpoint} of {whose} is {row.state} and should not be"
                execution.screen.out(f"{text}: {verdict.reason} ({verdict.text}). Next: plab reject {row.endpoint}")
        if not rows:
            execution.screen.say("There are no connections.")
        else:
            now = lab.provider.now()
            own = "its provider decides" if lab.config.is_customers else "a consumer of this lab"
            cells = [_cells(row, verdicts.get(row.endpoint), now, own) for row in rows]
            execution.screen.table(list(HEADS), cells, optional=("AGE", "REGION"))
        for other in others:
            text = "{id} of account {owner} is {state}; it names no endpoint, and plab leaves it alone."
            execution.screen.out(text.format(**other))
        if data["service_name"]:
            execution.screen.out(f"service: {data['service_name']}")
            for shown in data["connections"]:
                if shown["dns_name"]:
                    execution.screen.out(f"{shown['consumer']}: {shown['dns_name']}")
        return 0


def _without_endpoint(row: Row) -> dict[str, str]:
    named = {"id": "VpcEndpointConnectionId", "owner": "VpcEndpointOwner", "state": "VpcEndpointState"}
    return {name: on_one_line(str(row.get(key) or "unknown")) for name, key in named.items()}


def _is_wrong(row: Connection, verdict: Decision | None) -> bool:
    """Whether it is accepted, and the config says otherwise: also where the customer that let it in has gone."""
    is_by_rule = str(row.written.get(tags.RULE, "")).startswith("customer ")
    wrong = WRONG | {Reason.NO_CUSTOMER} if is_by_rule else WRONG
    return bool(verdict and verdict.reason in wrong and row.state.lower() in COUNT)


def _cells(row: Connection, verdict: Decision | None, now: datetime, own: str) -> list[str]:
    age = duration(max(0.0, (now - row.since).total_seconds())) if row.since else "-"
    name = row.consumer or (verdict.customer if verdict else None) or "-"
    return [name, row.endpoint, row.owner, row.region, row.state, age, _verdict_text(row, verdict, own)]


def _verdict_text(row: Connection, verdict: Decision | None, own: str) -> str:
    if row.consumer or verdict is None:
        return own
    if verdict.reason is Reason.ADMITTED or (verdict.reason is Reason.NO_CUSTOMER and row.written):
        who, at = row.written.get(tags.BY, "somebody"), row.written.get(tags.AT, "at an unknown time")
        return f"admitted by {who}, {at}, {row.written.get(tags.RULE, 'by hand')}"
    return f"{verdict.reason}: {verdict.text}"
