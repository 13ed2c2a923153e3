"""Endpoint services as the provider and the consumers see them."""

from __future__ import annotations

from typing import Any

import pytest

from .labs import CONSUMER, Lab, code_of


def find(ec2: Any, **filters: str) -> list[str]:
    """Ids of the services that pass the filters."""
    asked = [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in filters.items()]
    answer = ec2.describe_vpc_endpoint_service_configurations(Filters=asked)
    return [each["ServiceId"] for each in answer["ServiceConfigurations"]]


def allow(lab: Lab, *principals: str) -> None:
    """Let these principals find the service."""
    lab.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=lab.service["ServiceId"], AddAllowedPrincipals=list(principals)
    )


def test_a_new_service_is_available_at_once(lab: Lab) -> None:
    """Its name, its zones by name and by id, and an id as AWS makes them."""
    service = lab.service
    assert service["ServiceState"] == "Available"
    assert service["ServiceName"] == f"com.amazonaws.vpce.us-east-1.{service['ServiceId']}"
    assert len(service["ServiceId"]) == len("vpce-svc-") + 17
    assert service["AvailabilityZones"] == ["us-east-1a"]
    assert len(service["AvailabilityZoneIds"]) == 1
    assert service["NetworkLoadBalancerArns"] == [lab.balancer]


def test_a_repeated_token_gives_the_same_service(lab: Lab) -> None:
    """The token is honoured, and a changed request under it is refused."""
    request: dict[str, Any] = {
        "NetworkLoadBalancerArns": [lab.balancer],
        "ClientToken": "one",
        "TagSpecifications": [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "plab:lab", "Value": "x"}]}],
    }
    ids = [lab.ec2.create_vpc_endpoint_service_configuration(**request)["ServiceConfiguration"] for _ in range(2)]
    assert ids[0]["ServiceId"] == ids[1]["ServiceId"]
    other = request | {"AcceptanceRequired": False}
    code = code_of(lab.ec2.create_vpc_endpoint_service_configuration, **other)
    assert code == "IdempotentParameterMismatch"
    assert find(lab.ec2, **{"tag:plab:lab": "x"}) == [ids[0]["ServiceId"]]


def test_filters_of_services(lab: Lab) -> None:
    """By id, name, state and tag; tags can be added later."""
    ec2, mine = lab.ec2, lab.service["ServiceId"]
    assert find(ec2, service_id=mine) == find(ec2, service_state="Available") == [mine]
    assert find(ec2, service_name=lab.service["ServiceName"]) == [mine]
    assert find(ec2, service_state="Deleting") == find(ec2, **{"tag:a": "b"}) == []
    ec2.create_tags(Resources=[mine], Tags=[{"Key": "a", "Value": "b"}])
    assert find(ec2, **{"tag:a": "b"}) == find(ec2, **{"tag-key": "a"}) == [mine]
    call = ec2.describe_vpc_endpoint_service_configurations
    assert code_of(call, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidFilter"
    unknown = code_of(call, ServiceIds=["vpce-svc-0123456789abcdef0"])
    assert unknown == "InvalidVpcEndpointServiceId.NotFound"


def test_the_permission_list_keeps_its_order(lab: Lab) -> None:
    """No principal twice, and the order in which they were added."""
    names = [f"arn:aws:iam::{number}:root" for number in ("999988887777", CONSUMER, "111122223333")]
    allow(lab, names[0], names[1])
    allow(lab, names[2], names[0])
    asked = {"ServiceId": lab.service["ServiceId"]}
    told = lab.ec2.describe_vpc_endpoint_service_permissions(**asked)["AllowedPrincipals"]
    assert [each["Principal"] for each in told] == names
    lab.ec2.modify_vpc_endpoint_service_permissions(**asked, RemoveAllowedPrincipals=names[:1])
    told = lab.ec2.describe_vpc_endpoint_service_permissions(**asked)["AllowedPrincipals"]
    assert [each["Principal"] for each in told] == names[1:]


@pytest.mark.parametrize(
    "principal",
    [f"arn:aws:iam::{CONSUMER}:root", f"arn:aws:iam::{CONSUMER}:role/lab", "*"],
)
def test_another_account_needs_a_permission(lab: Lab, principal: str) -> None:
    """Without it the service does not exist; with it the consumer sees owner and zones."""
    theirs = lab.cloud.client("ec2", CONSUMER)
    asked = {"ServiceNames": [lab.service["ServiceName"]]}
    assert code_of(theirs.describe_vpc_endpoint_services, **asked) == "InvalidServiceName"
    allow(lab, "arn:aws:iam::111122223333:root", f"arn:aws:iam::{CONSUMER}:role/other")
    assert code_of(theirs.describe_vpc_endpoint_services, **asked) == "InvalidServiceName"
    allow(lab, principal)
    details = theirs.describe_vpc_endpoint_services(**asked)["ServiceDetails"][0]
    assert details["Owner"] == "123456789012"
    assert details["AcceptanceRequired"] is True
    assert details["AvailabilityZones"] == ["us-east-1a"]
    assert details["AvailabilityZoneIds"] == lab.service["AvailabilityZoneIds"]
    assert find(theirs) == []


def test_the_catalogue_has_aws_services(lab: Lab) -> None:
    """AWS's own services are there, in pages, and one unknown name fails a whole call."""
    ec2 = lab.ec2
    name = "com.amazonaws.us-east-1.ssm"
    assert ec2.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceNames"] == [name]
    call = ec2.describe_vpc_endpoint_services
    assert code_of(call, ServiceNames=[name, "com.amazonaws.none"]) == "InvalidServiceName"
    pages = ec2.get_paginator("describe_vpc_endpoint_services")
    names = [each for page in pages.paginate(PaginationConfig={"PageSize": 100}) for each in page["ServiceNames"]]
    assert len(names) == len(set(names)) > 100
    assert lab.service["ServiceName"] in names


def test_a_connection_holds_its_service(lab: Lab) -> None:
    """HTTP 200 with the refusal inside, until the connection is rejected or gone."""
    endpoint = lab.connect()
    asked = {"ServiceIds": [lab.service["ServiceId"], "vpce-svc-0123456789abcdef0"]}
    answer = lab.ec2.delete_vpc_endpoint_service_configurations(**asked)
    codes = [each["Error"]["Code"] for each in answer["Unsuccessful"]]
    assert codes == ["ExistingVpcEndpointConnections", "InvalidVpcEndpointService.NotFound"]
    lab.decide("reject", endpoint)
    lab.cloud.wait(1)
    answer = lab.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=asked["ServiceIds"][:1])
    assert answer["Unsuccessful"] == []
    assert lab.state(endpoint) == "rejected"
    assert [row["VpcEndpointState"] for row in lab.rows()] == ["rejected"]


def test_a_deleted_service_lingers_and_goes(lab: Lab) -> None:
    """Deleting, Deleted, and then not found; nobody can connect meanwhile."""
    ec2, mine = lab.ec2, lab.service["ServiceId"]
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[mine])
    call = ec2.describe_vpc_endpoint_service_configurations
    assert call(ServiceIds=[mine])["ServiceConfigurations"][0]["ServiceState"] == "Deleting"
    asked = {"ServiceNames": [lab.service["ServiceName"]]}
    assert code_of(ec2.describe_vpc_endpoint_services, **asked) == "InvalidServiceName"
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[mine])
    lab.cloud.wait(10)
    assert call(ServiceIds=[mine])["ServiceConfigurations"][0]["ServiceState"] == "Deleted"
    lab.cloud.wait(5)
    assert code_of(call, ServiceIds=[mine]) == "InvalidVpcEndpointServiceId.NotFound"
