"""A vendor and a customer, each in a folder with keys of its own, on one local AWS with packets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.customers import known
from support.processes import start_plab
from support.timeouts import PATIENCE, until

from privatelink_lab.aws import Account, connect
from privatelink_lab.errors import AwsError
from privatelink_lab.local import launch

ACME = "222222222222"
VENDOR = f"lab: api\nregion: us-east-1\ncustomers:\n  acme: {{accounts: ['{ACME}']}}\n"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
SCRIPT = """#!/bin/bash
python3 -c "import urllib.request as r; print('GOT', r.urlopen('http://{name}/', timeout=3).read().decode())" \\
  > /dev/console 2>&1 || echo NOTHING > /dev/console
"""


@dataclass
class Side:
    """One side, in its folder; with keys of its own, or those of the local AWS that it has started."""

    folder: Path
    keys: dict[str, str] = field(default_factory=dict)

    def plab(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """A command's JSON; it must end with this exit code."""
        process = start_plab(self.folder, *words, "--json", **self.keys)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def vendor(tmp_path: Path, agent: object) -> Iterator[Side]:
    """A vendor whose service is up and has one customer."""
    (tmp_path / "plab.yaml").write_text(VENDOR)
    found = Side(tmp_path)
    found.plab("local", "start", "--speed", "200")
    found.plab("up", "--local")
    yield found
    launch.stop(tmp_path / ".plab")


@pytest.fixture
def customer(vendor: Side, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The customer's account, with the keys that `plab local status --account` prints."""
    [keys] = vendor.plab("local", "status", "--account", ACME)
    for name, value in keys.items():
        monkeypatch.setenv(f"AWS_{name.upper()}", value)
    found = connect(profile=None, role_arn=None, region="us-east-1")
    assert found.id == ACME
    return found


def ask(customer: Account, service: str) -> tuple[str, str, str]:
    """A VPC of the customer with an endpoint to the service: its id, its name and its subnet."""
    ec2: Any = customer.ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    offer = known(lambda: ec2.describe_vpc_endpoint_services(ServiceNames=[service]))["ServiceDetails"][0]
    zone = offer["AvailabilityZones"][0]
    made = known(lambda: ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZone=zone))
    subnet = made["Subnet"]["SubnetId"]
    group = ec2.create_security_group(GroupName="endpoint", Description="endpoint", VpcId=vpc)["GroupId"]
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}
    known(lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule]))
    request = {"VpcEndpointType": "Interface", "VpcId": vpc, "SubnetIds": [subnet], "SecurityGroupIds": [group]}
    endpoint = known(lambda: ec2.create_vpc_endpoint(**request, ServiceName=service, PrivateDnsEnabled=False))
    id_ = endpoint["VpcEndpoint"]["VpcEndpointId"]
    entries = known(lambda: ec2.describe_vpc_endpoints(VpcEndpointIds=[id_])["VpcEndpoints"][0]["DnsEntries"])
    return id_, entries[0]["DnsName"], subnet


def get(customer: Account, subnet: str, name: str) -> str:
    """What an instance of the customer gets from the name: GOT and the page, or NOTHING."""
    image = customer.ssm.get_parameter(Name=IMAGE)["Parameter"]["Value"]
    ec2: Any = customer.ec2
    request = {"ImageId": image, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "SubnetId": subnet}
    started = known(lambda: ec2.run_instances(**request, UserData=SCRIPT.format(name=name)))
    id_ = started["Instances"][0]["InstanceId"]

    def line() -> str:
        text = str(known(lambda: ec2.get_console_output(InstanceId=id_, Latest=True)).get("Output", ""))
        return next((row for row in text.splitlines() if row.startswith(("GOT", "NOTHING"))), "")

    found = until(line, "the instance's word")
    ec2.terminate_instances(InstanceIds=[id_])
    return str(found)


def test_two_parties_with_keys_of_their_own(vendor: Side, customer: Account) -> None:
    """Pending and no answer; admitted by rule and the page; revoked and no answer, and no second admission."""
    service = vendor.plab("connections")[0]["service_name"]
    assert customer.ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"] == []
    endpoint, name, subnet = ask(customer, service)

    def rows() -> list[tuple[str, str, str]]:
        found = vendor.plab("connections")[0]["connections"]
        return [(row["endpoint"], row["customer"], row["reason"]) for row in found]

    until(lambda: rows() == [(endpoint, "acme", "admit")], "the request")
    assert get(customer, subnet, name) == "NOTHING"
    assert vendor.plab("accept", "--rules")[-1]["accepted"] == [endpoint]
    assert get(customer, subnet, name) == "GOT Hello World from provider VPC"
    (vendor.folder / "plab.yaml").write_text(VENDOR.replace(f"['{ACME}']", f"['{ACME}'], access: revoked"))
    assert vendor.plab("up", "--local")[-1]["exit_code"] == 0
    assert get(customer, subnet, name) == "NOTHING"
    assert vendor.plab("accept", "--rules")[-1]["accepted"] == []
    vendor.plab("accept", endpoint, "-y", code=2)
    with pytest.raises(AwsError, match="InvalidServiceName"):
        customer.ec2.describe_vpc_endpoint_services(ServiceNames=[service])
    assert rows() == [(endpoint, "acme", "rejected-before")]


def test_two_parties_who_both_use_plab(vendor: Side) -> None:
    """share, init --pack, pending and silence, admitted by rule and a connection, revoked and silence for good."""
    [keys] = vendor.plab("local", "status", "--account", ACME)
    acme = Side(vendor.folder / "acme", {f"AWS_{name.upper()}": value for name, value in keys.items()})
    acme.folder.mkdir()
    [pack] = vendor.plab("share", "acme")
    (acme.folder / "pack.yaml").write_text(json.dumps(pack))
    wrote = start_plab(acme.folder, "init", "--pack", "pack.yaml", **acme.keys)
    assert "AWS shows the service" in wrote.communicate(timeout=PATIENCE)[1]
    [row] = acme.plab("up")[-1]["for_provider"]
    assert (row["account"], row["state"]) == (ACME, "pendingAcceptance")

    def verdict(code: int) -> dict[str, Any]:
        events = acme.plab("verify", code=code)
        found = [event for event in events if event["event"] == "verified"]
        assert found, events
        return found[0]

    assert verdict(1)["detail"].startswith("waiting-for-acceptance")
    assert vendor.plab("accept", "--rules")[-1]["accepted"] == [row["endpoint"]]
    proved = verdict(0)
    assert (proved["ok"], proved["status"], proved["detail"]) == (True, None, "10 of 10 connections")
    assert acme.plab("why")[-1]["paths"][0]["code"] is None
    (vendor.folder / "plab.yaml").write_text(VENDOR.replace(f"['{ACME}']", f"['{ACME}'], access: revoked"))
    assert vendor.plab("up", "--local")[-1]["exit_code"] == 0
    assert verdict(1)["detail"].startswith("rejected")
    assert vendor.plab("accept", "--rules")[-1]["accepted"] == []
    assert acme.plab("down", "-y")[-1]["left"] == []
