"""A customer who holds its own keys: an account of its own, with a VPC and endpoints that plab did not make."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from moto.ec2.models import ec2_backends

from privatelink_lab.aws import Account, connect
from privatelink_lab.errors import AwsError
from support.cloud import Cloud
from support.command_line import Run
from support.timeouts import until


def region_account(cloud: Cloud, account: str, region: str = "us-east-1") -> Account:
    """The customer's account in a Region."""
    role = f"arn:aws:iam::{account}:role/customer"
    return connect(profile=None, role_arn=role, region=region, address=cloud.address)


def build(cloud: Cloud, run: Run, folder: Path, config: str) -> str:
    """The name of the service of a lab with this config, once it is up."""
    (folder / "plab.yaml").write_text(config)
    built = run("up", "--json")
    assert built.code == 0, built.err
    cloud.let_new_ids_propagate()
    return str(built.json[-1]["service_name"])


def ask(cloud: Cloud, service: str, account: str, zone: str = "use1-az1") -> str:
    """A new VPC of the account with an endpoint that asks for the service; its id. Each is a minute younger."""
    ec2: Any = region_account(cloud, account).ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId=zone)["Subnet"]["SubnetId"]
    cloud.let_new_ids_propagate()
    made = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName=service, SubnetIds=[subnet], PrivateDnsEnabled=False
    )
    cloud.let_new_ids_propagate()
    id_ = str(made["VpcEndpoint"]["VpcEndpointId"])
    backend = ec2_backends[account]["us-east-1"]
    backend.vpc_end_points[id_].creation_timestamp = datetime.fromtimestamp(cloud.clock.now(), UTC)
    return id_


def known(make: Callable[[], Any]) -> Any:
    """What a call returns once AWS knows the ids in it."""

    def attempt() -> Any:
        try:
            return make()
        except AwsError as error:
            if "NotFound" not in error.code and error.code not in {"Unavailable", "InvalidServiceName"}:
                raise
            return None

    return until(attempt, "a call that AWS takes")
