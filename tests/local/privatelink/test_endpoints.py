"""Interface endpoints as their consumers see them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from support.aws_resources import ServiceLab, add_group, add_subnet, code_of, create_endpoint, network
from support.contract_aws import LocalCloud

UNKNOWN = "0123456789abcdef0"


def find(ec2: Any, **filters: str) -> set[str]:
    """The ids of the endpoints that match the filters."""
    asked = [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in filters.items()]
    answer = ec2.describe_vpc_endpoints(Filters=asked)
    return {row["VpcEndpointId"] for row in answer["VpcEndpoints"]}


@pytest.mark.contract
def test_an_endpoint_waits_for_acceptance(lab: ServiceLab) -> None:
    """It starts as pendingAcceptance, in lower camelCase, and stays so."""
    endpoint = lab.connect()
    assert len(endpoint) == len("vpce-") + 17
    lab.cloud.wait(60)
    assert lab.state(endpoint) == "pendingAcceptance"


@pytest.mark.contract
def test_without_acceptance_it_comes_up_by_itself(lab: ServiceLab) -> None:
    """It is pending first, then available."""
    lab.ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service_id, AcceptanceRequired=False)
    endpoint = lab.connect()
    assert lab.state(endpoint) == "pending"
    lab.cloud.until(lambda: lab.state(endpoint), "available")


@pytest.mark.contract
def test_what_an_endpoint_says_of_itself(lab: ServiceLab) -> None:
    """The Regional name first, then one per zone; one interface per subnet, inside it."""
    ec2 = lab.ec2
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[lab.connect()])["VpcEndpoints"][0]
    base = f"{lab.service_id}.us-east-1.vpce.amazonaws.com"
    names = [entry["DnsName"] for entry in found["DnsEntries"]]
    assert [name.partition(".")[2] for name in names] == [base, base]
    stem = names[0].partition(".")[0]
    assert stem.removeprefix(found["VpcEndpointId"])[0] == "-"
    assert len(stem) == len(found["VpcEndpointId"]) + 9
    (subnet,) = ec2.describe_subnets(SubnetIds=found["SubnetIds"])["Subnets"]
    assert names[1].partition(".")[0] == f"{stem}-{subnet['AvailabilityZone']}"
    assert all(entry["HostedZoneId"] for entry in found["DnsEntries"])
    assert found["PrivateDnsEnabled"] is False
    assert (found["OwnerId"], found["ServiceRegion"]) == (lab.cloud.account, "us-east-1")
    assert [group["GroupName"] for group in found["Groups"]] == ["default"]
    described = ec2.describe_network_interfaces(NetworkInterfaceIds=found["NetworkInterfaceIds"])
    (interface,) = described["NetworkInterfaces"]
    assert interface["Description"] == f"VPC Endpoint Interface {found['VpcEndpointId']}"
    assert interface["InterfaceType"] == "vpc_endpoint"
    assert interface["RequesterManaged"] is True
    assert interface["SubnetId"] == found["SubnetIds"][0]
    address = ipaddress.ip_address(interface["PrivateIpAddress"])
    assert address in ipaddress.ip_network("10.1.0.0/24")


@pytest.mark.contract
def test_a_repeated_token_gives_the_same_endpoint(lab: ServiceLab) -> None:
    """Same token, same endpoint; with other parameters IdempotentParameterMismatch."""
    request = lab.request(ClientToken="one")
    first = create_endpoint(lab.cloud, lab.ec2, **request)["VpcEndpointId"]
    assert create_endpoint(lab.cloud, lab.ec2, **request)["VpcEndpointId"] == first
    mismatch = code_of(lab.ec2.create_vpc_endpoint, **(request | {"SubnetIds": []}))
    assert mismatch == "IdempotentParameterMismatch"


def test_a_token_is_free_when_its_endpoint_is_not_found_any_more(lab: ServiceLab) -> None:
    """The token is known while its endpoint is listed; how long AWS remembers it is unknown."""
    request = lab.request(ClientToken="one")
    first = create_endpoint(lab.cloud, lab.ec2, **request)["VpcEndpointId"]
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[first])
    lab.cloud.wait(119)
    assert lab.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"] == first
    lab.cloud.wait(1)
    assert lab.ec2.create_vpc_endpoint(**request)["VpcEndpoint"]["VpcEndpointId"] != first


@pytest.mark.contract
def test_filters_of_endpoints(lab: ServiceLab) -> None:
    """By id, VPC, service, state, type and tag; a state is case-sensitive; what matches nothing returns nothing."""
    tags = [{"ResourceType": "vpc-endpoint", "Tags": [{"Key": "plab:key", "Value": "a/endpoint"}]}]
    one, ec2 = lab.connect(TagSpecifications=tags), lab.ec2
    other = lab.connect()
    vpc = ec2.describe_vpc_endpoints(VpcEndpointIds=[one])["VpcEndpoints"][0]["VpcId"]
    assert find(ec2, vpc_endpoint_id=one) == find(ec2, vpc_id=vpc) == {one}
    assert find(ec2, **{"tag:plab:key": "a/endpoint"}) == {one}
    assert find(ec2, service_name=lab.service["ServiceName"]) == {one, other}
    assert find(ec2, service_name=lab.service["ServiceName"], vpc_endpoint_state="pendingAcceptance") == {one, other}
    assert find(ec2, vpc_id=vpc, vpc_endpoint_type="Interface") == {one}
    assert find(ec2, vpc_endpoint_state="PendingAcceptance") == find(ec2, **{"tag:plab:key": "none"}) == set()
    ec2.create_tags(Resources=[other], Tags=[{"Key": "plab:key", "Value": "b"}])
    lab.cloud.until(lambda: find(ec2, **{"tag:plab:key": "b"}), {other})


@pytest.mark.contract
def test_a_deleted_endpoint_goes_by_way_of_deleting(lab: ServiceLab) -> None:
    """Deleting twice is no error; its interface goes before it is not found any more."""
    endpoint, ec2 = lab.connect(), lab.ec2
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    in_subnet = [{"Name": "subnet-id", "Values": found["SubnetIds"]}]
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])["Unsuccessful"] == []
    assert lab.state(endpoint) == "deleting"
    lab.cloud.until(lambda: lab.state(endpoint), "")
    assert ec2.describe_network_interfaces(Filters=in_subnet)["NetworkInterfaces"] == []


@pytest.mark.contract
def test_an_unknown_endpoint_has_a_code_per_verb(lab: ServiceLab) -> None:
    """InvalidVpcEndpointId.NotFound when described; inside Unsuccessful when deleted."""
    asked = {"VpcEndpointIds": [f"vpce-{UNKNOWN}"]}
    assert code_of(lab.ec2.describe_vpc_endpoints, **asked) == "InvalidVpcEndpointId.NotFound"
    (item,) = lab.ec2.delete_vpc_endpoints(**asked)["Unsuccessful"]
    assert item["ResourceId"] == f"vpce-{UNKNOWN}"
    assert item["Error"]["Code"] in {"InvalidVpcEndpoint.NotFound", "InvalidVpcEndpointId.NotFound"}


def test_an_endpoint_takes_its_time_to_go(lab: ServiceLab) -> None:
    """A minute deleting with its interface, a minute deleted without, and then not found."""
    endpoint, ec2 = lab.connect(), lab.ec2
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    in_subnet = [{"Name": "subnet-id", "Values": found["SubnetIds"]}]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    lab.cloud.wait(59)
    assert lab.state(endpoint) == "deleting"
    assert len(ec2.describe_network_interfaces(Filters=in_subnet)["NetworkInterfaces"]) == 1
    lab.cloud.wait(1)
    assert lab.state(endpoint) == "deleted"
    assert ec2.describe_network_interfaces(Filters=in_subnet)["NetworkInterfaces"] == []
    lab.cloud.wait(60)
    assert lab.state(endpoint) == ""


def test_an_address_is_used_again(lab: ServiceLab) -> None:
    """Deleted endpoints free their addresses in a small subnet; a full subnet refuses."""
    ec2 = lab.ec2
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/24")["Vpc"]["VpcId"]
    subnet = add_subnet(ec2, vpc, "10.9.0.0/28")
    request: dict[str, Any] = {
        "VpcEndpointType": "Interface",
        "VpcId": vpc,
        "SubnetIds": [subnet],
        "ServiceName": lab.service["ServiceName"],
    }
    for _ in range(30):
        made = ec2.create_vpc_endpoint(**request)
        ec2.delete_vpc_endpoints(VpcEndpointIds=[made["VpcEndpoint"]["VpcEndpointId"]])
        lab.cloud.wait(60)
    for _ in range(11):  # of 16 addresses AWS keeps five
        ec2.create_vpc_endpoint(**request)
    assert code_of(ec2.create_vpc_endpoint, **request) == "InsufficientFreeAddressesInSubnet"


@pytest.mark.contract
def test_a_service_of_another_region_or_without_permission_does_not_exist(lab: ServiceLab) -> None:
    """InvalidServiceName alike for unknown, not permitted and wrong region."""
    elsewhere = lab.cloud.client("ec2", region="eu-west-1")
    for ec2 in (elsewhere, lab.cloud.client("ec2", lab.cloud.consumer)):
        request = {"VpcEndpointType": "Interface", "VpcId": ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]}
        for name in (lab.service["ServiceName"], f"com.amazonaws.vpce.us-east-1.vpce-svc-{UNKNOWN}", "x"):
            assert code_of(ec2.create_vpc_endpoint, ServiceName=name, **request) == "InvalidServiceName"


def test_a_service_reaches_the_regions_it_supports(lab: ServiceLab) -> None:
    """With ServiceRegion and the provider's consent, and then without zonal names."""
    lab.ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service_id, AddSupportedRegions=["eu-west-1"])
    there = lab.cloud.client("ec2", region="eu-west-1")
    vpc, subnet = network(there, zone="euw1-az1")
    request: dict[str, Any] = {
        "VpcEndpointType": "Interface",
        "VpcId": vpc,
        "SubnetIds": [subnet],
        "ServiceName": lab.service["ServiceName"],
    }
    assert code_of(there.create_vpc_endpoint, **request) == "InvalidServiceName"
    made = there.create_vpc_endpoint(**request, ServiceRegion="us-east-1")["VpcEndpoint"]
    assert made["ServiceRegion"] == "us-east-1"
    assert len(made["DnsEntries"]) == 1
    assert [row["VpcEndpointRegion"] for row in lab.rows()] == ["eu-west-1"]
    asked = {"ServiceNames": [lab.service["ServiceName"]], "ServiceRegions": ["us-east-1"]}
    (seen,) = there.describe_vpc_endpoint_services(**asked)["ServiceDetails"]
    assert (seen["ServiceRegion"], seen["AvailabilityZones"]) == ("us-east-1", [])
    gone = lab.ec2.modify_vpc_endpoint_service_configuration
    assert code_of(gone, ServiceId=lab.service_id, RemoveSupportedRegions=["us-east-1"]) == "InvalidParameter"
    assert code_of(gone, ServiceId=lab.service_id, AddSupportedRegions=["mars-1"]) == "InvalidParameter"


@pytest.mark.contract
def test_forgetting_the_type_makes_a_gateway(lab: ServiceLab) -> None:
    """Gateway is the default: it takes no subnets, and a shared service has none; AWS's own S3 has."""
    asked: dict[str, Any] = {"VpcId": lab.vpc, "ServiceName": lab.service["ServiceName"]}
    assert code_of(lab.ec2.create_vpc_endpoint, **asked) == "InvalidParameter"
    asked["ServiceName"] = "com.amazonaws.us-east-1.s3"
    assert code_of(lab.ec2.create_vpc_endpoint, **asked, SubnetIds=[lab.subnet]) == "InvalidParameter"
    gateway = lab.ec2.create_vpc_endpoint(**asked)["VpcEndpoint"]
    assert find(lab.ec2, vpc_id=lab.vpc, vpc_endpoint_type="Gateway") == {gateway["VpcEndpointId"]}
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[gateway["VpcEndpointId"]])
    lab.cloud.until(lambda: lab.state(gateway["VpcEndpointId"]), "")


@pytest.mark.contract
def test_an_endpoint_to_a_service_of_aws(lab: ServiceLab) -> None:
    """It requires no acceptance; its private name requires both DNS attributes of the VPC."""
    request = {
        "VpcEndpointType": "Interface",
        "VpcId": lab.vpc,
        "SubnetIds": [lab.subnet],
        "ServiceName": "com.amazonaws.us-east-1.ssm",
        "PrivateDnsEnabled": True,
    }
    assert code_of(lab.ec2.create_vpc_endpoint, **request) == "InvalidParameter"
    lab.ec2.modify_vpc_attribute(VpcId=lab.vpc, EnableDnsHostnames={"Value": True})
    made = create_endpoint(lab.cloud, lab.ec2, **request)
    assert (made["State"], made["PrivateDnsEnabled"]) == ("pending", True)
    assert ".ssm.us-east-1.vpce.amazonaws.com" in made["DnsEntries"][0]["DnsName"]
    assert "ssm.us-east-1.amazonaws.com" in {entry["DnsName"] for entry in made["DnsEntries"]}
    assert lab.rows() == []


@pytest.mark.contract
def test_a_private_name_that_the_service_has_not(lab: ServiceLab) -> None:
    """PrivateDnsEnabled without a name of the service is refused, and nothing is left behind."""
    request = lab.request(PrivateDnsEnabled=True)
    lab.ec2.modify_vpc_attribute(VpcId=request["VpcId"], EnableDnsHostnames={"Value": True})
    lab.cloud.until(lambda: code_of(lab.ec2.create_vpc_endpoint, **request), "InvalidParameter")
    assert find(lab.ec2, vpc_id=request["VpcId"]) == set()


@pytest.mark.contract
def test_zones_of_an_endpoint(lab: ServiceLab) -> None:
    """A zone that the service lacks is InvalidParameter, two subnets in one zone DuplicateSubnetsInSameZone."""
    ec2 = lab.ec2
    request = lab.request()
    elsewhere = add_subnet(ec2, request["VpcId"], "10.1.1.0/24", "use1-az2")
    twin = add_subnet(ec2, request["VpcId"], "10.1.2.0/24")

    def code(*subnets: str) -> str:
        return code_of(ec2.create_vpc_endpoint, **(request | {"SubnetIds": list(subnets)}))

    lab.cloud.until(lambda: code(elsewhere), "InvalidParameter")
    assert code(request["SubnetIds"][0], twin) == "DuplicateSubnetsInSameZone"
    assert find(ec2, vpc_id=request["VpcId"]) == set()


@pytest.mark.contract
def test_an_endpoint_without_subnets(lab: ServiceLab) -> None:
    """It is legal, and has no interface."""
    made = create_endpoint(lab.cloud, lab.ec2, **lab.request(SubnetIds=[]))
    assert (made["State"], made["NetworkInterfaceIds"]) == ("pendingAcceptance", [])


@pytest.mark.contract(moto_too=True)
def test_a_vpc_that_is_not_there(lab: ServiceLab) -> None:
    """InvalidVpcID.NotFound."""
    request = lab.request(VpcId=f"vpc-{UNKNOWN}")
    assert code_of(lab.ec2.create_vpc_endpoint, **request).startswith("InvalidVpcI")


def test_subnets_and_groups_of_another_vpc(lab: ServiceLab) -> None:
    """Their codes are unknown; here a foreign subnet is InvalidParameter and a foreign group not found."""
    request, call = lab.request(), lab.ec2.create_vpc_endpoint
    assert code_of(call, **(request | {"SubnetIds": [lab.subnet]})) == "InvalidParameter"
    foreign = add_group(lab.ec2, lab.vpc)
    assert code_of(call, **request, SecurityGroupIds=[foreign]) == "InvalidGroup.NotFound"
    assert code_of(call, **request, SecurityGroupIds=["sg-0"]) == "InvalidGroup.NotFound"
    assert code_of(call, **(request | {"SubnetIds": ["subnet-0"]})) == "InvalidSubnetID.NotFound"
    assert find(lab.ec2) == set()


def test_a_changed_endpoint_is_pending_again(lab: ServiceLab) -> None:
    """ModifyVpcEndpoint changes groups and subnets; an available endpoint becomes pending, then available again."""
    endpoint, ec2 = lab.connect(), lab.ec2
    lab.decide("accept", endpoint)
    lab.cloud.until(lambda: lab.state(endpoint), "available")
    before = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    group = add_group(ec2, before["VpcId"])
    default = before["Groups"][0]["GroupId"]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSecurityGroupIds=[group], RemoveSecurityGroupIds=[default])
    assert lab.state(endpoint) == "pending"
    after = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    assert [row["GroupId"] for row in after["Groups"]] == [group]
    described = ec2.describe_network_interfaces(NetworkInterfaceIds=after["NetworkInterfaceIds"])
    assert [row["GroupId"] for row in described["NetworkInterfaces"][0]["Groups"]] == [group]
    lab.cloud.until(lambda: lab.state(endpoint), "available")
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, RemoveSubnetIds=before["SubnetIds"])
    assert ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["NetworkInterfaceIds"] == []
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSubnetIds=before["SubnetIds"])
    found = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    assert (found["SubnetIds"], len(found["NetworkInterfaceIds"])) == (before["SubnetIds"], 1)
    lab.decide("reject", endpoint)
    lab.cloud.until(lambda: lab.state(endpoint), "rejected")
    assert code_of(ec2.modify_vpc_endpoint, VpcEndpointId=endpoint, AddSubnetIds=[]) == "IncorrectState"


def test_both_views_have_one_hosted_zone(lab: ServiceLab) -> None:
    """The DNS entries of the consumer's and the provider's view are the same."""
    assert isinstance(lab.cloud, LocalCloud)
    endpoint = lab.connect()
    (row,) = lab.rows(vpc_endpoint_id=endpoint)
    found = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    assert row["DnsEntries"] == found["DnsEntries"]
