"""One side alone: the customer of a service that somebody else runs, in a folder and an account of its own."""

from __future__ import annotations

import json
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.command_line import Ran, Run
from support.customers import build, region_account
from support.stand_in_traffic import stand_in

from privatelink_lab.commands.iam_policy import policy
from privatelink_lab.steps.probe import LINE_PREFIX

ACME = "222222222222"
VENDOR_CONFIG = f"lab: api\nregion: us-east-1\nprovider: {{zones: 2}}\ncustomers:\n  acme: {{accounts: ['{ACME}']}}\n"
CUSTOMER_CONFIG = """\
lab: mine
region: us-east-1
provider: {{service_name: {service}, port: 80{more}}}
consumers:
  - name: acme
    role_arn: arn:aws:iam::{account}:role/customer
"""


@dataclass
class Parties:
    """A vendor whose service is up, and a customer in another folder."""

    run: Run
    folder: Path
    service: str

    def vendor(self, *words: str) -> Ran:
        """A command of the vendor."""
        return self.run(*words)

    def write(self, account: str = ACME, more: str = "", service: str = "") -> None:
        """The customer's config."""
        text = CUSTOMER_CONFIG.format(service=service or self.service, account=account, more=more)
        (self.folder / "plab.yaml").write_text(text)

    def customer(self, *words: str) -> Ran:
        """A command of the customer."""
        with chdir(self.folder):
            return self.run(*words)


@pytest.fixture
def parties(at_cloud: Cloud, run: Run, tmp_path: Path) -> Parties:
    """The vendor's service is up."""
    service = build(at_cloud, run, tmp_path, VENDOR_CONFIG)
    (tmp_path / "customer").mkdir()
    found = Parties(run, tmp_path / "customer", service)
    found.write()
    return found


def test_customer_builds_its_half_and_waits(parties: Parties, at_cloud: Cloud) -> None:
    """The endpoint waits for the provider; `up` and `status` end with what the customer has to tell it."""
    built = parties.customer("up", "--json")
    assert built.code == 0, built.err
    result = built.json[-1]
    [row] = result["for_provider"]
    assert row == {"account": ACME, "endpoint": row["endpoint"], "region": "us-east-1", "state": "pendingAcceptance"}
    assert result["service_name"] == parties.service
    assert result["next"] == ["plab status", "plab connections", "plab down"]
    line = f"For the provider: account {ACME}, endpoint {row['endpoint']}, Region us-east-1 (pendingAcceptance)"
    assert line in parties.customer("status").out
    assert parties.vendor("accept", "--rules", "--json").json[-1]["accepted"] == [row["endpoint"]]
    at_cloud.let_new_ids_propagate()
    status = parties.customer("status")
    assert line.replace("pendingAcceptance", "available") in status.out
    assert "are ready." in status.out
    assert parties.customer("up", "--json").json[-1]["next"][0] == "plab verify"
    assert parties.customer("down", "-y").code == 0
    assert [row for row in parties.vendor("status", "--json").json[-1]["resources"] if row["phase"] != "ready"] == []


def test_customer_sees_its_own_connection_and_admits_nobody(parties: Parties) -> None:
    """`connections` has the customer's endpoint; `accept` and `reject` are the provider's."""
    assert parties.customer("up", "-q").code == 0
    [row] = parties.customer("connections", "--json").json[-1]["connections"]
    assert (row["owner"], row["state"], row["consumer"]) == (ACME, "pendingAcceptance", "acme")
    for words in (["accept"], ["accept", "acme"], ["accept", "--rules"], ["reject", "acme"]):
        refused = parties.customer(*words)
        assert refused.code == 2
        assert f"{parties.service} is somebody else's: its provider admits and rejects." in refused.err


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"account": "999999999999"}, "ask its provider to allow the account 999999999999"),
        ({"service": "com.amazonaws.vpce.us-east-1.vpce-svc-00000000000000000"}, "InvalidServiceName"),
        ({"more": ", zones: [use1-az6]"}, "the config asks for zone use1-az6"),
        ({"more": ", zones: 3"}, "the config asks for 3 zones"),
    ],
)
def test_what_cannot_serve_is_said_before_anything_is_made(
    parties: Parties, at_cloud: Cloud, changed: dict[str, str], says: str
) -> None:
    """A service that is not there for the account, or not in the zones, is refused by `--dry-run` and by `up`."""
    parties.write(**changed)
    at_cloud.calls()
    for words in (["up", "--dry-run"], ["up", "-q"]):
        refused = parties.customer(*words)
        assert refused.code != 0
        assert says in refused.err
        assert at_cloud.changes() == []


def test_customer_takes_the_zones_of_the_service_by_id(parties: Parties, at_cloud: Cloud) -> None:
    """Two zones of the config become two subnets, in the zones of the service."""
    parties.write(more=", zones: 2")
    assert parties.customer("up", "-q").code == 0
    role = f"arn:aws:iam::{ACME}:role/customer"
    mine = {row["AvailabilityZoneId"] for row in at_cloud.account(role).ec2.describe_subnets()["Subnets"]}
    theirs = at_cloud.account().ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    assert set(theirs[0]["AvailabilityZoneIds"]) <= mine


def test_customer_learns_why(parties: Parties) -> None:
    """`why` names the wait with the customer's half alone, and is silent once the provider has admitted it."""
    assert parties.customer("up", "-q").code == 0
    waits = parties.customer("why")
    assert waits.code == 1
    assert "waiting-for-acceptance" in waits.out
    assert parties.vendor("accept", "--rules", "-q").code == 0
    silent = parties.customer("why")
    assert silent.code == 0, silent.out


def test_customer_learns_that_it_was_revoked(parties: Parties, tmp_path: Path) -> None:
    """AWS hides the service from it, which is no proof that the service is gone: the rejection is what is proved."""
    assert parties.customer("up", "-q").code == 0
    (tmp_path / "plab.yaml").write_text(VENDOR_CONFIG.replace(f"['{ACME}']", f"['{ACME}'], access: revoked"))
    assert parties.vendor("up", "-q").code == 0
    [path] = parties.customer("why", "--json").json[-1]["paths"]
    assert (path["code"], path["confidence"], path["fix"]) == ("rejected", "proved", "")
    also = {one["code"]: one["confidence"] for one in path["also"]}
    assert also == {"not-permitted": "likely", "service-gone": "likely"}
    assert f"To do:    Ask the provider whether it still allows account {ACME}" in parties.customer("why").out
    assert parties.customer("status").out.splitlines()[-1].startswith("For the provider:")


def test_customer_whose_service_has_another_name(parties: Parties) -> None:
    """Nothing advises `plab up`, which would refuse: the name or the permission is wrong, and both are named."""
    parties.write(service="com.amazonaws.vpce.us-east-1.vpce-svc-00000000000000000")
    why = parties.customer("why")
    assert (why.code, "plab up" in why.out) == (1, False)
    to_do = f"To do:    Compare the name of the service. If it is right, ask its provider to allow the account {ACME}."
    assert to_do in why.out
    verify = parties.customer("verify")
    assert (verify.code, "plab up" in verify.out + verify.err) == (1, False)
    assert "acme: BROKEN at the hop permission: not-permitted" in verify.out


def reuse(parties: Parties, cloud: Cloud) -> str:
    """The customer has a VPC with a subnet of its own, and its config reuses them; the VPC's id."""
    ec2: Any = region_account(cloud, ACME).ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZoneId="use1-az1")
    cloud.let_new_ids_propagate()
    parties.write()
    file = parties.folder / "plab.yaml"
    file.write_text(f"{file.read_text()}    vpc: {{id: {vpc}, subnet_ids: [{made['Subnet']['SubnetId']}]}}\n")
    return str(vpc)


def test_verify_asks_before_it_starts_an_instance_in_a_vpc_of_the_customer(parties: Parties, at_cloud: Cloud) -> None:
    """In a VPC that the customer only lends, nothing is started without its word; `-y` is one."""
    traffic = stand_in(at_cloud.aws)
    row = {"address": "10.9.0.4", "status": 0, "digest": "", "connect_ms": 1.5, "total_ms": 1.5}
    lines = [row, {"end": True, "tries": 1, "ping": None}]
    traffic.writes = lambda _: "".join(f"{LINE_PREFIX} {json.dumps(line)}\n" for line in lines).encode()
    vpc = reuse(parties, at_cloud)
    assert parties.customer("up", "-q").code == 0
    assert parties.vendor("accept", "--rules", "-q").code == 0
    at_cloud.calls()
    refused = parties.customer("verify")
    assert f"This starts an instance in {vpc} of acme, and removes it afterwards." in refused.err
    assert refused.code == 2
    assert at_cloud.changes() == []
    proved = parties.customer("verify", "-y")
    assert proved.code == 0, proved.err
    assert proved.out.startswith("acme: a TCP connection to 10.9.0.4\n  1 of 1 connections;")
    assert at_cloud.changes() == ["RunInstances", "TerminateInstances"]


def test_customer_needs_no_rights_of_a_provider(parties: Parties, at_cloud: Cloud) -> None:
    """Its whole life calls what the policies of the consumer's side allow, and nothing else."""
    at_cloud.calls()
    for words in (["up", "-q"], ["status"], ["connections"], ["why"], ["up", "--dry-run"], ["down", "-y", "-q"]):
        assert parties.customer(*words).code in {0, 1}
    mine = {action for action in [*actions("consumer"), *actions("why")] if not action.startswith("elastic")}
    called = set(at_cloud.calls()) - {"AssumeRole", "GetCallerIdentity"}
    assert called <= {action.partition(":")[2] for action in mine}


def actions(side: str) -> list[str]:
    """The actions of a side's policy."""
    return [action for statement in policy(side, "mine")["Statement"] for action in statement["Action"]]


def test_customer_is_rejected(parties: Parties, at_cloud: Cloud) -> None:
    """A rejected endpoint is no failure of `up`, which names the command that asks again."""
    first = parties.customer("up", "--json").json[-1]["for_provider"][0]
    assert parties.vendor("reject", "acme", "-y", "-q").code == 0
    again = parties.customer("up", "--json")
    assert again.code == 0
    assert again.json[-1]["for_provider"] == [first | {"state": "rejected"}]
    assert "plab up --replace acme/endpoint" in again.json[-1]["next"]
    replaced = parties.customer("up", "--replace", "acme/endpoint", "-y", "--json")
    assert replaced.json[-1]["for_provider"][0]["state"] == "pendingAcceptance"


def test_customer_of_aws_itself(parties: Parties) -> None:
    """A service that AWS offers takes the endpoint at once: nobody is to be asked, and its port is 443."""
    parties.write(service="com.amazonaws.us-east-1.ssm")
    file = parties.folder / "plab.yaml"
    file.write_text(file.read_text().replace(", port: 80", ""))
    built = parties.customer("up", "--json")
    assert built.code == 0, built.err
    assert (built.json[-1]["for_provider"], built.json[-1]["next"][0]) == ([], "plab verify")
    rows = {row["key"]: row for row in parties.customer("status", "--json").json[-1]["resources"]}
    assert rows["provider/endpoint-service"]["detail"] == "of amazon"
    assert rows["acme/security-group/ingress"]["detail"].startswith("tcp 443 from")
    assert parties.customer("why").code == 0
    assert parties.customer("down", "-y", "-q").code == 0
