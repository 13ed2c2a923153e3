"""Customers who hold their own keys: who may ask, who is admitted by the rules, by name, by id, and who stays out."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from support.cloud import Cloud, config_of
from support.command_line import Run
from support.customers import ask, build

from privatelink_lab import tags
from privatelink_lab.commands import by_rules
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.events import Event, Ruled
from privatelink_lab.steps import acceptance
from privatelink_lab.ui.output import Screen

ACME, BRAVO, DELTA, OLDCO, NOBODY = ("222222222222", "333333333333", "444444444444", "555555555555", "666666666666")
CUSTOMERS = {
    "acme": {"accounts": [ACME]},
    "bravo": {"accounts": [BRAVO], "endpoints": 2},
    "delta": {"accounts": [DELTA], "accept": "manual", "note": "asks by mail"},
    "oldco": {"accounts": [OLDCO], "access": "revoked"},
}
CONFIG = f"""\
lab: test
region: us-east-1
customers:
  acme: {{accounts: ['{ACME}']}}
  bravo: {{accounts: ['{BRAVO}'], endpoints: 2}}
  delta: {{accounts: ['{DELTA}'], accept: manual, note: asks by mail}}
  oldco: {{accounts: ['{OLDCO}']}}
"""
REVOKED = CONFIG.replace(f"oldco: {{accounts: ['{OLDCO}']}}", f"oldco: {{accounts: ['{OLDCO}'], access: revoked}}")


@pytest.fixture
def service(at_cloud: Cloud, run: Run, tmp_path: Path) -> str:
    """The name of a service with four customers, whose lab is up."""
    return build(at_cloud, run, tmp_path, CONFIG)


def without(config: str, *accounts: str) -> str:
    """The config without the lines of these accounts."""
    return "\n".join(line for line in config.splitlines() if not any(account in line for account in accounts))


def states(cloud: Cloud) -> dict[str, str]:
    """The state of each connection by its endpoint's id."""
    rows = cloud.account().ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    return {row["VpcEndpointId"]: row["VpcEndpointState"] for row in rows}


def test_up_lets_the_accounts_ask_and_admits_nobody(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """A permission for each account that has access; a revoked one loses it at the next `up`."""
    ec2, id_ = at_cloud.account().ec2, service.rpartition(".")[2]

    def allowed() -> set[str]:
        rows = ec2.describe_vpc_endpoint_service_permissions(ServiceId=id_)["AllowedPrincipals"]
        return {row["Principal"].split(":")[4] for row in rows}

    endpoint = ask(at_cloud, service, ACME)
    assert allowed() == {ACME, BRAVO, DELTA, OLDCO}
    (tmp_path / "plab.yaml").write_text(REVOKED)
    assert run("up", "-q").code == 0
    assert allowed() == {ACME, BRAVO, DELTA}
    assert states(at_cloud) == {endpoint: "pendingAcceptance"}


def test_who_is_revoked_is_cut_and_stays_out(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """The permission goes first, then the connections, without a question; no later `up` or person brings them back."""
    held, waits = ask(at_cloud, service, OLDCO), ask(at_cloud, service, OLDCO)
    other = ask(at_cloud, service, ACME)
    assert run("accept", held, other, "-y").code == 0
    (tmp_path / "plab.yaml").write_text(REVOKED)
    plan = {row["key"]: row for row in run("up", "--dry-run", "--json").json[-1]["plan"]}
    shown = plan["provider/endpoint-service/revocation"]
    assert shown["action"] == "update"
    assert held in shown["detail"]
    assert waits in shown["detail"]
    at_cloud.calls()
    ran = run("up", "-q")
    assert ran.code == 0
    assert at_cloud.changes() == ["ModifyVpcEndpointServicePermissions", "RejectVpcEndpointConnections"]
    assert states(at_cloud) == {held: "rejected", waits: "rejected", other: "available"}
    assert run("up", "-q").code == 0
    assert at_cloud.changes() == []
    assert run("accept", held, "-y").code == 2
    (tmp_path / "plab.yaml").write_text(CONFIG)
    assert run("up", "-q").code == 0
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == []


def test_the_rules_admit_who_should_be_and_say_why(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """The oldest of acme, both of bravo; no manual one, no revoked one. It is written down, and nothing is left."""
    first, second = ask(at_cloud, service, ACME), ask(at_cloud, service, ACME)
    both = {ask(at_cloud, service, BRAVO), ask(at_cloud, service, BRAVO)}
    manual, old = ask(at_cloud, service, DELTA), ask(at_cloud, service, OLDCO)
    (tmp_path / "plab.yaml").write_text(REVOKED)
    ran = run("accept", "--rules", "--json")
    assert ran.code == 0
    assert {row["endpoint"]: row["reason"] for row in ran.json if row["event"] == "ruled"} == {
        first: "admit",
        second: "limit-reached",
        **dict.fromkeys(both, "admit"),
        manual: "manual",
        old: "revoked",
    }
    assert set(ran.json[-1]["accepted"]) == {first, *both}
    assert ran.json[-1]["held"] == {second: "limit-reached", manual: "manual", old: "revoked"}
    assert {id_ for id_, state in states(at_cloud).items() if state == "available"} == {first, *both}
    rows = run("connections", "--json").json[0]["connections"]
    written = {row["endpoint"]: (row["rule"], row["admitted_by"], row["reason"]) for row in rows if row["rule"]}
    arn = at_cloud.account().arn
    assert written == {
        first: ("customer acme", arn, "admitted"),
        **dict.fromkeys(both, ("customer bravo", arn, "admitted")),
    }
    at_cloud.calls()
    again = run("accept", "--rules")
    assert (again.code, again.out) == (0, "")
    assert f"{second} of account {ACME}: limit-reached (acme has 1 of 1 endpoints: {first})" in again.err
    assert at_cloud.changes() == []


def test_a_person_admits_by_name_and_by_id(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """A name admits what is manual; what is over the limit takes its id; a revoked account is admitted in no way."""
    manual, old, nobody = ask(at_cloud, service, DELTA), ask(at_cloud, service, OLDCO), None
    first, second = ask(at_cloud, service, ACME), ask(at_cloud, service, ACME)
    (tmp_path / "plab.yaml").write_text(REVOKED)
    assert run("accept", "delta", "-y").code == 0
    assert run("accept", "acme", "-y").code == 0
    assert states(at_cloud) == {
        manual: "available",
        old: "pendingAcceptance",
        first: "available",
        second: "pendingAcceptance",
    }
    skipped = run("accept", "acme", "-y")
    assert f"limit-reached (acme has 1 of 1 endpoints: {first}). To admit it: plab accept {second}" in skipped.err
    assert run("accept", second, "-y").code == 0
    for words in ((old, "-y"), ("oldco", "-y"), ("--all", "-y")):
        ran = run("accept", *words)
        assert states(at_cloud)[old] == "pendingAcceptance", words
        assert "customers.oldco.access" in ran.err or "access: revoked" in ran.err
    rules = {row["endpoint"]: row["rule"] for row in run("connections", "--json").json[0]["connections"]}
    assert rules == {manual: "customer delta by hand", first: "customer acme", second: "by hand", old: nobody}


def test_what_should_not_be_comes_first(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """Bravo's limit is lowered: nobody is cut, the younger one stands first with its command; then it is rejected."""
    older, younger = ask(at_cloud, service, BRAVO), ask(at_cloud, service, BRAVO)
    assert run("accept", "--rules", "-q").code == 0
    (tmp_path / "plab.yaml").write_text(CONFIG.replace("endpoints: 2", "endpoints: 1"))
    out = run("connections").out
    assert out.splitlines()[0] == (
        f"{younger} of bravo is available and should not be: limit-reached (bravo has 2 of 1 endpoints)."
        f" Next: plab reject {younger}"
    )
    assert [row["endpoint"] for row in run("connections", "bravo", "--json").json[0]["connections"]] == [younger, older]
    assert run("connections", "--state", "pendingAcceptance", "--json").json[0]["connections"] == []
    ran = run("reject", "bravo", "-y")
    assert ran.code == 0
    assert set(states(at_cloud).values()) == {"rejected"}
    assert "bravo pays for a rejected endpoint until it deletes it." in ran.err
    assert "customers.bravo: access: revoked" in ran.err
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == []


def test_a_stranger_is_nobodys_customer(at_cloud: Cloud, run: Run, service: str) -> None:
    """An account that somebody allowed by hand: the rules leave it, its id admits it."""
    principal = f"arn:aws:iam::{NOBODY}:root"
    at_cloud.account().ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service.rpartition(".")[2], AddAllowedPrincipals=[principal]
    )
    endpoint = ask(at_cloud, service, NOBODY)
    assert run("accept", "--rules", "--json").json[-1]["held"] == {endpoint: "no-customer"}
    assert run("accept", "--all", "-y").code == 0
    assert states(at_cloud) == {endpoint: "pendingAcceptance"}
    assert run("accept", endpoint, "-y").code == 0
    assert states(at_cloud) == {endpoint: "available"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("accept", "--rules", "acme"), "name none"),
        (("accept", "--watch", "5", "--all"), "name none"),
        (("connections", "nobody"), "no connection of an endpoint, consumer or customer nobody"),
    ],
)
def test_what_cannot_be_meant(at_cloud: Cloud, run: Run, service: str, words: tuple[str, ...], said: str) -> None:
    """Exit 2, and nothing is changed."""
    ask(at_cloud, service, ACME)
    at_cloud.calls()
    ran = run(*words)
    assert ran.code == 2
    assert said in ran.err
    assert at_cloud.changes() == []


def test_rules_without_customers(at_cloud: Cloud, run: Run) -> None:
    """A config without customers has no rules, and says where they go."""
    assert run("up", "-q").code == 0
    ran = run("accept", "--rules")
    assert ran.code == 2
    assert "has no customers" in ran.err


def test_watch_goes_on_through_errors_and_ends_cleanly(cloud: Cloud, capsys: pytest.CaptureFixture[str]) -> None:
    """One line per decision; a look that AWS refuses is tried again later; a signal ends it with exit code 0."""
    events: list[Event] = []
    lab = cloud.lab(config_of({"name": "own"}, customers=CUSTOMERS))
    built = cloud.up(lab)
    service = built.done["provider/endpoint-service"][0].shows["service_name"]
    cloud.let_new_ids_propagate()
    lab.emit = events.append
    endpoints, pauses = [], []
    before = cloud.clock.sleep

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        before(seconds)
        turn = len(pauses)
        if turn == 1:
            endpoints.append(ask(cloud, service, ACME))
        elif turn == 2:
            cloud.fail("DescribeVpcEndpointConnections", 400, "ExpiredToken")
        elif turn == 4:
            cloud.heal()
            endpoints.append(ask(cloud, service, ACME))
        elif turn == 6:
            lab.interrupt()

    cloud.clock.sleep = sleep  # type: ignore[method-assign]
    stub = SimpleNamespace(lab=lab, screen=Screen(), finish=lambda result, code: (result, code))
    result, code = cast("Any", by_rules.watch(cast("Execution", stub), 30))
    assert (code, result["accepted"]) == (0, endpoints[:1])
    told = [(event.endpoint, event.reason) for event in events if isinstance(event, Ruled)]
    assert told == [(endpoints[0], "admit"), (endpoints[1], "limit-reached")]
    assert pauses == [30, 30, 60, 120, 30, 30]
    assert "plab looks again in 120 s" in capsys.readouterr().err
    rows = cloud.account().ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    rules = {row["VpcEndpointId"]: tags.of(row).get(tags.RULE) for row in rows}
    assert rules[endpoints[0]] == "customer acme"
    assert rules[endpoints[1]] is None


def test_two_operators_at_one_moment(cloud: Cloud) -> None:
    """AWS answers InvalidState to the second one: the endpoint is admitted, and nobody's run fails."""
    lab = cloud.lab(config_of({"name": "own"}, customers=CUSTOMERS))
    built = cloud.up(lab)
    service = built.done["provider/endpoint-service"][0].shows["service_name"]
    cloud.let_new_ids_propagate()
    ask(cloud, service, ACME)
    stub = SimpleNamespace(lab=lab, screen=Screen(), finish=lambda result, code: (result, code))
    told: dict[str, str] = {}
    accept, first = acceptance.accept, list[Any]()

    def second(account: Any, service: str, endpoints: Any) -> Any:
        chosen = list(endpoints)
        if not first:
            first.append(accept(account, service, chosen))
        return accept(account, service, chosen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(acceptance, "accept", second)
        assert by_rules._look(cast("Execution", stub), told) == []
    assert set(states(cloud).values()) <= {"pending", "available"}


def test_why_takes_a_customer(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """The name stands for all of its accounts, connected or not; a saved file knows the name without the config."""
    third = "777777777777"
    (tmp_path / "plab.yaml").write_text(CONFIG.replace(f"['{BRAVO}']", f"['{BRAVO}', '{third}']"))
    assert run("up", "-q").code == 0
    first, second, other = ask(at_cloud, service, BRAVO), ask(at_cloud, service, BRAVO), ask(at_cloud, service, ACME)
    at_cloud.let_new_ids_propagate()

    def paths(*words: str) -> list[tuple[str, str | None, str | None]]:
        found = run("why", *words, "--json").json[-1]["paths"]
        assert {path["customer"] for path in found} == {words[0]}
        return [(path["account"], path["endpoint"], path["code"]) for path in found]

    waits = "waiting-for-acceptance"
    expected = [(BRAVO, first, waits), (third, None, None), (BRAVO, second, waits)]
    assert paths("bravo") == expected
    assert paths("bravo", "--save", "bravo.json") == expected
    assert paths("acme") == [(ACME, other, waits)]
    out = run("why", "bravo").out
    assert f"bravo, account {BRAVO} {first} -> " in out
    assert f"To do:    Account {third} creates an endpoint to {service}." in out
    assert paths("bravo", "--region", "eu-west-1") == [
        (BRAVO, None, "region-not-offered"),
        (third, None, "region-not-offered"),
    ]
    (tmp_path / "plab.yaml").unlink()
    assert paths("bravo", "--from", "bravo.json") == expected
    unknown = run("why", "bravi", "--from", "bravo.json")
    assert (unknown.code, "One of: bravo, acme" in unknown.err) == (2, True)


@pytest.mark.parametrize(
    "case",
    [
        (ACME, "Fix:      the line to add to the config"),
        (OLDCO, "To do:    Nothing, or `access: given` for oldco in the config"),
    ],
)
def test_why_lets_nobody_in_against_the_config(
    at_cloud: Cloud, run: Run, service: str, tmp_path: Path, case: tuple[str, str]
) -> None:
    """Who may not ask by the config's own words gets no line that gives the permission; an unknown account gets one."""
    whose, advised = case
    waits = ask(at_cloud, service, OLDCO)
    (tmp_path / "plab.yaml").write_text(without(REVOKED, ACME))
    status = run("status").out
    assert "the config says access: revoked" in status
    assert "does not name this account" not in status
    assert run("up", "-q", "--prune", "-y").code == 0
    asked = run("why", whose)
    assert asked.code == 1
    assert advised in asked.out
    assert ("modify-vpc-endpoint-service-permissions" in asked.out) == (whose == ACME)
    assert states(at_cloud) == {waits: "rejected"}


def test_connections_name_first_whose_customer_has_gone(
    at_cloud: Cloud, run: Run, service: str, tmp_path: Path
) -> None:
    """What a rule has admitted should not be there without its customer; what a person has admitted by id may be."""
    by_rule, by_id = ask(at_cloud, service, ACME), ask(at_cloud, service, BRAVO)
    (tmp_path / "plab.yaml").write_text(without(CONFIG, BRAVO))
    assert run("accept", by_id, "-y", "-q").code == 0
    assert run("accept", "--rules", "-q").code == 0
    (tmp_path / "plab.yaml").write_text(without(CONFIG, ACME, BRAVO))
    first = run("connections").out.splitlines()[0]
    assert first.startswith(f"{by_rule} of account {ACME} is available and should not be: no-customer")
    assert f"{by_id} of account" not in run("connections").out


def test_a_connection_without_an_endpoint_is_shown_and_left_alone(
    at_cloud: Cloud, run: Run, service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row of AWS that names no endpoint is listed; no rule admits it, and `down` does not wait for it."""
    endpoint = ask(at_cloud, service, ACME)
    other = {"ServiceId": "vpce-svc-0", "VpcEndpointOwner": NOBODY, "VpcEndpointState": "pendingAcceptance"}
    rows = acceptance._rows
    monkeypatch.setattr(
        acceptance, "_rows", lambda *of: [*rows(*of), {"VpcEndpointConnectionId": "vpce-con-0", **other}]
    )
    assert f"vpce-con-0 of account {NOBODY} is pendingAcceptance; it names no endpoint" in run("connections").out
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == [endpoint]
    assert run("down", "-y", "-q", "--force").code == 0
