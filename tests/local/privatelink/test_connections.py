"""Connections: what the provider sees and decides."""

from __future__ import annotations

import pytest
from support.aws_resources import ServiceLab, code_of


@pytest.mark.contract
def test_accept_leads_through_pending(lab: ServiceLab) -> None:
    """pendingAcceptance, then pending, then available; consumer and provider see the same states."""
    endpoint, seen = lab.connect(), ["pendingAcceptance"]
    assert lab.decide("accept", endpoint) == {}

    def state() -> str:
        seen.append(lab.state(endpoint))
        return seen[-1]

    lab.cloud.until(state, "available")
    assert list(dict.fromkeys(seen)) == ["pendingAcceptance", "pending", "available"]
    assert lab.rows(vpc_endpoint_id=endpoint)[0]["VpcEndpointState"] == "available"


def test_the_seconds_of_an_acceptance(lab: ServiceLab) -> None:
    """It is pendingAcceptance for a second and pending for a minute."""
    endpoint = lab.connect()
    lab.decide("accept", endpoint)
    seen = []
    for seconds in (0, 1, 59, 1):
        lab.cloud.wait(seconds)
        seen.append(lab.state(endpoint))
        assert lab.rows()[0]["VpcEndpointState"] == seen[-1]
    assert seen == ["pendingAcceptance", "pending", "pending", "available"]


@pytest.mark.contract
def test_a_row_of_the_provider(lab: ServiceLab) -> None:
    """The row has owner, region, time and DNS names of the endpoint; only the service's owner sees and decides."""
    theirs = lab.admit()
    endpoint = lab.connect(theirs)
    (row,) = lab.rows(service_id=lab.service_id)
    assert (row["VpcEndpointId"], row["VpcEndpointOwner"]) == (endpoint, lab.cloud.consumer)
    assert (row["VpcEndpointRegion"], row["IpAddressType"]) == ("us-east-1", "ipv4")
    assert row["NetworkLoadBalancerArns"] == [lab.balancer]
    assert row["CreationTimestamp"].tzinfo is not None
    assert len(row["DnsEntries"]) == 2
    assert theirs.describe_vpc_endpoint_connections()["VpcEndpointConnections"] == []
    asked = {"ServiceId": lab.service_id, "VpcEndpointIds": [endpoint]}
    assert code_of(theirs.accept_vpc_endpoint_connections, **asked) == "InvalidVpcEndpointServiceId.NotFound"


@pytest.mark.contract
def test_filters_of_connections(lab: ServiceLab) -> None:
    """The documented ones; service-name is not among them; an unknown service has no rows."""
    one, two = lab.connect(), lab.connect()
    lab.decide("reject", two)
    lab.cloud.until(lambda: lab.state(two), "rejected")
    mine = {"service_id": lab.service_id}
    ids = {found["VpcEndpointId"] for found in lab.rows(**mine, vpc_endpoint_owner=lab.cloud.account)}
    assert ids == {one, two}
    assert [row["VpcEndpointId"] for row in lab.rows(**mine, vpc_endpoint_state="rejected")] == [two]
    assert lab.rows(**mine, ip_address_type="ipv6") == lab.rows(**mine, vpc_endpoint_region="eu-west-1") == []
    assert lab.rows(service_id="vpce-svc-0123456789abcdef0") == []
    bad = [{"Name": "service-name", "Values": ["x"]}]
    call = lab.ec2.describe_vpc_endpoint_connections
    assert code_of(call, Filters=bad) == "InvalidFilter"


def test_a_connection_is_found_by_its_endpoint(lab: ServiceLab) -> None:
    """The filter vpc-endpoint-id works here; AWS does not document it."""
    one, _ = lab.connect(), lab.connect()
    assert [row["VpcEndpointId"] for row in lab.rows(vpc_endpoint_id=one)] == [one]


@pytest.mark.contract
def test_connections_come_in_pages(lab: ServiceLab) -> None:
    """The list comes in pages by MaxResults and NextToken, and no row is lost or repeated."""
    ids = {lab.connect() for _ in range(6)}
    pages = lab.ec2.get_paginator("describe_vpc_endpoint_connections")
    listed = [
        [row["VpcEndpointId"] for row in page["VpcEndpointConnections"] if row["VpcEndpointId"] in ids]
        for page in pages.paginate(PaginationConfig={"PageSize": 5})
    ]
    assert max(len(page) for page in listed) <= 5
    assert sorted(endpoint for page in listed for endpoint in page) == sorted(ids)


@pytest.mark.contract
def test_what_cannot_be_accepted(lab: ServiceLab) -> None:
    """HTTP 200 with an item per refused id; the others of the same call are accepted."""
    good, unknown = lab.connect(), "vpce-0123456789abcdef0"
    (code,) = lab.decide("accept", good, unknown).values()
    assert code in {"InvalidVpcEndpoint.NotFound", "InvalidVpcEndpointId.NotFound"}
    lab.cloud.until(lambda: lab.state(good), "available")
    call = lab.ec2.accept_vpc_endpoint_connections
    missing = code_of(call, ServiceId="vpce-svc-0123456789abcdef0", VpcEndpointIds=[good])
    assert missing == "InvalidVpcEndpointServiceId.NotFound"


def test_what_cannot_be_decided_any_more(lab: ServiceLab) -> None:
    """Accept and reject have an item InvalidState; what AWS answers is unknown."""
    good, bad = lab.connect(), lab.connect()
    lab.decide("accept", good)
    lab.decide("reject", bad)
    lab.cloud.wait(61)
    assert lab.decide("accept", good, bad) == {good: "InvalidState", bad: "InvalidState"}
    assert lab.decide("reject", bad) == {bad: "InvalidState"}


@pytest.mark.contract
def test_reject_from_every_state(lab: ServiceLab) -> None:
    """pendingAcceptance, pending and available can be rejected; the consumer keeps the endpoint."""
    ids = [lab.connect() for _ in range(3)]
    lab.decide("accept", ids[0])
    lab.cloud.until(lambda: lab.state(ids[0]), "available")
    lab.decide("accept", ids[1])
    lab.cloud.until(lambda: lab.state(ids[1]), "pending", "available")
    assert lab.state(ids[2]) == "pendingAcceptance"
    assert lab.decide("reject", *ids) == {}
    for endpoint_id in ids:
        lab.cloud.until(lambda endpoint_id=endpoint_id: lab.state(endpoint_id), "rejected")
    lab.cloud.wait(60)
    assert [lab.state(endpoint_id) for endpoint_id in ids] == ["rejected"] * 3


@pytest.mark.contract
def test_a_deleted_endpoint_holds_its_service_no_more(lab: ServiceLab) -> None:
    """The provider's row becomes deleting too, no longer keeps the service, and disappears."""
    endpoint = lab.connect()
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    lab.cloud.until(lambda: [row["VpcEndpointState"] for row in lab.rows(service_id=lab.service_id)], ["deleting"], [])
    lab.cloud.until(lab.delete_service, [])
    lab.cloud.until(lambda: lab.rows(service_id=lab.service_id), [])


@pytest.mark.contract
def test_who_is_removed_keeps_its_connection(lab: ServiceLab) -> None:
    """Removing a permission does not cut an accepted connection."""
    theirs = lab.admit()
    endpoint = lab.connect(theirs)
    lab.decide("accept", endpoint)

    def state() -> str:
        return str(theirs.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["State"])

    lab.cloud.until(state, "available")
    root = f"arn:aws:iam::{lab.cloud.consumer}:root"
    lab.ec2.modify_vpc_endpoint_service_permissions(ServiceId=lab.service_id, RemoveAllowedPrincipals=[root])
    lab.cloud.wait(30)
    assert state() == "available"
