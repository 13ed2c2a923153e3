"""The verdict of `plab verify` on a probe's report and on what AWS shows: which hop is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud, VirtualClock, config_of, id_of

from privatelink_lab.aws import Account
from privatelink_lab.commands import accept_reject, diagnosis
from privatelink_lab.commands.why import evidence_of
from privatelink_lab.engine import Built
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party, State
from privatelink_lab.steps.probe import ProbeReport
from privatelink_lab.steps.web_server import page
from privatelink_lab.why import Evidence, Request, judge

MESSAGE = config_of().provider.web_server.message
DIGEST = hashlib.sha256(page(MESSAGE)).hexdigest()


def answer(number: int = 0, **other: Any) -> dict[str, Any]:
    """What a probe writes about one answer; the first ones are the slowest."""
    times = {"connect_ms": 9.0 - number, "total_ms": 19.0 - number}
    return {"address": "10.1.0.4", "status": 200, "digest": DIGEST, "body": MESSAGE} | times | other


# The hop.


def evidence(cloud: Cloud, lab: Lab) -> Evidence:
    """What `verify` collects a minute later."""
    cloud.clock.sleep(60)
    return evidence_of(cloud.lab(lab.config, lab.state))


def at_once(cloud: Cloud, lab: Lab) -> Verified | None:
    """What `verify` says of acme before any probe."""
    return diagnosis.known_at_once(next(one for one in judge(evidence(cloud, lab)) if one.request.name == "acme"))


def stop_crossing_zones(cloud: Cloud, built: Built) -> None:
    """The balancer is not as `up` made it; with one zone that stops nothing."""
    off: Any = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    arn = id_of(built, "provider/nlb")
    cloud.account().elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=off)


def delete_endpoint(cloud: Cloud, built: Built) -> None:
    """The consumer's endpoint is deleted."""
    cloud.account().ec2.delete_vpc_endpoints(VpcEndpointIds=[id_of(built, "acme/endpoint")])


SILENT = ProbeReport(problem="no answer", detail="timed out", ended=True)


def test_what_merely_differs_is_not_the_hop(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A setting that stops no packet here is not named: nothing is known at once, and the hop is `path`."""
    stop_crossing_zones(cloud, built)
    assert at_once(cloud, lab) is None
    found = diagnosis.verdict(lab, evidence(cloud, lab), "acme", SILENT)
    assert (found.hop, found.detail) == ("path", "timed out; AWS shows nothing that is wrong")


def test_a_rejected_endpoint_is_known_at_once(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Before any probe, with the command that makes another one; a probe that ran at that time says the same."""
    assert at_once(cloud, lab) is None
    accept_reject.reject(lab, accept_reject.connections(lab))
    known = at_once(cloud, lab)
    assert known is not None
    assert (known.ok, known.hop, known.fix) == (False, "acceptance", "plab up --replace acme/endpoint")
    assert known.detail.startswith("rejected: The provider has rejected the endpoint. ")
    assert diagnosis.verdict(lab, evidence(cloud, lab), "acme", SILENT).detail == known.detail


def test_names_go_with_their_endpoint(cloud: Cloud, lab: Lab, built: Built) -> None:
    """A deleted endpoint is not built; it is no matter of DNS."""
    delete_endpoint(cloud, built)
    known = at_once(cloud, lab)
    assert known is not None
    assert (known.hop, known.detail, known.fix) == ("endpoint", "not built", "plab up")


def test_a_target_that_fails_its_checks(cloud: Cloud, lab: Lab) -> None:
    """Only a probe shows whether an unhealthy server answers, because AWS sends packets to it: then it is fail-open."""
    cloud.aws.choose_faults([*cloud.always, {"kind": "target-fails"}])
    assert cloud.up(lab).exit_code == 1
    assert at_once(cloud, lab) is None
    found = diagnosis.verdict(lab, evidence(cloud, lab), "acme", SILENT)
    assert (found.hop, found.detail.partition(":")[0], found.fix) == (
        "server",
        "target-unhealthy",
        "plab up --replace provider/web-server",
    )
    answers = ProbeReport((answer(),), ended=True, tries=1, ping=False)
    found = diagnosis.verdict(lab, evidence(cloud, lab), "acme", answers)
    assert (found.ok, found.hop) == (True, None)
    assert [text.partition(":")[0] for text in found.also] == ["ping-is-no-test", "fail-open"]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("Serving HTTP on 127.0.0.1 port 80 (http://127.0.0.1:80/) ...", "server-on-localhost"),
        ("[   14.2] web: listening on [::1]:80\r", "server-on-localhost"),
        ("ready at http://localhost:80/", "server-on-localhost"),
        ("Serving HTTP on 0.0.0.0 port 80 (http://0.0.0.0:80/) ...", "target-unhealthy"),
        ("metrics on 127.0.0.1:8080", "target-unhealthy"),
        ("connecting to 127.0.0.1", "target-unhealthy"),
    ],
)
def test_a_server_that_listens_on_its_own_address_only(
    cloud: Cloud, lab: Lab, monkeypatch: pytest.MonkeyPatch, line: str, code: str
) -> None:
    """No packet shows it from outside; the web server's console does, where it says so for the port."""
    cloud.aws.choose_faults([*cloud.always, {"kind": "target-fails"}])
    cloud.up(lab)
    monkeypatch.setattr(diagnosis, "console_of", lambda *_: f"boot\n{line}\nlogin:")
    found = diagnosis.verdict(lab, evidence(cloud, lab), "acme", SILENT)
    assert (found.hop, found.fix) == ("server", "plab up --replace provider/web-server")
    assert found.detail.startswith(f"{code}: ")
    assert (line.strip() in found.detail) == (code == "server-on-localhost")


def test_what_aws_does_not_show_is_not_called_broken(cloud: Cloud, lab: Lab, built: Built) -> None:
    """AWS refuses a describe: the hop is `path`, and the sentence says what was not shown."""
    cloud.fail("DescribeTargetHealth", 403, "AccessDenied")
    found = diagnosis.verdict(lab, evidence(cloud, lab), "acme", SILENT)
    assert found.hop == "path"
    assert "AWS did not show everything: targets of account 123456789012: AccessDenied" in found.detail


def test_an_endpoint_that_waits_for_acceptance_is_the_hop(cloud: Cloud) -> None:
    """The endpoint is pendingAcceptance, and no packet passes it; the command is `plab accept`."""
    lab = cloud.lab(config_of({"name": "acme", "accept": "manual"}))
    cloud.up(lab)
    known = at_once(cloud, lab)
    assert known is not None
    assert (known.hop, known.fix) == ("acceptance", "plab accept acme")


# The verdict.


@pytest.fixture
def whole() -> Callable[..., Verified]:
    """The verdict on a report, in a lab in which AWS shows nothing wrong."""

    def unasked(_: Party) -> Account:
        pytest.fail("a verdict asks AWS nothing")

    lab = Lab(config_of(), State(lab="test"), unasked, VirtualClock(), lambda _: None)
    nothing = Evidence(at="", lab="test", port=80, requests=(Request("acme", "1", "us-east-1", "vpce-1"),))
    return lambda *rows, **more: diagnosis.verdict(lab, nothing, "acme", ProbeReport(rows, **more))


def test_the_message_in_every_answer_is_ok(whole: Callable[..., Verified]) -> None:
    """The verdict has median and maximum of the times, and all of them in order."""
    found = whole(answer(0), answer(1), answer(2), ended=True, tries=3)
    assert (found.ok, found.hop, found.detail) == (True, None, "3 of 3 requests")
    assert (found.addresses, found.status, found.body) == (["10.1.0.4"], 200, MESSAGE)
    assert found.connect_ms == {"p50": 8.0, "max": 9.0, "each": [9.0, 8.0, 7.0]}
    assert found.total_ms == {"p50": 18.0, "max": 19.0, "each": [19.0, 18.0, 17.0]}


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"digest": "0" * 64, "body": "Goodbye"}, "it answered 200 with 'Goodbye'"),
        ({"status": 503, "body": "busy"}, "it answered 503 with 'busy'"),
        ({"status": 0, "body": "SSH-2.0"}, "it does not speak HTTP: 'SSH-2.0'"),
    ],
    ids=["body", "status", "no HTTP"],
)
def test_another_page_is_the_web_servers(whole: Callable[..., Verified], other: dict[str, Any], words: str) -> None:
    """One wrong body or status among good ones: packets pass, but the page is not the config's."""
    found = whole(answer(0), answer(1, **other), answer(2), ended=True, tries=3)
    assert (found.ok, found.hop, found.detail) == (False, "server", words)
    assert (found.addresses, found.status, found.body) == (["10.1.0.4"], other.get("status", 200), other["body"])
    assert (found.connect_ms, found.total_ms) == (None, None)


def test_lost_answers_are_counted(whole: Callable[..., Verified]) -> None:
    """AWS shows nothing wrong: the hop is `path`, with the number of lost answers."""
    found = whole(answer(0), problem="no answer", detail="10.1.1.4 timed out", ended=True, tries=3)
    assert (found.ok, found.hop, found.addresses) == (False, "path", ["10.1.0.4"])
    lost = "2 of 3 requests got no answer (10.1.1.4 timed out)"
    assert found.detail.startswith(f"{lost}; AWS shows nothing that is wrong")


@pytest.mark.parametrize(
    ("report", "hop", "words"),
    [
        ({"problem": "dns", "detail": "Name or service not known"}, "dns", "Name or service not known"),
        ({"problem": "no answer", "detail": "timed out"}, "path", "timed out; AWS shows nothing that is wrong"),
        ({}, "path", "no answer; AWS shows nothing that is wrong"),
    ],
    ids=["dns", "silence", "empty report"],
)
def test_no_answer_at_all(whole: Callable[..., Verified], report: dict[str, str], hop: str, words: str) -> None:
    """The hop is `dns` for a name that does not resolve, and `path` for silence with everything in place."""
    found = whole(**report, ended=True)
    assert (found.ok, found.hop) == (False, hop)
    assert found.detail.startswith(words)
