"""A request that was refused, or that never came to its end: `why` names the cause without an endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support import broken_lab
from support.broken_lab import BrokenLab
from support.cloud import Cloud
from support.command_line import Run

from privatelink_lab.commands.why import evidence_of
from privatelink_lab.why import judge

Faults = list[dict[str, Any]]


def refusal(action: str, code: str, message: str = "", status: int = 400) -> dict[str, Any]:
    """A call that AWS refuses with this sentence."""
    return {"kind": "error", "action": action, "status": status, "code": code, "message": message}


NO_NAME = "Private DNS can't be enabled because the service does not provide a private DNS name."
NO_GATEWAY = "Endpoint type (Gateway) does not match available service types ([Interface])."
FAULTS: list[tuple[str, dict[str, Any], str]] = [  # the code, the fault under `up`, and the command that ends it
    ("expired", {"kind": "endpoint-expires", "seconds": 60.0}, "plab up --replace acme/endpoint"),
    ("failed", {"kind": "endpoint-fails"}, "plab up --replace acme/endpoint"),
    ("balancer-not-active", {"kind": "balancer-fails"}, "plab up --replace provider/nlb"),
    (
        "denied-by-policy",
        {"kind": "error", "action": "CreateVpcEndpoint", "status": 403, "code": "UnauthorizedOperation"},
        "plab iam-policy consumer",
    ),
    # plab's own requests are not refused so; whoever made another one gets these sentences.
    ("private-dns-not-offered", refusal("CreateVpcEndpoint", "InvalidParameter", NO_NAME), "plab up"),
    ("wrong-type", refusal("CreateVpcEndpoint", "InvalidParameter", NO_GATEWAY), "plab up"),
]
LASTING = [  # what `up` asks for again and again, until it gives up
    ("service-too-new", refusal("CreateVpcEndpoint", "Unavailable", status=503)),
    ("peered-target-by-instance", refusal("RegisterTargets", "InvalidTarget")),
]


@pytest.fixture
def lab(at_cloud: Cloud, run: Run, tmp_path: Path) -> BrokenLab:
    """A lab that is not built yet."""
    return BrokenLab(at_cloud, run, tmp_path)


@pytest.mark.parametrize(("code", "fault", "fix"), FAULTS, ids=[row[0] for row in FAULTS])
def test_what_keeps_up_from_its_end(lab: BrokenLab, code: str, fault: dict[str, Any], fix: str) -> None:
    """AWS ends the resource, or refuses the call: its code comes first, and its command works once AWS is well."""
    lab.cloud.aws.choose_faults([*lab.cloud.always, fault])
    if code == "expired":
        lab.change_config("accept: auto", "accept: manual")
    lab.up()
    if code == "expired":
        lab.cloud.clock.sleep(3600)
    [path] = lab.why("acme")
    assert (path["code"], path["fix"]) == (code, fix)
    lab.cloud.heal()
    lab.type(path["fix"])
    lab.up()
    assert lab.why("acme")[0]["code"] in {None, "waiting-for-acceptance"}


@pytest.mark.parametrize(("code", "fault"), LASTING, ids=[row[0] for row in LASTING])
def test_what_up_asks_for_until_it_gives_up(cloud: Cloud, code: str, fault: dict[str, Any]) -> None:
    """The state keeps AWS's last word: its code comes first, and `plab up` works once AWS is well."""
    cloud.aws.choose_faults([*cloud.always, fault])
    lab = cloud.lab()
    assert cloud.up(lab).exit_code == 1
    cloud.let_new_ids_propagate()
    [verdict] = judge(evidence_of(cloud.lab(lab.config, lab.state)))
    assert verdict.first is not None
    assert (verdict.first.code, verdict.first.sighting.fix, verdict.also) == (code, "plab up", ())
    cloud.heal()
    assert cloud.up_again(lab).exit_code == 0
    [verdict] = judge(evidence_of(cloud.lab(lab.config, lab.state)))
    assert verdict.causes == ()


@pytest.mark.parametrize(
    ("code", "zones"), [("zone-not-served", ["use1-az5"]), ("two-subnets-one-zone", ["use1-az1", "use1-az1"])]
)
def test_subnets_that_cannot_serve(lab: BrokenLab, code: str, zones: list[str]) -> None:
    """`up` refuses them before anything is made; with the provider's half there, `why` says what is wrong with them."""
    lab.change_config("consumers:\n  - name: acme\n    accept: auto", "consumers: []")
    assert lab.up().code == 0
    lab.change_config("consumers: []", broken_lab.another_vpc(lab, *zones))
    lab.run("up", "-q")
    [path] = lab.why("acme")
    assert path["code"] == code
    assert path["fix"].startswith("the line to change in the config: subnet_ids of this consumer")


def test_a_switch_that_is_for_new_requests_only(lab: BrokenLab) -> None:
    """The service requires no acceptance any more; who asked before waits until it is accepted."""
    lab.change_config("accept: auto", "accept: manual")
    lab.up()
    broken_lab.stop_requiring(lab)
    [path] = lab.why("acme")
    assert (path["code"], path["also"]) == ("acceptance-switched", [])
    lab.type(path["fix"])
    assert lab.why("acme")[0]["code"] is None


def test_two_endpoints_to_one_service(lab: BrokenLab) -> None:
    """Each is billed, and packets pass: the command deletes the other one."""
    lab.up()
    broken_lab.ask_twice(lab)
    path, other = lab.why()
    assert (path["code"], path["stops"]) == ("duplicate-request", "nothing")
    assert lab.endpoint not in path["by_hand"]
    also = {row["code"]: row["by_hand"] for row in [other, *other["also"]]}
    assert also["duplicate-request"] == path["by_hand"]  # else both are deleted
    lab.type(path["by_hand"])
    assert lab.why("acme")[0]["code"] is None


def test_a_server_that_was_replaced_leaves_no_cause(lab: BrokenLab) -> None:
    """AWS may still list the old server, which has ended: packets go to the new one, and nothing is wrong."""
    lab.up()
    assert lab.up("--replace", "provider/web-server", "-y").code == 0
    assert lab.run("why").code == 0


def test_a_role_of_another_account_is_allowed_and_another_one_asks(lab: BrokenLab) -> None:
    """Whether the caller is that role is not known: the cause is likely, and the account can be allowed."""
    lab.up()
    broken_lab.allow_a_role(lab)
    [path] = lab.why("333333333333")
    assert (path["code"], path["confidence"], path["by_hand"]) == ("role-principal-mismatch", "likely", "")
    assert path["fix"].startswith("the line to add to the config: allowed_principals: ['333333333333']")


@pytest.mark.parametrize(
    ("refusal", "code"), [("Throttling", "throttled"), ("ExpiredToken", "credentials-expired-midway")]
)
def test_a_describe_that_aws_refuses(lab: BrokenLab, refusal: str, code: str) -> None:
    """It is said, and nothing else is made of it: what was not shown is not called broken."""
    lab.up()
    fault = {"kind": "error", "action": "DescribeNetworkAcls", "status": 400, "code": refusal}
    lab.cloud.aws.choose_faults([*lab.cloud.always, fault])
    [path] = lab.why("acme")
    assert (path["code"], path["stops"]) == (code, "nothing")
    assert any("acls" in text for text in path["unseen"])


def test_the_groups_of_somebody_elses_balancer(lab: BrokenLab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that plab did not make: all is available and healthy, and its balancer's group admits no client."""
    lab.up()
    ec2, elbv2 = lab.ec2, lab.elbv2
    vpc, subnet = lab.id("provider/vpc"), lab.id("provider/subnet-1")
    group = broken_lab.other_group(lab, vpc)
    made = elbv2.create_load_balancer(
        Name="other", Type="network", Scheme="internal", Subnets=[subnet], SecurityGroups=[group]
    )
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    lab.cloud.let_new_ids_propagate()
    targets = elbv2.create_target_group(Name="other", Protocol="TCP", Port=80, VpcId=vpc)["TargetGroups"][0]
    lab.cloud.let_new_ids_propagate()
    server = [{"Id": lab.id("provider/web-server")}]
    elbv2.register_targets(TargetGroupArn=targets["TargetGroupArn"], Targets=server)
    forward = [{"Type": "forward", "TargetGroupArn": targets["TargetGroupArn"]}]
    elbv2.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=80, DefaultActions=forward)
    service = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn], AcceptanceRequired=False)
    lab.cloud.let_new_ids_propagate()
    name = service["ServiceConfiguration"]["ServiceName"]
    asked = {"VpcId": lab.id("acme/vpc"), "SubnetIds": [lab.id("acme/subnet-1")], "ServiceName": name}
    asked["SecurityGroupIds"] = [lab.id("acme/security-group")]
    endpoint = ec2.create_vpc_endpoint(VpcEndpointType="Interface", PrivateDnsEnabled=False, **asked)
    lab.cloud.let_new_ids_propagate()
    (lab.folder / "plab.yaml").unlink()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    [path] = lab.why(endpoint["VpcEndpoint"]["VpcEndpointId"])
    assert path["code"] == "balancer-group-enforced", path
    lab.type(path["by_hand"])
    assert lab.why(endpoint["VpcEndpoint"]["VpcEndpointId"])[0]["code"] is None
