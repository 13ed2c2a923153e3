"""What all calls share: dry runs, pages, filters, and ids that become visible after a while."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.aws_resources import ServiceLab, add_group, add_subnet, code_of, launch, make_balancer, network
from support.contract_aws import ContractCloud, LocalCloud
from support.delete_leftovers import Leftovers
from support.inventory import InventoriedAws

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.api.delays import DELAYS


@pytest.mark.contract
def test_a_dry_run_changes_nothing(lab: ServiceLab) -> None:
    """DryRunOperation, also where moto would delete."""
    ec2 = lab.ec2
    vpc = {"VpcId": lab.vpc, "DryRun": True}
    assert code_of(ec2.create_vpc, CidrBlock="10.9.0.0/16", DryRun=True) == "DryRunOperation"
    assert code_of(ec2.create_subnet, CidrBlock="10.0.9.0/24", **vpc) == "DryRunOperation"
    assert code_of(ec2.create_security_group, GroupName="x", Description="x", **vpc) == "DryRunOperation"
    call = ec2.delete_vpc_endpoint_service_configurations
    assert code_of(call, ServiceIds=[lab.service_id], DryRun=True) == "DryRunOperation"
    call = ec2.modify_vpc_endpoint_service_configuration
    assert code_of(call, ServiceId=lab.service_id, AcceptanceRequired=False, DryRun=True) == "DryRunOperation"
    (found,) = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service_id])["ServiceConfigurations"]
    assert (found["ServiceState"], found["AcceptanceRequired"]) == ("Available", True)


@pytest.mark.contract
@pytest.mark.parametrize(
    ("operation", "rows"),
    [("describe_vpcs", "Vpcs"), ("describe_subnets", "Subnets"), ("describe_security_groups", "SecurityGroups")],
)
def test_lists_come_in_pages(cloud: ContractCloud, operation: str, rows: str) -> None:
    """A page has at most MaxResults rows, no row is lost or repeated, and an unknown token is refused."""
    ec2 = cloud.client("ec2")
    vpc, _ = network(ec2)
    for number in range(6):
        ec2.create_vpc(CidrBlock=f"10.{number + 1}.0.0/16")
        add_subnet(ec2, vpc, f"10.0.{number + 1}.0/24")
    whole = getattr(ec2, operation)()[rows]
    pages = [page[rows] for page in ec2.get_paginator(operation).paginate(PaginationConfig={"PageSize": 5})]
    assert max(len(page) for page in pages) <= 5
    assert sorted(map(str, (row for page in pages for row in page))) == sorted(map(str, whole))
    assert code_of(getattr(ec2, operation), NextToken="nonsense").startswith("Invalid")


@pytest.mark.contract(moto_too=True)
def test_instances_come_in_pages(cloud: ContractCloud) -> None:
    """A page has at most MaxResults instances; ids together with MaxResults are refused."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2)[1]
    ids = {launch(cloud, subnet) for _ in range(6)}
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet]}], PaginationConfig={"PageSize": 5}
    )
    listed = [
        [instance["InstanceId"] for row in page["Reservations"] for instance in row["Instances"]] for page in pages
    ]
    assert max(len(page) for page in listed) <= 5
    assert {instance for page in listed for instance in page} == ids
    code = code_of(ec2.describe_instances, InstanceIds=[next(iter(ids))], MaxResults=5)
    assert code == "InvalidParameterCombination"


@pytest.mark.contract(moto_too=True)
def test_tags_on_create_and_their_filters(cloud: ContractCloud) -> None:
    """Resources have the tags of their create; a filter that matches nothing returns nothing."""
    ec2 = cloud.client("ec2")
    tags = [{"Key": "plab:lab", "Value": "x"}]

    def tagged(kind: str) -> list[dict[str, object]]:
        return [{"ResourceType": kind, "Tags": tags}]

    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged("vpc"))["Vpc"]["VpcId"]
    asked = {"VpcId": vpc, "CidrBlock": "10.0.0.0/24", "AvailabilityZone": "us-east-1a"}
    made = ec2.create_subnet(**asked, TagSpecifications=tagged("subnet"))
    subnet = made["Subnet"]["SubnetId"]
    asked = {"GroupName": "g", "Description": "d", "VpcId": vpc}
    ec2.create_security_group(**asked, TagSpecifications=tagged("security-group"))
    launch(cloud, subnet, TagSpecifications=tagged("instance"))
    for value, count in (("x", 1), ("y", 0)):
        only: dict[str, Any] = {"Filters": [{"Name": "tag:plab:lab", "Values": [value]}]}
        assert len(ec2.describe_vpcs(**only)["Vpcs"]) == count
        assert len(ec2.describe_subnets(**only)["Subnets"]) == count
        assert len(ec2.describe_security_groups(**only)["SecurityGroups"]) == count
        assert len(ec2.describe_instances(**only)["Reservations"]) == count


@pytest.fixture
def late_cloud() -> Iterator[LocalCloud]:
    """A local AWS on which a new id becomes visible after a while."""
    seconds = [0.0]
    with (
        InventoriedAws(AwsClock(1, wall=lambda: seconds[0]), seed=1) as aws,
        LocalCloud(aws=aws, seconds=seconds) as cloud,
    ):
        yield cloud


def test_a_new_id_is_not_known_everywhere_at_once(late_cloud: LocalCloud) -> None:
    """For two seconds no list has it, it is not found by id, and nothing can be created in it."""
    ec2 = late_cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    assert code_of(ec2.describe_vpcs, VpcIds=[vpc]) == "InvalidVpcID.NotFound"
    assert vpc not in {row["VpcId"] for row in ec2.describe_vpcs()["Vpcs"]}
    assert code_of(ec2.create_subnet, VpcId=vpc, CidrBlock="10.0.0.0/24") == "InvalidVpcID.NotFound"
    assert code_of(ec2.create_tags, Resources=[vpc], Tags=[{"Key": "a", "Value": "b"}]) == "InvalidVpcID.NotFound"
    in_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
    assert ec2.describe_subnets(Filters=in_vpc)["Subnets"] == []
    late_cloud.wait(DELAYS["id_visible"].usual)
    assert ec2.describe_vpcs(VpcIds=[vpc])["Vpcs"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    attach = {"InternetGatewayId": gateway, "VpcId": vpc}
    assert code_of(ec2.attach_internet_gateway, **attach) == "InvalidInternetGatewayID.NotFound"
    address = ec2.allocate_address(Domain="vpc")["AllocationId"]
    assert ec2.describe_addresses(AllocationIds=[address])["Addresses"]
    group = add_group(ec2, vpc)
    assert code_of(ec2.delete_security_group, GroupId=group) == "InvalidGroup.NotFound"


def test_new_things_of_every_kind_are_seen_late(late_cloud: LocalCloud) -> None:
    """Every kind has its own error code; a bulk call has it inside Unsuccessful."""
    ec2, elb = late_cloud.client("ec2"), late_cloud.client("elbv2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    late_cloud.wait(2)
    subnet = add_subnet(ec2, vpc, "10.0.0.0/24")
    assert code_of(elb.create_load_balancer, Name="nlb", Type="network", Subnets=[subnet]) == "SubnetNotFound"
    late_cloud.wait(2)
    instance, arn = launch(late_cloud, subnet), make_balancer(elb, subnet)
    assert code_of(ec2.describe_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"
    assert code_of(elb.describe_load_balancers, Names=["nlb"]) == "LoadBalancerNotFound"
    assert code_of(elb.modify_load_balancer_attributes, LoadBalancerArn=arn, Attributes=[]) == "LoadBalancerNotFound"
    call = ec2.create_vpc_endpoint_service_configuration
    assert code_of(call, NetworkLoadBalancerArns=[arn]) == "InvalidNetworkLoadBalancerArn.NotFound"
    late_cloud.wait(130)
    service = call(NetworkLoadBalancerArns=[arn])["ServiceConfiguration"]["ServiceId"]
    (item,) = ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])["Unsuccessful"]
    assert item["Error"]["Code"] == "InvalidVpcEndpointService.NotFound"


def test_a_new_service_takes_no_endpoint_for_a_while(late_cloud: LocalCloud) -> None:
    """503 Unavailable for ten seconds, although its state is Available; the provider sees the connection even later."""
    ec2 = late_cloud.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    late_cloud.wait(2)
    subnet = add_subnet(ec2, vpc, "10.0.0.0/24")
    late_cloud.wait(2)
    arn = make_balancer(late_cloud.client("elbv2"), subnet)
    late_cloud.wait(130)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn])["ServiceConfiguration"]
    late_cloud.wait(9)
    request = {"VpcEndpointType": "Interface", "VpcId": vpc, "ServiceName": made["ServiceName"], "SubnetIds": [subnet]}
    with pytest.raises(ec2.exceptions.ClientError) as caught:
        ec2.create_vpc_endpoint(**request)
    assert caught.value.response["Error"]["Code"] == "Unavailable"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    late_cloud.wait(1)
    endpoint = ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"]
    decide = {"ServiceId": made["ServiceId"], "VpcEndpointIds": [endpoint]}
    (item,) = ec2.accept_vpc_endpoint_connections(**decide)["Unsuccessful"]
    assert item["Error"]["Code"] == "InvalidVpcEndpointId.NotFound"
    assert ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"] == []
    late_cloud.wait(2)
    assert ec2.accept_vpc_endpoint_connections(**decide)["Unsuccessful"] == []


class Seconds:
    """The clock of a local AWS, for code that sleeps."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud

    def now(self) -> float:
        """Seconds of AWS time."""
        return self.cloud.seconds[0]

    def sleep(self, seconds: float) -> None:
        """Move the clock by that many seconds."""
        self.cloud.wait(seconds)

    def wake(self) -> None:
        """Do nothing: this clock never sleeps."""


def test_what_a_contract_test_made_is_taken_back(late_cloud: LocalCloud) -> None:
    """Everything is deleted, in AWS's own time and despite refusals: the inventory is as before."""
    before = late_cloud.aws.inventory()
    leftovers = Leftovers(Seconds(late_cloud))
    ec2, elb = late_cloud.client("ec2"), late_cloud.client("elbv2")
    for client in (ec2, elb):
        leftovers.watch(client)
    vpc, subnet = network(ec2)
    launch(late_cloud, subnet)
    arn = make_balancer(elb, subnet)
    late_cloud.wait(130)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn])["ServiceConfiguration"]
    late_cloud.wait(10)
    ec2.create_vpc_endpoint(VpcEndpointType="Interface", VpcId=vpc, SubnetIds=[subnet], ServiceName=made["ServiceName"])
    leftovers.delete()
    assert late_cloud.aws.inventory() == before


def test_the_same_seed_gives_the_same_ids() -> None:
    """The same calls give the same ids and delays."""

    def ids() -> list[str]:
        seconds = [0.0]
        clock = AwsClock(1, wall=lambda: seconds[0])
        with InventoriedAws(clock, seed=7) as aws, LocalCloud(aws=aws, seconds=seconds) as cloud:
            ec2 = cloud.client("ec2")
            vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            cloud.wait(2)
            subnet = add_subnet(ec2, vpc, "10.0.0.0/24")
            cloud.wait(2)
            arn = make_balancer(cloud.client("elbv2"), subnet)
            cloud.wait(130)
            made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn])
            return [vpc, subnet, arn, made["ServiceConfiguration"]["ServiceId"], *map(str, aws._world.due.values())]

    assert ids() == ids()
