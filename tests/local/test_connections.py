"""Connections: what the provider sees and decides."""

from __future__ import annotations

from .labs import CONSUMER, Lab, code_of


def test_accept_leads_through_pending(lab: Lab) -> None:
    """It is pendingAcceptance for a second, pending for a minute, then available: one truth for both."""
    endpoint = lab.connect()
    assert lab.decide("accept", endpoint) == {}
    seen = []
    for seconds in (0, 1, 59, 1):
        lab.cloud.wait(seconds)
        seen.append(lab.state(endpoint))
        assert lab.rows()[0]["VpcEndpointState"] == seen[-1]
    assert seen == ["pendingAcceptance", "pending", "pending", "available"]


def test_a_row_of_the_provider(lab: Lab) -> None:
    """Who asks, from where, since when, and under which names."""
    lab.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=lab.service["ServiceId"],
        AddAllowedPrincipals=[f"arn:aws:iam::{CONSUMER}:root"],
    )
    theirs = lab.cloud.client("ec2", CONSUMER)
    endpoint = lab.connect(theirs)
    (row,) = lab.rows(service_id=lab.service["ServiceId"])
    assert (row["VpcEndpointId"], row["VpcEndpointOwner"]) == (endpoint, CONSUMER)
    assert (row["VpcEndpointRegion"], row["IpAddressType"]) == ("us-east-1", "ipv4")
    assert row["NetworkLoadBalancerArns"] == [lab.balancer]
    assert row["CreationTimestamp"].tzinfo is not None
    assert len(row["DnsEntries"]) == 2
    assert theirs.describe_vpc_endpoint_connections()["VpcEndpointConnections"] == []
    unknown = code_of(
        theirs.accept_vpc_endpoint_connections,
        ServiceId=lab.service["ServiceId"],
        VpcEndpointIds=[endpoint],
    )
    assert unknown == "InvalidVpcEndpointServiceId.NotFound"


def test_filters_of_connections(lab: Lab) -> None:
    """The documented ones; service-name is not among them; an unknown service has no rows."""
    one, two = lab.connect(), lab.connect()
    lab.decide("reject", two)
    lab.cloud.wait(1)
    ids = {each["VpcEndpointId"] for each in lab.rows(vpc_endpoint_owner="123456789012")}
    assert ids == {one, two}
    assert [row["VpcEndpointId"] for row in lab.rows(vpc_endpoint_state="rejected")] == [two]
    assert [row["VpcEndpointId"] for row in lab.rows(vpc_endpoint_id=one)] == [one]
    assert lab.rows(ip_address_type="ipv6") == lab.rows(vpc_endpoint_region="eu-west-1") == []
    assert lab.rows(service_id="vpce-svc-0123456789abcdef0") == []
    bad = [{"Name": "service-name", "Values": ["x"]}]
    call = lab.ec2.describe_vpc_endpoint_connections
    assert code_of(call, Filters=bad) == "InvalidFilter"


def test_connections_come_in_pages(lab: Lab) -> None:
    """MaxResults and NextToken cut the list, and nothing is lost or told twice."""
    ids = {lab.connect() for _ in range(12)}
    pages = lab.ec2.get_paginator("describe_vpc_endpoint_connections")
    told = [
        [row["VpcEndpointId"] for row in page["VpcEndpointConnections"]]
        for page in pages.paginate(PaginationConfig={"PageSize": 5})
    ]
    assert [len(page) for page in told] == [5, 5, 2]
    assert {each for page in told for each in page} == ids
    call = lab.ec2.describe_vpc_endpoint_connections
    assert code_of(call, NextToken="nonsense") == "InvalidNextToken"


def test_what_cannot_be_accepted(lab: Lab) -> None:
    """HTTP 200 with an item per id; the good ones of the same call go through."""
    good, bad = lab.connect(), lab.connect()
    lab.decide("reject", bad)
    lab.cloud.wait(1)
    unknown = "vpce-0123456789abcdef0"
    codes = lab.decide("accept", good, bad, unknown)
    assert codes == {bad: "InvalidState", unknown: "InvalidVpcEndpointId.NotFound"}
    lab.cloud.wait(61)
    assert lab.state(good) == "available"
    assert lab.decide("accept", good) == {good: "InvalidState"}
    call = lab.ec2.accept_vpc_endpoint_connections
    missing = code_of(call, ServiceId="vpce-svc-0123456789abcdef0", VpcEndpointIds=[good])
    assert missing == "InvalidVpcEndpointServiceId.NotFound"


def test_reject_from_every_state(lab: Lab) -> None:
    """What waits, what comes up and what is up; the endpoint stays with its consumer."""
    ids = [lab.connect() for _ in range(3)]
    lab.decide("accept", ids[0])
    lab.cloud.wait(61)
    lab.decide("accept", ids[1])
    lab.cloud.wait(1)
    assert [lab.state(each) for each in ids] == ["available", "pending", "pendingAcceptance"]
    assert lab.decide("reject", *ids) == {}
    lab.cloud.wait(1)
    assert [lab.state(each) for each in ids] == ["rejected"] * 3
    lab.cloud.wait(1000)
    assert [lab.state(each) for each in ids] == ["rejected"] * 3
    assert lab.decide("reject", ids[0]) == {ids[0]: "InvalidState"}


def test_a_deleted_endpoint_leaves_the_list(lab: Lab) -> None:
    """The provider's row turns deleting and deleted too, and stops blocking the service."""
    endpoint = lab.connect()
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert lab.rows()[0]["VpcEndpointState"] == "deleting"
    asked = {"ServiceIds": [lab.service["ServiceId"]]}
    assert lab.ec2.delete_vpc_endpoint_service_configurations(**asked)["Unsuccessful"] == []
    lab.cloud.wait(120)
    assert lab.rows() == []
