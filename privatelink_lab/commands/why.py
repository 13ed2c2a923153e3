"""`plab why`: collect what AWS shows of a path, judge it, and name the first broken hop and what repairs it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from privatelink_lab import engine
from privatelink_lab.aws import Account, known_regions
from privatelink_lab.commands import Options
from privatelink_lab.commands.lab_session import has_lab, open_account
from privatelink_lab.commands.run_command import Execution, new_screen
from privatelink_lab.config import ACCOUNT_ID, PROVIDER
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.lab import Lab
from privatelink_lab.printable import on_one_line
from privatelink_lab.resource_key import split_key
from privatelink_lab.steps._existing import port
from privatelink_lab.steps._permissions import is_named, revoked_accounts
from privatelink_lab.steps.probe import console_of
from privatelink_lab.steps.web_server import KEY as SERVER
from privatelink_lab.ui.output import Screen
from privatelink_lab.why import Asked, Evidence, Judged, Request, Verdict, collect, judge, load
from privatelink_lab.why.cause import Stage, Stops

ENDPOINT_ID = re.compile(r"vpce-[0-9a-f]+")
SERVICE_ID = re.compile(r"vpce-svc-[0-9a-f]+")
BEHIND = (Stage.BALANCER_GROUP, Stage.LISTENER, Stage.TARGET_GROUP, Stage.TARGET, Stage.SERVER)  # the balancer
CONSOLE_LINES = 3
WIDTH = 18  # of the column with a stage's name


def why(options: Options, *, target: str, save: Path | None, sources: Sequence[Path], region: str) -> int:
    """Name what is broken; see `plab why --help`."""
    screen = new_screen(options)
    if sources:
        evidence, place = load(sources), "saved evidence"
        _refuse_region(region, target, [request.customer for request in evidence.requests])
    elif has_lab(options):
        execution = Execution(options)
        _refuse_region(region, target, execution.session.config.customers)
        with execution:
            screen, place = execution.screen, _place(execution)
            evidence = evidence_of(execution.lab, target, region)
            if _is_id(target) and not _named(judge(evidence), target):
                evidence, place = _of_account(options, screen, target)
    else:
        _refuse_region(region, target, ())
        evidence, place = _of_account(options, screen, target)
    if save:
        _save(evidence, save)
        screen.say(f"Saved: {save}. To judge it elsewhere: plab why --from {save}")
    found = judge(evidence)
    chosen = [verdict for verdict in _chosen(found, target) if region in {"", verdict.request.region}]
    if options.json:
        rows = [_advised(screen, verdict.as_json()) for verdict in chosen]
        screen.data({"lab": evidence.lab or None, "at": evidence.at, "paths": rows})
    else:
        _print(screen, chosen if target else [verdict for verdict in chosen if is_bad(verdict)], found, place)
    return int(any(is_bad(verdict) for verdict in chosen))


def evidence_of(lab: Lab, target: str = "", region: str = "") -> Evidence:
    """What AWS shows of the lab's service and of everybody who asks for it.

    `target` may be an account that asks, or a customer with several, from `region`: '' for the service's.
    """
    requests: list[tuple[Request, Account | None]] = []
    for consumer in lab.config.consumers:
        account = _reached(lab, consumer.name)
        vpc = consumer.vpc
        request = Request(
            consumer.name,
            account.id if account else "",
            lab.provider.region,
            lab.state.ids.get(f"{consumer.name}/endpoint", ""),
            subnets=tuple(vpc.subnet_ids or ()),
            vpc=lab.state.ids.get(f"{consumer.name}/vpc", "") or (vpc.id or ""),
            named=True,
            caller=account.arn if account else "",
        )
        requests.append((request, account))
    asks_from = region or lab.provider.region
    customer = lab.config.customers.get(target)
    asking = customer.accounts if customer else (target,) if ACCOUNT_ID.fullmatch(target) else ()
    known = {request.account for request, _ in requests if request.region == asks_from}
    requests += [(Request("", one, asks_from, named=is_named(lab, one)), None) for one in asking if one not in known]
    refusals = tuple(row | {"consumer": split_key(key)[0]} for key, row in lab.state.refusals.items())
    provider = lab.config.provider
    asked = Asked(
        None if lab.config.is_customers else lab.provider,
        tuple(requests),
        lab=lab.config.lab,
        service=provider.service.id or "",
        balancer=lab.name if provider.has_network else "",
        port=_port(lab),
        speaks="http" if provider.has_network else "",
        refusals=refusals,
        named=lambda account: is_named(lab, account),
        expected={id_: one.accounts for one in lab.config.customers.values() for id_ in one.admit},
        customer=lambda account: (lab.config.customer_of(account) or ("",))[0],
        revoked=lambda account: account in revoked_accounts(lab),
        service_name=provider.service_name or "",
    )
    return collect(asked, lambda tasks: engine.in_parallel(tasks, lambda task: task()))


def _port(lab: Lab) -> int | None:
    """The port of the service; None where what is there does not show it."""
    with suppress(PlabError):
        return port(lab)
    return None


def is_bad(verdict: Verdict) -> bool:
    """Whether there is a cause, or nothing is built yet."""
    return bool(verdict.causes) or not verdict.is_built


def answer(verdict: Verdict) -> str:
    """The verdict in one line: what is broken, or what the path waits for."""
    name = verdict.request.name or verdict.request.endpoint or verdict.request.account
    if not verdict.causes:
        return f"{name}: nothing is wrong, as far as can be seen" if verdict.is_built else f"{name}: not built"
    return f"{name}: {sentence(verdict.causes[0])}"


def sentence(one: Judged) -> str:
    """A cause in one line: its code and hop, what it means, and what AWS showed."""
    return f"{one.code} ({one.cause.stage.value}): {one.cause.sentence} {one.sighting.evidence}"


def explained(lab: Lab) -> str:
    """What keeps the target unhealthy, and the last lines of the web server's console; '' where AWS shows neither."""
    with suppress(PlabError, LookupError, TypeError, ValueError):  # what explains a wait must not end it
        causes = [one for verdict in judge(evidence_of(lab)) for one in verdict.causes if one.cause.stage in BEHIND]
        return "\n".join(filter(None, [sentence(causes[0]) if causes else "", *_console(lab)]))
    return ""


def _console(lab: Lab) -> list[str]:
    """The last lines that the web server has printed; [] where AWS has none, or does not show them."""
    with suppress(PlabError):
        lines = console_of(lab, PROVIDER, lab.state.ids[SERVER]).splitlines() if SERVER in lab.state.ids else []
        return [f"  console: {on_one_line(line)}" for line in lines[-CONSOLE_LINES:]]
    return []


def _reached(lab: Lab, party: str) -> Account | None:
    """The party's account; None where plab has no credentials of it."""
    with suppress(PlabError):
        account = lab.account(party)
        return account if account.id else None
    return None


def _of_account(options: Options, screen: Screen, target: str) -> tuple[Evidence, str]:
    """The evidence of an endpoint or a service that plab did not make, with the environment's credentials."""
    session = open_account(options, screen)
    lab = session.lab()
    account = lab.provider
    screen.say(session.account_in_words(lab))
    place = f"local AWS, {account.region}" if session.server else f"account {account.id}, {account.region}"
    if ENDPOINT_ID.fullmatch(target):
        asked = Asked(account, ((Request("", account.id, account.region, target), account),))
    elif SERVICE_ID.fullmatch(target):
        asked = Asked(account, service=target)
    else:
        hint = "Name an endpoint (vpce-...) or a service (vpce-svc-...), or go to the folder of your lab."
        raise UsageError("There is no lab here, so plab does not know what to look at.", hint=hint)
    evidence = collect(asked, lambda tasks: engine.in_parallel(tasks, lambda task: task()))
    for half in evidence.halves:
        for kind in ("endpoints", "services"):
            if not any(h.rows.get(kind) for h in evidence.halves) and kind in half.unseen and _is_of(kind, target):
                raise PlabError(f"AWS did not show {target}: {half.unseen[kind]}.")
    return evidence, place


def _is_of(kind: str, target: str) -> bool:
    return bool((SERVICE_ID if kind == "services" else ENDPOINT_ID).fullmatch(target))


def _place(execution: Execution) -> str:
    region = execution.lab.provider.region
    return f"local AWS, {region}" if execution.session.server else f"account {execution.lab.provider.id}, {region}"


def _save(evidence: Evidence, path: Path) -> None:
    try:
        path.write_text(evidence.as_text(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None


def _chosen(found: list[Verdict], target: str) -> list[Verdict]:
    """The verdicts on a target; raises UsageError for one that the evidence does not have."""
    if not target:
        return found
    chosen = _named(found, target)
    if not chosen:
        known = [verdict.request.name or verdict.request.customer or verdict.request.endpoint for verdict in found]
        hint = f"One of: {', '.join(filter(None, dict.fromkeys(known))) or 'none'}"
        raise UsageError(f"Nothing here is called {target!r}.", hint=hint)
    return chosen


def _named(found: list[Verdict], target: str) -> list[Verdict]:
    """The verdicts on a consumer, a customer, an account, an endpoint, or all on a service."""
    return [
        verdict
        for verdict in found
        if target in {(one := verdict.request).name, one.customer, one.account, one.endpoint}
        or verdict.service.rpartition(".")[2] == target
    ]


def _advised(screen: Screen, row: dict[str, Any]) -> dict[str, Any]:
    """A verdict's JSON with plab's commands as they work in this folder."""
    fix = screen.advise(row["fix"]) if row["fix"] else row["fix"]
    also = [one | {"fix": screen.advise(one["fix"]) if one["fix"] else ""} for one in row["also"]]
    return row | {"fix": fix, "also": also}


def _refuse_region(region: str, target: str, customers: Collection[str]) -> None:
    """Raise UsageError for a Region that AWS does not have, or where the target has its own."""
    if region and not (ACCOUNT_ID.fullmatch(target) or target in customers):
        hint = f"plab why 123456789012 --region {region}"
        raise UsageError("--region is for an account or a customer; everything else has a Region.", hint=hint)
    if region and region not in known_regions():
        raise UsageError(f"{region!r} is no Region of AWS.", hint="For example: --region eu-west-1")


def _is_id(target: str) -> bool:
    return bool(ENDPOINT_ID.fullmatch(target) or SERVICE_ID.fullmatch(target))


def _print(screen: Screen, shown: list[Verdict], found: list[Verdict], place: str) -> None:
    for verdict in shown:
        _print_path(screen, verdict, place)
    if not shown:
        names = ", ".join(verdict.request.name or verdict.request.endpoint for verdict in found)
        screen.out(f"Nothing is wrong, as far as can be seen: {names or 'nobody asks for the service'}.")
        for text in dict.fromkeys(text for verdict in found for text in verdict.unseen):
            screen.out(f"Unseen:   {text}")


def _print_path(screen: Screen, verdict: Verdict, place: str) -> None:
    request = verdict.request
    who = ", ".join(filter(None, [request.customer, f"account {request.account}"]))
    name = f"{request.name}/endpoint" if request.name else who
    service = verdict.service.rpartition(".")[2] or "no service"
    port = f"  port {verdict.port}" if verdict.port else ""
    screen.out(f"{name} {request.endpoint or 'not built'} -> {service}{port}   {place}\n")
    for stage, (state, detail) in verdict.stages.items():
        screen.out(f"  {stage.value:<{WIDTH}}{state:<9} {detail}".rstrip())
        for one in verdict.causes:
            if one.cause.stage is stage and one.stops is not Stops.NOTHING:
                screen.out(f"  {'':<{WIDTH + 10}}{one.sighting.evidence}")
    screen.out("")
    for word, text in _lines(verdict):
        screen.out(f"{word:<9} {text}")
    screen.out("")


def _by_hand(verdict: Verdict, one: Judged) -> str:
    """The AWS CLI's line, with the account whose credentials it takes where the two sides have different ones."""
    text, account = one.sighting.by_hand, getattr(one.sighting.by_hand, "account", "")
    return f"{text}  # as account {account}" if text and account and verdict.has_two_accounts else text


def _lines(verdict: Verdict) -> list[tuple[str, str]]:
    first = verdict.first
    lines: list[tuple[str, str]] = []
    if first and first.stops is Stops.NOTHING:
        lines.append(("True:", f"{first.code}: {first.cause.sentence} {first.sighting.evidence}; packets pass"))
    if first:
        lines += [("Fix:", first.sighting.fix), ("By hand:", _by_hand(verdict, first))]
        to_do = first.sighting.to_do or first.cause.cure
        lines += [("To do:", to_do)] if not (first.sighting.fix or first.sighting.by_hand) else []
    elif not verdict.is_built and verdict.service and not verdict.request.name:
        lines.append(("To do:", f"Account {verdict.request.account} creates an endpoint to {verdict.service}."))
    elif not verdict.is_built:
        lines.append(("Fix:", "plab up"))
    else:
        lines.append(("Nothing", "is wrong, as far as can be seen."))
    for one in verdict.also:
        command = one.sighting.fix or _by_hand(verdict, one)
        lines.append(("Also:", sentence(one) + (f" -> {command}" if command else "")))
    return [(word, text) for word, text in [*lines, *(("Unseen:", text) for text in verdict.unseen)] if text]
