"""Interface endpoints as their consumers see them."""

from __future__ import annotations

import ipaddress
from typing import Any

from .labs import CONSUMER, Lab, code_of, network


def find(ec2: Any, **filters: str) -> list[str]:
    """Ids of the endpoints that pass the filters."""
    asked = [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in filters.items()]
    answer = ec2.describe_vpc_endpoints(Filters=asked)
    return [each["VpcEndpointId"] for each in answer["VpcEndpoints"]]


def test_an_endpoint_waits_for_acceptance(lab: Lab) -> None:
    """Born pendingAcceptance in lower camelCase, and so it stays."""
    endpoint = lab.connect()
    assert len(endpoint) == len("vpce-") + 17
    lab.cloud.wait(10_000)
    assert lab.state(endpoint) == "pendingAcceptance"


def test_without_acceptance_it_comes_up_by_itself(lab: Lab) -> None:
    """pending, and available after a minute."""
    lab.ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service["ServiceId"], AcceptanceRequired=False)
    endpoint = lab.connect()
    assert lab.state(endpoint) == "pending"
    lab.cloud.wait(60)
    assert lab.state(endpoint) == "available"


def test_what_an_endpoint_says_of_itself(lab: Lab) -> None:
    """The Regional name first, then one per zone; one interface per subnet, inside it."""
    ec2 = lab.ec2
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[lab.connect()])["VpcEndpoints"][0]
    base = f"{lab.service['ServiceId']}.us-east-1.vpce.amazonaws.com"
    names = [each["DnsName"] for each in found["DnsEntries"]]
    assert [name.partition(".")[2] for name in names] == [base, base]
    stem = names[0].partition(".")[0]
    assert names[1].partition(".")[0] == f"{stem}-us-east-1a"
    assert all(each["HostedZoneId"] for each in found["DnsEntries"])
    assert found["PrivateDnsEnabled"] is False
    assert (found["OwnerId"], found["ServiceRegion"]) == ("123456789012", "us-east-1")
    assert [group["GroupName"] for group in found["Groups"]] == ["default"]
    told = ec2.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])
    (interface,) = told["NetworkInterfaces"]
    assert interface["Description"] == f"VPC Endpoint Interface {found['VpcEndpointId']}"
    assert interface["InterfaceType"] == "vpc_endpoint"
    assert interface["SubnetId"] == found["SubnetIds"][0]
    address = ipaddress.ip_address(interface["PrivateIpAddress"])
    assert address in ipaddress.ip_network("10.1.0.0/24")


def test_a_repeated_token_gives_the_same_endpoint(lab: Lab) -> None:
    """The token is honoured until its endpoint is not found any more."""
    vpc, subnet = network(lab.ec2, "10.1.0.0/16")
    request: dict[str, Any] = {
        "VpcEndpointType": "Interface",
        "VpcId": vpc,
        "ServiceName": lab.service["ServiceName"],
        "SubnetIds": [subnet],
        "ClientToken": "one",
    }

    def create() -> str:
        return str(lab.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"])

    first = create()
    assert create() == first
    mismatch = code_of(lab.ec2.create_vpc_endpoint, **(request | {"SubnetIds": []}))
    assert mismatch == "IdempotentParameterMismatch"
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[first])
    lab.cloud.wait(119)
    assert create() == first
    lab.cloud.wait(1)
    assert create() != first


def test_filters_of_endpoints(lab: Lab) -> None:
    """By id, VPC, service, state, type and tag; a state is case-sensitive."""
    tags = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "plab:key", "Value": "a/endpoint"}]}]
    one, ec2 = lab.connect(TagSpecifications=tags), lab.ec2
    other = lab.connect()
    vpc = ec2.describe_vpc_endpoints(VpcEndpointIds=[one])["VpcEndpoints"][0]["VpcId"]
    assert find(ec2, vpc_endpoint_id=one) == find(ec2, vpc_id=vpc) == [one]
    assert find(ec2, **{"tag:plab:key": "a/endpoint"}) == [one]
    assert find(ec2, service_name=lab.service["ServiceName"]) == [one, other]
    assert find(ec2, vpc_endpoint_state="pendingAcceptance") == [one, other]
    assert find(ec2, vpc_endpoint_type="Interface") == [one, other]
    assert find(ec2, vpc_endpoint_state="PendingAcceptance") == []
    ec2.create_tags(Resources=[other], Tags=[{"Key": "plab:key", "Value": "b"}])
    assert find(ec2, **{"tag:plab:key": "b"}) == [other]


def test_an_endpoint_takes_its_time_to_go(lab: Lab) -> None:
    """First deleting with its interface, then deleted without, and then not found."""
    endpoint, ec2 = lab.connect(), lab.ec2
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert lab.state(endpoint) == "deleting"
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1
    lab.cloud.wait(60)
    assert lab.state(endpoint) == "deleted"
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    lab.cloud.wait(60)
    asked = {"VpcEndpointIds": [endpoint]}
    assert code_of(ec2.describe_vpc_endpoints, **asked) == "InvalidVpcEndpointId.NotFound"
    (item,) = ec2.delete_vpc_endpoints(**asked)["Unsuccessful"]
    assert (item["ResourceId"], item["Error"]["Code"]) == (endpoint, "InvalidVpcEndpoint.NotFound")


def test_an_address_is_used_again(lab: Lab) -> None:
    """A small subnet does not run out of addresses by endpoints that came and went."""
    ec2 = lab.ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/28")["Subnet"]["SubnetId"]
    for _ in range(30):
        made = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc,
            SubnetIds=[subnet],
            ServiceName=lab.service["ServiceName"],
        )
        ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpoint"]["VpcEndpointId"]])
        lab.cloud.wait(60)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []


def test_services_that_cannot_be_used(lab: Lab) -> None:
    """An unknown one, one without permission, and one of another region do not exist."""
    for ec2 in (lab.cloud.client("ec2", CONSUMER), lab.cloud.client("ec2", region="eu-west-1")):
        request = {"VpcEndpointType": "Interface", "VpcId": ec2.describe_vpcs()["Vpcs"][0]["VpcId"]}
        for name in (lab.service["ServiceName"], "com.amazonaws.vpce.us-east-1.vpce-svc-0", "x"):
            code = code_of(ec2.create_vpc_endpoint, ServiceName=name, **request)
            assert code == "InvalidServiceName"


def test_a_service_reaches_the_regions_it_supports(lab: Lab) -> None:
    """With ServiceRegion and the provider's consent, and then without zonal names."""
    lab.ec2.modify_vpc_endpoint_service_configuration(
        ServiceId=lab.service["ServiceId"], AddSupportedRegions=["eu-west-1"]
    )
    there = lab.cloud.client("ec2", region="eu-west-1")
    made = there.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=there.describe_vpcs()["Vpcs"][0]["VpcId"],
        ServiceName=lab.service["ServiceName"],
        ServiceRegion="us-east-1",
    )["VpcEndpoint"]
    assert made["ServiceRegion"] == "us-east-1"
    assert len(made["DnsEntries"]) == 1
    assert [row["VpcEndpointRegion"] for row in lab.rows()] == ["eu-west-1"]


def test_forgetting_the_type_makes_a_gateway(lab: Lab) -> None:
    """Gateway is the default, and a shared service has none; AWS's services have one."""
    asked: dict[str, Any] = {"VpcId": lab.vpc, "ServiceName": lab.service["ServiceName"]}
    assert code_of(lab.ec2.create_vpc_endpoint, **asked) == "InvalidParameter"
    asked["ServiceName"] = "com.amazonaws.us-east-1.s3"
    gateway = lab.ec2.create_vpc_endpoint(**asked)["VpcEndpoint"]
    assert find(lab.ec2, vpc_endpoint_type="Gateway") == [gateway["VpcEndpointId"]]
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[gateway["VpcEndpointId"]])
    assert find(lab.ec2) == []


def test_an_endpoint_to_a_service_of_aws(lab: Lab) -> None:
    """It needs nobody's acceptance, and its private name is on by default."""
    made = lab.ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=lab.vpc,
        SubnetIds=[lab.subnet],
        ServiceName="com.amazonaws.us-east-1.ssm",
    )["VpcEndpoint"]
    assert (made["State"], made["PrivateDnsEnabled"]) == ("pending", True)
    assert ".ssm.us-east-1.vpce.amazonaws.com" in made["DnsEntries"][0]["DnsName"]
    assert lab.rows() == []


def test_things_that_are_not_there(lab: Lab) -> None:
    """An unknown VPC, subnet or group is named, and leaves nothing behind."""
    request: dict[str, Any] = {
        "VpcEndpointType": "Interface",
        "ServiceName": lab.service["ServiceName"],
        "VpcId": lab.vpc,
    }
    call = lab.ec2.create_vpc_endpoint
    assert code_of(call, **(request | {"VpcId": "vpc-0"})) == "InvalidVpcID.NotFound"
    assert code_of(call, **request, SubnetIds=["subnet-0"]) == "InvalidSubnetID.NotFound"
    assert code_of(call, **request, SecurityGroupIds=["sg-0"]) == "InvalidGroup.NotFound"
    assert find(lab.ec2) == []
    assert lab.ec2.describe_network_interfaces()["NetworkInterfaces"] == []
