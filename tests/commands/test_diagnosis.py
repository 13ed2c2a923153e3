"""The verdict of `plab verify` on a probe's report and on what AWS shows: which hop is broken."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud, VirtualClock, config_of, id_of

from privatelink_lab import engine
from privatelink_lab.aws import Account
from privatelink_lab.commands import accept_reject, diagnosis
from privatelink_lab.engine import Built, Survey
from privatelink_lab.events import Verified
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.probe import ProbeReport
from privatelink_lab.steps.web_server import page

MESSAGE = config_of().provider.web_server.message
DIGEST = hashlib.sha256(page(MESSAGE)).hexdigest()


def answer(number: int = 0, **other: Any) -> dict[str, Any]:
    """What a probe writes about one answer; the first ones are the slowest."""
    times = {"connect_ms": 9.0 - number, "total_ms": 19.0 - number}
    return {"address": "10.1.0.4", "status": 200, "digest": DIGEST, "body": MESSAGE} | times | other


# The hop.


def survey(cloud: Cloud, lab: Lab) -> Survey:
    """What `verify` sees a minute later."""
    cloud.clock.sleep(60)
    return engine.survey(cloud.lab(lab.config, lab.state), STEPS)


def revoke(cloud: Cloud, built: Built, party: str, cidr: str) -> None:
    """Take a party's rule away by hand."""
    group = id_of(built, f"{party}/security-group")
    rule: dict[str, Any] = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": cidr}
    cloud.account().ec2.revoke_security_group_ingress(GroupId=group, **rule)


def revoke_endpoints_rule(cloud: Cloud, built: Built) -> None:
    """The endpoint's security group lets no packet in."""
    revoke(cloud, built, "acme", "10.1.0.0/16")


def revoke_targets_rule(cloud: Cloud, built: Built) -> None:
    """The balancer may not reach the web server."""
    revoke(cloud, built, "provider", "10.0.0.0/24")


def require_no_acceptance(cloud: Cloud, built: Built) -> None:
    """The service is not as the config says."""
    service = id_of(built, "provider/endpoint-service")
    cloud.account().ec2.modify_vpc_endpoint_service_configuration(ServiceId=service, AcceptanceRequired=False)


def stop_crossing_zones(cloud: Cloud, built: Built) -> None:
    """The balancer is not as `up` made it."""
    off: Any = [{"Key": "load_balancing.cross_zone.enabled", "Value": "false"}]
    arn = id_of(built, "provider/nlb")
    cloud.account().elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=off)


def delete_listener(cloud: Cloud, built: Built) -> None:
    """The listener is deleted."""
    cloud.account().elbv2.delete_listener(ListenerArn=id_of(built, "provider/nlb/listener"))


def stop_web_server(cloud: Cloud, built: Built) -> None:
    """The instance is stopped."""
    cloud.account().ec2.stop_instances(InstanceIds=[id_of(built, "provider/web-server")])


def deregister(cloud: Cloud, built: Built) -> None:
    """The target group is empty."""
    group = id_of(built, "provider/target-group")
    target: Any = {"Id": id_of(built, "provider/web-server")}
    cloud.account().elbv2.deregister_targets(TargetGroupArn=group, Targets=[target])


def delete_endpoint(cloud: Cloud, built: Built) -> None:
    """The consumer's endpoint is deleted."""
    cloud.account().ec2.delete_vpc_endpoints(VpcEndpointIds=[id_of(built, "acme/endpoint")])


BREAKS: tuple[tuple[Callable[[Cloud, Built], None], str, str], ...] = (
    (
        stop_crossing_zones,
        "balancer",
        "provider/nlb: cross-zone: off, the lab needs on",
    ),  # rarely stops a packet: named last
    (require_no_acceptance, "service", "provider/endpoint-service: acceptance required: off, the config says on"),
    (deregister, "target", "provider/target-group/registration: missing"),
    (revoke_targets_rule, "target security group", "provider/security-group/ingress: missing"),
    (stop_web_server, "web server", "provider/web-server: stopped"),
    (delete_listener, "listener", "provider/nlb/listener: missing"),
    (revoke_endpoints_rule, "endpoint security group", "acme/security-group/ingress: missing"),
    (delete_endpoint, "endpoint", "acme/endpoint: not there"),
)


def test_the_first_broken_hop_is_named(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The hops are broken in reverse order of the diagnosis: the verdict is always the first broken hop."""
    silent = ProbeReport(problem="no answer", detail="timed out", ended=True)
    for breaks, hop, words in BREAKS:
        breaks(cloud, built)
        found = diagnosis.verdict(lab, survey(cloud, lab), "acme", silent)
        assert found == diagnosis.broken_at("acme", hop, words)
    nothing: dict[str, Any] = {"addresses": []} | dict.fromkeys(("status", "body", "connect_ms", "total_ms"))
    assert (
        found.as_json() == {"event": "verified", "consumer": "acme", "ok": False, "hop": hop, "detail": words} | nothing
    )


def test_a_target_without_an_ingress_rule_is_unhealthy(cloud: Cloud, lab: Lab, built: Built) -> None:
    """Without the rule in its security group the web server fails its health checks."""
    revoke_targets_rule(cloud, built)
    found = survey(cloud, lab).found["provider/target-group/registration"]
    assert [row.detail for row in found] == ["unhealthy (Target.FailedHealthChecks)"]


def test_a_target_that_fails_its_checks(cloud: Cloud, lab: Lab) -> None:
    """Everything is in place and the server does not answer: the hop is the target."""
    cloud.aws.choose_faults([*cloud.always, {"kind": "target-fails"}])
    assert cloud.up(lab).exit_code == 1
    hop = diagnosis.first_broken_hop(survey(cloud, lab), "acme", "timed out")
    assert hop == ("target", "provider/target-group/registration: unhealthy (Target.FailedHealthChecks)")


def test_a_rejected_endpoint_is_the_hop(cloud: Cloud, lab: Lab, built: Built) -> None:
    """`endpoint_problem` says so before any probe, and so does the verdict on a probe that ran at that time."""
    assert diagnosis.endpoint_problem(survey(cloud, lab), "acme") is None
    accept_reject.reject(lab, accept_reject.connections(lab))
    shut = diagnosis.endpoint_problem(survey(cloud, lab), "acme")
    assert shut is not None
    assert (shut.ok, shut.hop) == (False, "endpoint")
    assert shut.detail == "acme/endpoint: was rejected; plab never re-admits a rejected endpoint"


def test_names_go_with_their_endpoint(cloud: Cloud, lab: Lab, built: Built) -> None:
    """The name of a deleted endpoint does not resolve: the hop is the endpoint, not `dns`."""
    delete_endpoint(cloud, built)
    report = ProbeReport(problem="dns", detail="Name or service not known", ended=True)
    assert diagnosis.verdict(lab, survey(cloud, lab), "acme", report).hop == "endpoint"


def test_what_aws_does_not_show_is_not_called_missing(cloud: Cloud, lab: Lab, built: Built) -> None:
    """AWS refuses a describe: for a hop on the way the hop is `path`; for the endpoint the verdict says so."""
    cloud.fail("DescribeTargetHealth", 403, "AccessDenied")
    hop, words = diagnosis.first_broken_hop(survey(cloud, lab), "acme", "timed out")
    assert hop == "path"
    assert words.startswith("timed out; AWS did not show every hop: provider/target-group/registration: Describe")
    cloud.fail("DescribeVpcEndpoints", 403, "UnauthorizedOperation")
    unseen = diagnosis.endpoint_problem(survey(cloud, lab), "acme")
    assert unseen is not None
    assert unseen.detail.startswith("AWS did not show acme/endpoint: DescribeVpcEndpoints")


def test_an_endpoint_that_waits_for_acceptance_is_the_hop(cloud: Cloud) -> None:
    """The endpoint is pendingAcceptance, and no packet passes it."""
    lab = cloud.lab(config_of({"name": "acme", "accept": "manual"}))
    cloud.up(lab)
    assert diagnosis.endpoint_problem(survey(cloud, lab), "acme") == diagnosis.broken_at(
        "acme", "endpoint", "acme/endpoint: pendingAcceptance"
    )


# The verdict.


@pytest.fixture
def whole() -> Callable[..., Verified]:
    """The verdict on a report, in a lab in which AWS shows nothing wrong."""

    def unasked(_: Party) -> Account:
        pytest.fail("a verdict asks AWS nothing")

    lab = Lab(config_of(), State(lab="test"), unasked, VirtualClock(), lambda _: None)
    resources = engine.planned(lab, STEPS)
    found: dict[str, tuple[Found, ...]] = dict.fromkeys(resources, (Found("id", Phase.READY),))
    seen = Survey(resources, found, {}, {}, Snapshot("test", "plab-test", {}, lambda *_: ()))
    return lambda *rows, **more: diagnosis.verdict(lab, seen, "acme", ProbeReport(rows, **more))


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
    assert (found.ok, found.hop, found.detail) == (False, "web server", words)
    assert (found.addresses, found.status, found.body) == (["10.1.0.4"], other.get("status", 200), other["body"])
    assert (found.connect_ms, found.total_ms) == (None, None)


def test_lost_answers_are_counted(whole: Callable[..., Verified]) -> None:
    """AWS shows nothing wrong: the hop is `path`, with the number of lost answers and what to check."""
    found = whole(answer(0), problem="no answer", detail="10.1.1.4 timed out", ended=True, tries=3)
    assert (found.ok, found.hop, found.addresses) == (False, "path", ["10.1.0.4"])
    lost = "2 of 3 requests got no answer (10.1.1.4 timed out)"
    assert found.detail.startswith(f"{lost}; AWS shows no broken hop: check network ACLs")


@pytest.mark.parametrize(
    ("report", "hop", "words"),
    [
        ({"problem": "dns", "detail": "Name or service not known"}, "dns", "Name or service not known"),
        ({"problem": "no answer", "detail": "timed out"}, "path", "timed out; AWS shows no broken hop"),
        ({}, "path", "no answer; AWS shows no broken hop"),
    ],
    ids=["dns", "silence", "empty report"],
)
def test_no_answer_at_all(whole: Callable[..., Verified], report: dict[str, str], hop: str, words: str) -> None:
    """The hop is `dns` for a name that does not resolve, and `path` for silence with everything in place."""
    found = whole(**report, ended=True)
    assert (found.ok, found.hop) == (False, hop)
    assert found.detail.startswith(words)
