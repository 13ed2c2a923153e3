"""Faults on demand, as a client sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError
from support.aws_resources import (
    ServiceLab,
    balancer_state,
    code_of,
    health,
    instance_state,
    launch,
    listen,
    make_balancer,
    make_group,
    network,
    outcome,
    web_group,
)
from support.contract_aws import LocalCloud
from support.raw_requests import ask, signed

from privatelink_lab.cli.local import local_faults
from privatelink_lab.errors import UsageError
from privatelink_lab.local.api.faults import KINDS, Fault, InvalidFault, read_fault
from privatelink_lab.local.control_client import fault_text, parse_fault


def switch_on(cloud: LocalCloud, *faults: str) -> None:
    """Switch faults on, as `plab local faults` does."""
    cloud.aws.choose_faults([parse_fault(fault) for fault in faults])


def vpcs(cloud: LocalCloud) -> int:
    """The number of VPCs."""
    return len(cloud.client("ec2").describe_vpcs()["Vpcs"])


def test_none_is_on_by_itself(cloud: LocalCloud) -> None:
    """The status lists no fault."""
    text = ask(cloud, signed(cloud), b"", "GET", "/_plab/status")[1]
    assert json.loads(text)["faults"] == []


def test_they_are_set_by_the_servers_user_only(cloud: LocalCloud) -> None:
    """With the key, a PUT returns the status; without it, 403; a wrong body is a 400 with a reason."""
    body = b'[{"kind": "throttle", "share": 0.5}]'
    assert ask(cloud, {}, body, "PUT", "/_plab/faults")[0] == 403
    status, text = ask(cloud, signed(cloud), body, "PUT", "/_plab/faults")
    assert (status, json.loads(text)["faults"]) == (
        200,
        [{"kind": "throttle", "action": "*", "share": 0.5, "times": 0}],
    )
    for nonsense in (b"", b"{}", b"[1]", b'[{"kind": "x"}]', b"\xff", b"[" * 100_000):
        status, text = ask(cloud, signed(cloud), nonsense, "PUT", "/_plab/faults")
        assert (status, bool(json.loads(text)["message"])) == (400, True)
    text = ask(cloud, signed(cloud), b"", "GET", "/_plab/status")[1]
    assert len(json.loads(text)["faults"]) == 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("nonsense", "a kind, one of"),
        ("throttle,share=2", "between 0 and 1"),
        ("throttle,share=x", "must be a number"),
        ("throttle,seconds=3", "throttle has no seconds"),
        ("error,status=200", "between 400 and 599"),
        ("error,code=7", "must be a word"),
        ("error,message=\n", "printable"),
        ("rate-limits,share=1", "it takes nothing"),
    ],
)
def test_what_is_no_fault(fault: str, words: str) -> None:
    """Every mistake has a message of its own."""
    with pytest.raises(InvalidFault, match=words):
        read_fault(parse_fault(fault))


@pytest.mark.parametrize("text", ["throttle,share", "error,code=a,code=b"])
def test_what_cannot_be_read_at_all(text: str) -> None:
    """The error comes before the server is called."""
    with pytest.raises(UsageError, match="not understood"):
        parse_fault(text)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_reads_as_it_is_written(kind: str) -> None:
    """A fault in the list can be switched on again with the same words."""
    fault = Fault(kind)
    assert read_fault(parse_fault(fault_text(fault.as_row()))) == fault


def test_every_fault_is_in_the_help() -> None:
    """`plab local faults --help` has all kinds and all settings."""
    help_text = str(local_faults.help)
    assert not [kind for kind in KINDS if kind not in help_text]
    assert not [name for names in KINDS.values() for name in names if name not in help_text]


def test_throttles_speak_the_services_language(cloud: LocalCloud) -> None:
    """EC2 503 RequestLimitExceeded, ELBv2 400 Throttling, SSM and STS ThrottlingException; and only `times` times."""
    switch_on(cloud, "throttle,times=4")
    assert code_of(cloud.client("ec2").describe_vpcs) == "RequestLimitExceeded"
    assert code_of(cloud.client("elbv2").describe_load_balancers) == "Throttling"
    assert code_of(cloud.client("ssm").get_parameter, Name="x") == "ThrottlingException"
    assert code_of(cloud.client("sts").get_caller_identity) == "ThrottlingException"
    assert vpcs(cloud) == 1


def test_a_share_of_the_calls(cloud: LocalCloud) -> None:
    """About that share of the calls fails, the same ones for the same seed, and only of the named action."""
    switch_on(cloud, "throttle,share=0.3,action=Describe*")
    ec2 = cloud.client("ec2")
    refused = sum(outcome(ec2.describe_vpcs) != "" for _ in range(200))
    assert 30 <= refused <= 90
    assert [outcome(ec2.create_vpc, CidrBlock="10.0.0.0/16") for _ in range(20)] == [""] * 20


def test_the_rate_limits_of_aws(cloud: LocalCloud) -> None:
    """Four endpoints at once, and one more every 3.3 seconds; another account has limits of its own."""
    switch_on(cloud, "rate-limits")
    request = {"VpcId": "vpc-0", "ServiceName": "x", "VpcEndpointType": "Interface"}

    def ask_for(account: str = "") -> str:
        return code_of(cloud.client("ec2", account).create_vpc_endpoint, **request)

    assert [ask_for() for _ in range(5)] == ["InvalidVpcID.NotFound"] * 4 + ["RequestLimitExceeded"]
    assert ask_for(cloud.consumer) == "InvalidVpcID.NotFound"
    cloud.wait(3)
    assert ask_for() == "RequestLimitExceeded"
    cloud.wait(1)
    assert ask_for() == "InvalidVpcID.NotFound"


def test_lists_without_a_filter_have_a_lower_limit(cloud: LocalCloud) -> None:
    """50 whole lists of instances at once, and still 100 with a filter or in pages."""
    switch_on(cloud, "rate-limits")
    ec2 = cloud.client("ec2")
    codes = [outcome(ec2.describe_instances) for _ in range(51)]
    assert codes == [""] * 50 + ["RequestLimitExceeded"]
    assert [outcome(ec2.describe_instances, MaxResults=5) for _ in range(51)] == [""] * 51


def test_all_of_elb_counts_together(cloud: LocalCloud) -> None:
    """40 calls of ELBv2 at once, of any kind."""
    switch_on(cloud, "rate-limits")
    elb = cloud.client("elbv2")
    codes = [outcome(elb.describe_target_groups) for _ in range(39)]
    codes += [outcome(elb.delete_load_balancer, LoadBalancerArn="x"), outcome(elb.describe_load_balancers)]
    assert codes == [""] * 40 + ["Throttling"]


def test_an_error_comes_before_the_effect(cloud: LocalCloud) -> None:
    """Status and code are those of the fault; nothing was created."""
    switch_on(cloud, "error,action=CreateVpc,status=503,code=Unavailable,times=1")
    ec2 = cloud.client("ec2")
    with pytest.raises(ec2.exceptions.ClientError) as caught:
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    assert caught.value.response["Error"]["Code"] == "Unavailable"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert vpcs(cloud) == 1
    ec2.create_vpc(CidrBlock="10.0.0.0/16")


@pytest.mark.parametrize(("kind", "made"), [("cut-before", 0), ("cut-after", 1)])
def test_a_connection_is_cut(cloud: LocalCloud, kind: str, made: int) -> None:
    """Before: nothing has happened. After: the response is lost, and the VPC exists."""
    switch_on(cloud, f"{kind},action=CreateVpc,times=1")
    with pytest.raises(ConnectionClosedError):
        cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    assert vpcs(cloud) == 1 + made


def test_a_stale_describe_repeats_itself(cloud: LocalCloud) -> None:
    """For `seconds` a describe does not show changes; a describe with other parameters does."""
    switch_on(cloud, "stale,seconds=10")
    assert vpcs(cloud) == 1
    made = cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.wait(9)
    assert vpcs(cloud) == 1
    assert len(cloud.client("ec2").describe_vpcs(VpcIds=[made])["Vpcs"]) == 1
    cloud.wait(1)
    assert vpcs(cloud) == 2


def test_new_ids_are_seen_late(cloud: LocalCloud) -> None:
    """`.NotFound` for `seconds`, also at speed 0."""
    switch_on(cloud, "not-found,seconds=10")
    ec2 = cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/24") == "InvalidVpcID.NotFound"
    cloud.wait(10)
    ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")


def test_a_service_is_unavailable_for_longer(lab: ServiceLab) -> None:
    """A service that was created under the fault accepts no endpoint for `seconds`."""
    switch_on(lab.cloud, "unavailable,seconds=100")
    lab.delete_service()
    lab.cloud.wait(15)
    create = lab.ec2.create_vpc_endpoint_service_configuration
    lab.service = create(NetworkLoadBalancerArns=[lab.balancer])["ServiceConfiguration"]
    request: dict[str, Any] = lab.request()
    assert code_of(lab.ec2.create_vpc_endpoint, **request) == "Unavailable"
    lab.cloud.wait(100)
    lab.ec2.create_vpc_endpoint(**request)


def test_an_instance_that_fails(cloud: LocalCloud) -> None:
    """It becomes terminated instead of running, with a reason."""
    switch_on(cloud, "instance-fails,times=1")
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    cloud.wait(15)
    assert instance_state(cloud, instance) == "terminated"
    row = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert row["StateReason"]["Code"] == "Server.InternalError"


def test_a_balancer_that_fails(cloud: LocalCloud) -> None:
    """It becomes failed instead of active."""
    switch_on(cloud, "balancer-fails")
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, network(cloud.client("ec2"))[1])
    cloud.wait(130)
    assert balancer_state(elb, arn) == "failed"


def test_an_endpoint_that_fails(lab: ServiceLab) -> None:
    """It becomes failed instead of available, with LastError; its service can be deleted."""
    endpoint = lab.connect()
    switch_on(lab.cloud, "endpoint-fails")
    lab.decide("accept", endpoint)
    lab.cloud.wait(61)
    (row,) = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    assert (row["State"], row["LastError"]["Code"]) == ("failed", "InternalError")
    assert lab.delete_service() == []


def test_a_request_that_expires(lab: ServiceLab) -> None:
    """Without an accept it expires after `seconds`; its service can be deleted, and it cannot be accepted."""
    switch_on(lab.cloud, "endpoint-expires,seconds=100")
    late, accepted = lab.connect(), lab.connect()
    lab.decide("accept", accepted)
    lab.cloud.wait(100)
    assert (lab.state(late), lab.state(accepted)) == ("expired", "available")
    assert lab.decide("accept", late) == {late: "InvalidState"}
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[accepted])
    assert lab.delete_service() == []


def test_a_target_that_fails(cloud: LocalCloud) -> None:
    """Unhealthy with Target.FailedHealthChecks, until it is registered again."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    instance, group = launch(cloud, subnet, SecurityGroupIds=[web_group(ec2, vpc)]), make_group(elb, vpc)
    listen(elb, make_balancer(elb, subnet), group)
    cloud.wait(15)
    switch_on(cloud, "target-fails")
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance}]}
    elb.register_targets(**target)
    cloud.wait(500)
    assert health(elb, group) == ("unhealthy", "Target.FailedHealthChecks")
    switch_on(cloud)
    elb.deregister_targets(**target)
    elb.register_targets(**target)
    cloud.wait(60)
    assert health(elb, group) == ("healthy", None)


def test_faults_end_when_they_are_switched_off(lab: ServiceLab) -> None:
    """Ids that the fault has hidden are visible when it is switched off; a code must be a word."""
    cloud, ec2 = lab.cloud, lab.ec2
    switch_on(cloud, "not-found,seconds=80000", "unavailable,seconds=80000")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert code_of(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    switch_on(cloud)
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    lab.connect()
    nonsense: list[dict[str, Any]] = [
        {"kind": []},
        {"kind": "error", "code": "\ud800"},
        {"kind": "error", "code": "a b"},
    ]
    for row in nonsense:
        with pytest.raises(InvalidFault):
            read_fault(row)
