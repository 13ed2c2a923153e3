"""Endpoint services as the provider and the consumers see them."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_resources import ServiceLab, active_balancer, add_subnet, code_of, make_balancer, network, outcome
from support.contract_aws import ContractCloud

UNKNOWN = "vpce-svc-0123456789abcdef0"


def find(ec2: Any, **filters: str) -> list[str]:
    """Ids of the services that pass the filters."""
    asked = [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in filters.items()]
    answer = ec2.describe_vpc_endpoint_service_configurations(Filters=asked)
    return [row["ServiceId"] for row in answer["ServiceConfigurations"]]


def state(lab: ServiceLab) -> str:
    """The state of the lab's service; "" when it is not found."""
    found = [found for found in find(lab.ec2) if found == lab.service_id]
    if not found:
        return ""
    answer = lab.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=found)
    return str(answer["ServiceConfigurations"][0]["ServiceState"])


@pytest.mark.contract
def test_a_new_service_is_available_at_once(lab: ServiceLab) -> None:
    """Its name, its zones by name and by id, and an id as AWS makes them."""
    service = lab.service
    assert service["ServiceState"] == "Available"
    assert service["ServiceName"] == f"com.amazonaws.vpce.us-east-1.{service['ServiceId']}"
    assert len(service["ServiceId"]) == len("vpce-svc-") + 17
    assert service["AvailabilityZoneIds"] == ["use1-az1"]
    assert len(service["AvailabilityZones"]) == 1
    assert service["NetworkLoadBalancerArns"] == [lab.balancer]


@pytest.mark.contract
def test_a_repeated_token_gives_the_same_service(cloud: ContractCloud) -> None:
    """The token is honoured, a changed request under it is refused, and tags come with the create."""
    ec2 = cloud.client("ec2")
    request: dict[str, Any] = {
        "NetworkLoadBalancerArns": [active_balancer(cloud, network(ec2)[1])],
        "ClientToken": "one",
        "TagSpecifications": [{"ResourceType": "vpc-endpoint-service", "Tags": [{"Key": "plab:lab", "Value": "x"}]}],
    }
    create = ec2.create_vpc_endpoint_service_configuration
    ids = {create(**request)["ServiceConfiguration"]["ServiceId"] for _ in range(2)}
    assert len(ids) == 1
    assert code_of(create, **(request | {"AcceptanceRequired": False})) == "IdempotentParameterMismatch"
    cloud.until(lambda: set(find(ec2, **{"tag:plab:lab": "x"})), ids)


@pytest.mark.contract
def test_a_balancer_belongs_to_one_service_only(lab: ServiceLab) -> None:
    """A second service on the same balancer is InvalidParameter."""
    create = lab.ec2.create_vpc_endpoint_service_configuration
    assert code_of(create, NetworkLoadBalancerArns=[lab.balancer]) == "InvalidParameter"


@pytest.mark.contract
def test_what_a_service_cannot_be_made_of(cloud: ContractCloud) -> None:
    """No balancer, a malformed ARN, one that is not there, and one that is still provisioning."""
    ec2 = cloud.client("ec2")
    provisioning = make_balancer(cloud.client("elbv2"), network(ec2)[1])
    create = ec2.create_vpc_endpoint_service_configuration
    missing = provisioning.replace("/nlb/", "/none/")
    codes = [code_of(create, NetworkLoadBalancerArns=arns) for arns in ([], ["arn"], [missing], [provisioning])]
    kind = "InvalidNetworkLoadBalancerArn"
    assert codes == ["InvalidParameter", f"{kind}.Malformed", f"{kind}.NotFound", "InvalidParameter"]


@pytest.mark.contract
def test_filters_of_services(lab: ServiceLab) -> None:
    """By id, name, state and tag; tags can be added later; what matches nothing returns nothing."""
    ec2, mine = lab.ec2, lab.service_id
    assert find(ec2, service_id=mine) == [mine]
    assert find(ec2, service_name=lab.service["ServiceName"], service_state="Available") == [mine]
    assert find(ec2, service_id=mine, service_state="Deleting") == find(ec2, **{"tag:a": "none"}) == []
    ec2.create_tags(Resources=[mine], Tags=[{"Key": "a", "Value": "b"}])
    lab.cloud.until(lambda: find(ec2, **{"tag:a": "b"}), [mine])
    call = ec2.describe_vpc_endpoint_service_configurations
    assert code_of(call, Filters=[{"Name": "colour", "Values": ["red"]}]) == "InvalidFilter"
    assert code_of(call, ServiceIds=[UNKNOWN]) == "InvalidVpcEndpointServiceId.NotFound"


@pytest.mark.contract
def test_principals_are_added_once_and_removed(lab: ServiceLab) -> None:
    """No principal twice."""
    names = [f"arn:aws:iam::{number}:root" for number in (lab.cloud.account, lab.cloud.consumer)]
    lab.allow(names[0])
    lab.allow(*names)
    asked = {"ServiceId": lab.service_id}

    def principals() -> list[str]:
        answer = lab.ec2.describe_vpc_endpoint_service_permissions(**asked)
        assert all(row["PrincipalType"] == "Account" for row in answer["AllowedPrincipals"])
        return sorted(row["Principal"] for row in answer["AllowedPrincipals"])

    lab.cloud.until(principals, sorted(names))
    lab.ec2.modify_vpc_endpoint_service_permissions(**asked, RemoveAllowedPrincipals=names[:1])
    lab.cloud.until(principals, names[1:])
    call = lab.ec2.modify_vpc_endpoint_service_permissions
    assert code_of(call, ServiceId=UNKNOWN, AddAllowedPrincipals=names) == "InvalidVpcEndpointServiceId.NotFound"


def services_seen(ec2: Any, lab: ServiceLab) -> str:
    """The owner of the lab's service as another account sees it, or the error code."""
    asked = {"ServiceNames": [lab.service["ServiceName"]]}
    code = outcome(ec2.describe_vpc_endpoint_services, **asked)
    if code:
        return code
    details = ec2.describe_vpc_endpoint_services(**asked)["ServiceDetails"][0]
    assert details["AcceptanceRequired"] is True
    assert details["AvailabilityZoneIds"] == lab.service["AvailabilityZoneIds"]
    return str(details["Owner"])


@pytest.mark.contract
@pytest.mark.parametrize("principal", ["root", "role", "*"])
def test_another_account_needs_a_permission(lab: ServiceLab, principal: str) -> None:
    """Without it the service does not exist; with it the consumer sees owner and zones."""
    theirs = lab.cloud.client("ec2", lab.cloud.consumer)
    assert services_seen(theirs, lab) == "InvalidServiceName"
    lab.allow(f"arn:aws:iam::{lab.cloud.account}:root")
    assert services_seen(theirs, lab) == "InvalidServiceName"
    arns = {"root": f"arn:aws:iam::{lab.cloud.consumer}:root", "role": lab.cloud.role()}
    lab.allow(arns.get(principal, "*"))
    lab.cloud.until(lambda: services_seen(theirs, lab), lab.cloud.account)
    assert find(theirs, service_id=lab.service_id) == []


@pytest.mark.contract
def test_the_catalogue_has_aws_services(lab: ServiceLab) -> None:
    """AWS's own services are there, in pages, and one unknown name fails a whole call."""
    ec2 = lab.ec2
    name = "com.amazonaws.us-east-1.ssm"
    assert name in ec2.describe_vpc_endpoint_services(ServiceNames=[name])["ServiceNames"]
    call = ec2.describe_vpc_endpoint_services
    assert code_of(call, ServiceNames=[name, "com.amazonaws.none"]) == "InvalidServiceName"
    pages = ec2.get_paginator("describe_vpc_endpoint_services")
    names = [name for page in pages.paginate(PaginationConfig={"PageSize": 100}) for name in page["ServiceNames"]]
    assert len(set(names)) > 100
    assert lab.service["ServiceName"] in names


@pytest.mark.contract
def test_a_connection_holds_its_service(lab: ServiceLab) -> None:
    """HTTP 200 with an error inside, until the connection is rejected; the consumer keeps the endpoint."""
    endpoint = lab.connect()
    asked = {"ServiceIds": [lab.service_id, UNKNOWN]}
    answer = lab.ec2.delete_vpc_endpoint_service_configurations(**asked)
    codes = {row["ResourceId"]: row["Error"]["Code"] for row in answer["Unsuccessful"]}
    assert codes[lab.service_id] == "ExistingVpcEndpointConnections"
    assert codes[UNKNOWN] in {"InvalidVpcEndpointService.NotFound", "InvalidVpcEndpointServiceId.NotFound"}
    lab.decide("reject", endpoint)
    lab.cloud.until(lambda: lab.state(endpoint), "rejected")
    lab.cloud.until(lab.delete_service, [])
    lab.cloud.until(lambda: state(lab), "")
    assert lab.state(endpoint) == "rejected"


@pytest.mark.contract
def test_a_deleted_service_cannot_be_found(lab: ServiceLab) -> None:
    """No consumer can connect to it any more; deleting it twice is no error; in the end its id is unknown."""
    assert lab.delete_service() == []
    assert services_seen(lab.ec2, lab) == "InvalidServiceName"
    lab.cloud.until(lambda: state(lab), "")
    call = lab.ec2.describe_vpc_endpoint_service_configurations
    assert code_of(call, ServiceIds=[lab.service_id]) == "InvalidVpcEndpointServiceId.NotFound"


def test_a_deleted_service_lingers_and_goes(lab: ServiceLab) -> None:
    """Ten seconds Deleting, five Deleted, and then not found."""
    lab.delete_service()
    assert state(lab) == "Deleting"
    assert lab.delete_service() == []
    lab.cloud.wait(10)
    assert state(lab) == "Deleted"
    lab.cloud.wait(5)
    assert state(lab) == ""


@pytest.mark.contract
def test_balancers_of_a_service_come_and_go(lab: ServiceLab) -> None:
    """A second load balancer adds its zone; one can be removed only without connections, and never the last one."""
    ec2 = lab.ec2
    second = active_balancer(lab.cloud, add_subnet(ec2, lab.vpc, "10.0.1.0/24", "use1-az2"), "second")
    change = ec2.modify_vpc_endpoint_service_configuration
    mine = {"ServiceId": lab.service_id}
    change(**mine, AddNetworkLoadBalancerArns=[second])

    def zones() -> list[str]:
        answer = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service_id])
        return sorted(answer["ServiceConfigurations"][0]["AvailabilityZoneIds"])

    lab.cloud.until(zones, ["use1-az1", "use1-az2"])
    lab.connect()
    assert code_of(change, **mine, RemoveNetworkLoadBalancerArns=[second]) == "ExistingVpcEndpointConnections"


def test_the_last_balancer_stays(lab: ServiceLab) -> None:
    """A service without a balancer is InvalidParameter."""
    change = lab.ec2.modify_vpc_endpoint_service_configuration
    code = code_of(change, ServiceId=lab.service_id, RemoveNetworkLoadBalancerArns=[lab.balancer])
    assert code == "InvalidParameter"


@pytest.mark.contract
def test_a_private_name_has_to_be_proved(lab: ServiceLab) -> None:
    """It is pendingVerification with a TXT record to publish, and consumers cannot use it yet."""
    ec2 = lab.ec2
    ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service_id, PrivateDnsName="plab.example.com")
    answer = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service_id])
    found = answer["ServiceConfigurations"][0]
    assert found["PrivateDnsName"] == "plab.example.com"
    proof = found["PrivateDnsNameConfiguration"]
    assert (proof["State"], proof["Type"]) == ("pendingVerification", "TXT")
    assert proof["Name"]
    assert proof["Value"]
    request = lab.request(PrivateDnsEnabled=True)
    ec2.modify_vpc_attribute(VpcId=request["VpcId"], EnableDnsHostnames={"Value": True})
    lab.cloud.until(lambda: code_of(ec2.create_vpc_endpoint, **request), "InvalidParameter")
    ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service_id, RemovePrivateDnsName=True)
    answer = ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service_id])
    assert not answer["ServiceConfigurations"][0].get("PrivateDnsName")


def test_a_private_name_is_not_proved_here(lab: ServiceLab) -> None:
    """The local AWS has no DNS for the record: after a minute the verification has failed."""
    start = lab.ec2.start_vpc_endpoint_service_private_dns_verification
    assert code_of(start, ServiceId=lab.service_id) == "InvalidParameter"
    lab.ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service_id, PrivateDnsName="plab.example.com")
    start(ServiceId=lab.service_id)
    lab.cloud.wait(60)
    answer = lab.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service_id])
    assert answer["ServiceConfigurations"][0]["PrivateDnsNameConfiguration"]["State"] == "failed"


@pytest.mark.contract
def test_notifications_of_connections(lab: ServiceLab) -> None:
    """They are Enabled, belong to a service or an endpoint, and have an error code of their own."""
    ec2 = lab.ec2
    topic = f"arn:aws:sns:us-east-1:{lab.cloud.account}:plab"
    create = ec2.create_vpc_endpoint_connection_notification
    neither = code_of(create, ConnectionNotificationArn=topic, ConnectionEvents=["Accept"])
    assert neither.startswith(("InvalidParameter", "MissingParameter"))
    unknown = {"ConnectionNotificationId": "vpce-nfn-0123456789abcdef0"}
    call = ec2.describe_vpc_endpoint_connection_notifications
    assert code_of(call, **unknown) == "InvalidConnectionNotification"


def test_a_notification_is_kept_as_it_was_asked_for(lab: ServiceLab) -> None:
    """It is created, listed, changed and deleted; no message is sent."""
    ec2, topic = lab.ec2, f"arn:aws:sns:us-east-1:{lab.cloud.account}:plab"
    create = ec2.create_vpc_endpoint_connection_notification
    asked = {"ServiceId": lab.service_id, "ConnectionNotificationArn": topic}
    made = create(**asked, ConnectionEvents=["Accept", "Reject"])["ConnectionNotification"]
    assert (made["ConnectionNotificationState"], made["ServiceId"]) == ("Enabled", lab.service_id)
    mine = {"ConnectionNotificationId": made["ConnectionNotificationId"]}
    ec2.modify_vpc_endpoint_connection_notification(**mine, ConnectionEvents=["Connect"])
    (row,) = ec2.describe_vpc_endpoint_connection_notifications(**mine)["ConnectionNotificationSet"]
    assert (row["ConnectionEvents"], row["ConnectionNotificationArn"]) == (["Connect"], topic)
    assert code_of(create, **asked, ConnectionEvents=["Nonsense"]) == "InvalidParameter"
    assert (
        code_of(create, **(asked | {"ConnectionNotificationArn": "x"}), ConnectionEvents=["Accept"])
        == "InvalidParameter"
    )
    delete = ec2.delete_vpc_endpoint_connection_notifications
    ids = list(mine.values())
    assert delete(ConnectionNotificationIds=ids)["Unsuccessful"] == []
    (refused,) = delete(ConnectionNotificationIds=ids)["Unsuccessful"]
    assert refused["Error"]["Code"] == "InvalidConnectionNotification"
