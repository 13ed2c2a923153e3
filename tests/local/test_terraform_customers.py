"""Terraform on one side and plab on the other: as the customer of a pack, and as the owner of the service."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.inventory import InventoriedAws
from support.processes import start_plab
from support.terraform import prepare
from support.timeouts import PATIENCE

from privatelink_lab.local.api.clock import AwsClock

ACME = "222222222222"
SERVICE = Path(__file__).parent / "terraform" / "service.tf"
CUSTOMERS = f"customers:\n  acme: {{accounts: ['{ACME}']}}\n"
SPEED = 200


@pytest.fixture
def aws() -> Iterator[InventoriedAws]:
    """A local AWS that is fast enough for Terraform's timeouts."""
    with InventoriedAws(AwsClock(SPEED)) as made:
        yield made


def plab(aws: InventoriedAws, folder: Path, *words: str) -> str:
    """What a command of the vendor prints; it must succeed."""
    keys = {"AWS_ENDPOINT_URL": aws.url, "AWS_ACCESS_KEY_ID": aws.access_key_id}
    keys["AWS_SECRET_ACCESS_KEY"] = aws.secret_access_key
    process = start_plab(folder, *words, **keys)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, f"{words}: {process.returncode}\n{out}\n{err}"
    return out


def role_of(aws: InventoriedAws) -> dict[str, str]:
    """The environment of the customer: keys of its account."""
    session = boto3.session.Session(aws.access_key_id, aws.secret_access_key, region_name="us-east-1")
    client: Any = session.client("sts", endpoint_url=aws.url)
    role = f"arn:aws:iam::{ACME}:role/customer"
    given = client.assume_role(RoleArn=role, RoleSessionName="customer")["Credentials"]
    client.close()
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


def network(aws: InventoriedAws, keys: dict[str, str], zone: str) -> dict[str, str]:
    """A VPC and a subnet of the customer, as Terraform's variables."""
    access, secret, token = keys.values()
    session = boto3.session.Session(access, secret, token, region_name="us-east-1")
    ec2: Any = session.client("ec2", endpoint_url=aws.url)
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId=zone)["Subnet"]["SubnetId"]
    ec2.close()
    return {"TF_VAR_vpc_id": vpc, "TF_VAR_subnet_ids": json.dumps([subnet])}


def half_of(pack: Path) -> str:
    """The Terraform half of a pack, as the command in the pack takes it out."""
    line = next(line for line in pack.read_text().splitlines() if "sed -n " in line)
    words = ["/bin/sh", "-c", line[line.index("sed -n ") :]]
    return subprocess.run(words, cwd=pack.parent, capture_output=True, text=True, check=True).stdout


def test_terraform_is_the_customer(request: pytest.FixtureRequest, aws: InventoriedAws, tmp_path: Path) -> None:
    """The pack's half, uncommented and with the customer's VPC and subnet, asks; the rules admit it."""
    vendor, customer = tmp_path / "vendor", tmp_path / "customer"
    vendor.mkdir()
    customer.mkdir()
    (vendor / "plab.yaml").write_text(f"lab: api\nregion: us-east-1\n{CUSTOMERS}")
    plab(aws, vendor, "up", "-q")
    (customer / "acme.yaml").write_text(plab(aws, vendor, "share", "acme"))
    (customer / "main.tf").write_text(half_of(customer / "acme.yaml"))
    terraform, keys = prepare(request, aws, customer), role_of(aws)
    zone = json.loads(plab(aws, vendor, "share", "acme", "--json"))["zone_ids"][0]
    terraform.environment |= keys | network(aws, keys, zone)
    terraform.do("apply", "-auto-approve", seconds=300)
    asks = json.loads(terraform.output("endpoint"))
    summary = json.loads(plab(aws, vendor, "accept", "--rules", "--json").splitlines()[-1])
    assert summary["accepted"] == [asks]
    terraform.do("plan", "-detailed-exitcode", seconds=120)
    terraform.do("destroy", "-auto-approve", seconds=300)
    plab(aws, vendor, "down", "-y", "-q")


def test_terraform_owns_the_service(request: pytest.FixtureRequest, aws: InventoriedAws, tmp_path: Path) -> None:
    """Permissions are given and taken on a service that Terraform made, and its plan stays empty."""
    shutil.copy(SERVICE, tmp_path / "main.tf")
    terraform = prepare(request, aws, tmp_path)
    terraform.do("apply", "-auto-approve", seconds=300)
    service = json.loads(terraform.output("service"))
    config = f"lab: api\nregion: us-east-1\nprovider: {{service: {{id: {service}}}}}\n{CUSTOMERS}"
    (tmp_path / "plab.yaml").write_text(config)
    plab(aws, tmp_path, "up", "-q")
    terraform.do("plan", "-detailed-exitcode", seconds=120)
    plab(aws, tmp_path, "down", "-y", "-q")
    terraform.do("plan", "-detailed-exitcode", seconds=120)
    terraform.do("destroy", "-auto-approve", seconds=300)
