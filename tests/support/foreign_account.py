"""An account that is no consumer of the lab, and its connection to the lab's service."""

from __future__ import annotations

from typing import Any

from privatelink_lab.engine import Built
from support.cloud import Cloud, id_of

STRANGER = "arn:aws:iam::444455556666:role/stranger"


def connect_stranger(cloud: Cloud, built: Built) -> str:
    """An endpoint of another account, which asks for a connection; its id."""
    ec2: Any = cloud.account(STRANGER).ec2
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    zone = cloud.account().ec2.describe_subnets(SubnetIds=[id_of(built, "provider/subnet-1")])
    zone_id = zone["Subnets"][0]["AvailabilityZoneId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId=zone_id)["Subnet"]["SubnetId"]
    cloud.let_new_ids_propagate()
    name = built.done["provider/endpoint-service"][0].shows["service_name"]
    made = ec2.create_vpc_endpoint(
        VpcEndpointType="Interface", VpcId=vpc, ServiceName=name, SubnetIds=[subnet], PrivateDnsEnabled=False
    )
    cloud.let_new_ids_propagate()
    return str(made["VpcEndpoint"]["VpcEndpointId"])
