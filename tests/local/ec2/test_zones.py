"""Availability zones: the names of an account, and the ids that mean the same place in all accounts."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_resources import ServiceLab, active_balancer, code_of, launch, network
from support.contract_aws import ContractCloud


def zones(ec2: Any) -> dict[str, str]:
    """Zone id -> the account's name for it."""
    return {row["ZoneId"]: row["ZoneName"] for row in ec2.describe_availability_zones()["AvailabilityZones"]}


def offered(ec2: Any, by: str, *only: str) -> set[str]:
    """Where t3.micro is offered, of those places."""
    filters = [{"Name": "instance-type", "Values": ["t3.micro"]}]
    filters += [{"Name": "location", "Values": list(only)}] if only else []
    rows = ec2.describe_instance_type_offerings(LocationType=by, Filters=filters)["InstanceTypeOfferings"]
    assert {row["LocationType"] for row in rows} <= {by}
    return {row["Location"] for row in rows}


@pytest.mark.parametrize("account", ["", "222233334444"])
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_all_accounts_have_the_same_zones(cloud: ContractCloud, account: str, region: str) -> None:
    """Names and ids are the same sets everywhere; an instance type is offered in a zone whatever its name is."""
    ec2, other = cloud.client("ec2", account, region), cloud.client("ec2", "333333333333", region)
    names = zones(ec2)
    assert list(names.values()) == sorted(names.values())
    assert (names.keys(), set(names.values())) == (zones(other).keys(), set(zones(other).values()))
    assert names != zones(other)
    ids = offered(ec2, "availability-zone-id")
    assert offered(ec2, "availability-zone") == {names[id_] for id_ in ids}
    some = min(ids)
    assert offered(ec2, "availability-zone", names[some]) == {names[some]}


@pytest.mark.parametrize("account", ["", "222233334444"])
def test_names_and_ids_belong_together_in_every_answer(cloud: ContractCloud, account: str) -> None:
    """Subnets by name and by id, the default ones, an instance and a load balancer."""
    ec2 = cloud.client("ec2", account)
    names = zones(ec2)
    vpc, by_id = network(ec2, zone="use1-az1")
    made = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=names["use1-az2"])["Subnet"]
    assert made["AvailabilityZoneId"] == "use1-az2"
    rows = ec2.describe_subnets()["Subnets"]
    assert all(names[row["AvailabilityZoneId"]] == row["AvailabilityZone"] for row in rows)
    assert {row["AvailabilityZoneId"] for row in rows if row["DefaultForAz"]} == names.keys()
    only = [{"Name": "availability-zone", "Values": [names["use1-az1"]]}, {"Name": "vpc-id", "Values": [vpc]}]
    assert [row["SubnetId"] for row in ec2.describe_subnets(Filters=only)["Subnets"]] == [by_id]


def test_an_instance_and_a_balancer_bear_the_name(cloud: ContractCloud) -> None:
    """Placement and ZoneName are the account's name of the subnet's zone."""
    ec2 = cloud.client("ec2")
    name, subnet = zones(ec2)["use1-az1"], network(ec2)[1]
    (row,) = ec2.describe_instances(InstanceIds=[launch(cloud, subnet)])["Reservations"][0]["Instances"]
    assert row["Placement"]["AvailabilityZone"] == name
    arns = [active_balancer(cloud, subnet)]
    (balancer,) = cloud.client("elbv2").describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"]
    assert [zone["ZoneName"] for zone in balancer["AvailabilityZones"]] == [name]


@pytest.mark.parametrize("where", [{"AvailabilityZone": "eu-west-1a"}, {"AvailabilityZoneId": "euw1-az1"}])
def test_a_zone_of_another_region(cloud: ContractCloud, where: dict[str, str]) -> None:
    """InvalidParameterValue: a subnet is in a zone of its own Region."""
    ec2 = cloud.client("ec2")
    vpc = network(ec2)[0]
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.1.0/24", **where) == "InvalidParameterValue"


def test_a_service_has_the_names_of_who_asks(lab: ServiceLab) -> None:
    """Provider and consumer see one zone id, each with its own name; the zone of the provider's name is refused."""
    consumer = lab.admit()
    (offer,) = consumer.describe_vpc_endpoint_services(ServiceNames=[lab.service["ServiceName"]])["ServiceDetails"]
    for ec2, row in ((lab.ec2, lab.service), (consumer, offer)):
        assert row["AvailabilityZoneIds"] == ["use1-az1"]
        assert row["AvailabilityZones"] == [zones(ec2)["use1-az1"]]
    assert offer["AvailabilityZones"] != lab.service["AvailabilityZones"]
    namesake = next(id_ for id_, name in zones(consumer).items() if name in lab.service["AvailabilityZones"])
    vpc, subnet = network(consumer, "10.2.0.0/16", namesake)
    request = lab.request(consumer, VpcId=vpc, SubnetIds=[subnet])
    assert code_of(consumer.create_vpc_endpoint, **request) == "InvalidParameter"
    endpoint = consumer.create_vpc_endpoint(**lab.request(consumer))["VpcEndpoint"]
    assert f"-{offer['AvailabilityZones'][0]}." in endpoint["DnsEntries"][1]["DnsName"]
