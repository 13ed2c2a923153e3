"""One local AWS: many clients, start and stop, inventory and status."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.aws_resources import ServiceLab, code_of, network
from support.contract_aws import CONSUMER, LocalCloud
from support.inventory import InventoriedAws
from support.raw_requests import CALL, FORM, ask, signed
from support.timeouts import PATIENCE, until

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.server.dispatch import LocalEc2
from privatelink_lab.local.server.http import HttpConnection
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.local.sigv4 import HttpMessage, sign

MIXED = (
    b"Action=CreateVpc&CidrBlock=10.%(n)d.0.0/16",
    b"Action=DescribeVpcs&MaxResults=1000&Filter.1.Name=cidr&Filter.1.Value.1=10.%(n)d.0.0/16",
    b"Action=CreateSecurityGroup&GroupName=group-%(n)d&GroupDescription=d",
    b"Action=DescribeNetworkInterfaces",
    b"Action=DescribeVpcEndpointConnections",
)


def test_two_hundred_clients_at_once(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creates and describes of five kinds; every client gets its own VPC or group, and none is refused."""
    headers, count = signed(cloud), 200
    monkeypatch.setattr(HttpConnection, "timeout", PATIENCE)  # 200 clients in one process are slow to ask

    def call(number: int) -> int:
        return ask(cloud, headers, MIXED[number % len(MIXED)] % {b"n": number} + b"&Version=2016-11-15")[0]

    with ThreadPoolExecutor(count) as pool:
        assert list(pool.map(call, range(count))) == [200] * count
    ec2 = cloud.client("ec2")
    assert len(ec2.describe_vpcs()["Vpcs"]) == count // len(MIXED) + 1
    named = [{"Name": "group-name", "Values": ["group-*"]}]
    assert len(ec2.describe_security_groups(Filters=named)["SecurityGroups"]) == count // len(MIXED)


def test_a_connection_is_kept(cloud: LocalCloud) -> None:
    """Two calls go over one connection, and a refusal does not end it."""
    connection = http.client.HTTPConnection("127.0.0.1", cloud.aws.port, timeout=PATIENCE)
    statuses, sockets = [], set()
    scope, host = (cloud.aws.access_key_id, "us-east-1", "plab"), {"Host": f"127.0.0.1:{cloud.aws.port}"}
    good = sign(scope, cloud.aws.secret_access_key, HttpMessage("GET", "/_plab/status", host, b""))
    for headers in (good, {}, good):
        connection.request("GET", "/_plab/status", headers=headers)
        sockets.add(id(connection.sock))
        with connection.getresponse() as answer:
            answer.read()
            statuses.append(answer.status)
    connection.close()
    assert (statuses, len(sockets)) == ([200, 403, 200], 1)


def test_stop_closes_everything() -> None:
    """Idle connections are closed, the port is free, and no thread is left."""
    before = set(threading.enumerate())
    aws = InventoriedAws(AwsClock(0)).start()
    connection = http.client.HTTPConnection("127.0.0.1", aws.port, timeout=PATIENCE)
    connection.request("GET", "/")
    with connection.getresponse() as answer:
        assert answer.status == 403
    aws.stop()
    aws.stop()
    until(lambda: set(threading.enumerate()) <= before, "end of every thread")
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.1", aws.port, timeout=PATIENCE).connect()
    connection.close()


def test_a_new_life_is_empty_and_has_new_keys(cloud: LocalCloud) -> None:
    """It has no resource of the last one, whose keys are refused."""
    cloud.client("ec2").create_vpc(CidrBlock="10.0.0.0/16")
    key, secret = cloud.aws.access_key_id, cloud.aws.secret_access_key
    cloud.aws.stop()
    with InventoriedAws(AwsClock(0)) as aws:
        assert aws.inventory() == {}
        assert aws.token != cloud.aws.token
        again = LocalCloud(aws=aws)
        host = {"Host": f"127.0.0.1:{aws.port}"} | FORM
        old = sign((key, "us-east-1", "ec2"), secret, HttpMessage("POST", "/", host, CALL))
        assert "<Code>AuthFailure</Code>" in ask(again, old)[1]


def test_only_one_lives_in_a_process(cloud: LocalCloud) -> None:
    """A second one would empty the stores of the first."""
    with pytest.raises(RuntimeError, match="stop the other"):
        InventoriedAws(AwsClock(0)).start()
    assert cloud.client("ec2").describe_vpcs()["Vpcs"]


def test_inventory_before_equals_after(lab: ServiceLab) -> None:
    """Resources that were created and deleted leave no line, in any account."""
    before = lab.cloud.aws.inventory()
    theirs = lab.cloud.client("ec2", CONSUMER)
    vpc, subnet = network(theirs, "10.5.0.0/16")
    group = theirs.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
    ids = theirs.run_instances(ImageId=lab.cloud.ami, InstanceType="t3.micro", SubnetId=subnet, MinCount=1, MaxCount=1)
    instance = ids["Instances"][0]["InstanceId"]
    endpoint = lab.connect()
    changed = lab.cloud.aws.inventory()
    assert set(changed) - set(before) == {"endpoint", "instance", "security-group", "volume"}
    theirs.terminate_instances(InstanceIds=[instance])
    found = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    lab.cloud.wait(60)
    theirs.delete_security_group(GroupId=group)
    for ec2, one, whole in ((theirs, subnet, vpc), (lab.ec2, found["SubnetIds"][0], found["VpcId"])):
        ec2.delete_subnet(SubnetId=one)
        ec2.delete_vpc(VpcId=whole)
    assert lab.cloud.aws.inventory() == before


def test_status_counts_what_users_made(lab: ServiceLab) -> None:
    """Two VPCs, a load balancer, a service and an endpoint count; a default VPC does not."""
    lab.connect()
    text = ask(lab.cloud, signed(lab.cloud), b"", "GET", "/_plab/status")[1]
    assert json.loads(text)["resources"] == 5


def test_a_failure_inside_is_an_answer(
    cloud: LocalCloud, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InternalError with 500; the stack trace is in the log, not in the response."""
    monkeypatch.setattr(LocalEc2, "describe_instances", lambda _: 1 // 0)
    assert code_of(cloud.client("ec2").describe_instances) == "InternalError"
    assert "Traceback" in caplog.text
    assert cloud.client("ec2").describe_vpcs()["Vpcs"]


def test_what_plab_asks_of_moto(cloud: LocalCloud) -> None:
    """Offerings by zone, zones with ids, the AL2023 image of both architectures, tag filters."""
    ec2, ssm = cloud.client("ec2"), cloud.client("ssm")
    asked = [{"Name": "instance-type", "Values": ["t3.micro"]}]
    offered = ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=asked)[
        "InstanceTypeOfferings"
    ]
    zones = {zone["ZoneName"] for zone in ec2.describe_availability_zones()["AvailabilityZones"]}
    assert {offer["Location"] for offer in offered} <= zones
    for kind in ("x86_64", "arm64"):
        name = f"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-{kind}"
        assert ssm.get_parameter(Name=name)["Parameter"]["Value"].startswith("ami-")
    assert code_of(ssm.get_parameter, Name="none") == "ParameterNotFound"


def test_one_that_cannot_start_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine has no thread to give: the start fails, its port is free, and the next local AWS starts."""
    first = LocalAws(AwsClock(speed=0))
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", _no_thread)
        with pytest.raises(RuntimeError, match="new thread"):
            first.start()
    with LocalAws(AwsClock(speed=0)) as aws:
        assert aws.port


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
