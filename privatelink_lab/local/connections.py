"""Endpoint connections: what the provider sees of its consumers, and accept and reject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.core.responses import ActionResult

from privatelink_lab.local.endpoints import (
    BLOCKING,
    Endpoint,
    connection_answer,
    connections_of,
)
from privatelink_lab.local.filters import page, passes, wanted
from privatelink_lab.local.services import refusal, service_of
from privatelink_lab.local.world import Ec2Call


class Connections(Ec2Call):
    """DescribeVpcEndpointConnections and its two verbs, all for the service's owner only."""

    def describe_vpc_endpoint_connections(self) -> ActionResult:
        """The connections of the caller's services; an unknown filter name is `InvalidFilter`."""
        filters = wanted(self)
        mine = connections_of(self.current_account, self.region)
        rows, token = page(self, [row for row in mine if passes(filters, row_fields(*row))])
        return ActionResult(
            {
                "VpcEndpointConnections": [connection_answer(*row) for row in rows],
                "NextToken": token,
            }
        )

    def accept_vpc_endpoint_connections(self) -> ActionResult:
        """HTTP 200; only `pendingAcceptance` can be accepted, the rest is `Unsuccessful`."""
        return self._decide(Endpoint.accept, {"pendingAcceptance"})

    def reject_vpc_endpoint_connections(self) -> ActionResult:
        """HTTP 200; what waits, comes up or is up can be rejected, the rest is `Unsuccessful`."""
        return self._decide(Endpoint.reject, BLOCKING)

    def _decide(self, verb: Callable[[Endpoint], None], states: Iterable[str]) -> ActionResult:
        service_id = service_of(self).id
        mine = connections_of(self.current_account, self.region)
        rows = {each.id: each for service, each in mine if service == service_id}
        unsuccessful = []
        for endpoint_id in self._get_param("VpcEndpointIds", []):
            endpoint = rows.get(endpoint_id)
            if endpoint is not None and endpoint.state in states:
                verb(endpoint)
            else:
                unsuccessful.append(_refuse(endpoint_id, endpoint))
        return ActionResult({"Unsuccessful": unsuccessful})


def _refuse(endpoint_id: str, endpoint: Endpoint | None) -> dict[str, Any]:
    if endpoint is None:
        message = f"The Vpc Endpoint Id '{endpoint_id}' does not exist"
        return refusal(endpoint_id, "InvalidVpcEndpointId.NotFound", message)
    message = f"The Vpc Endpoint '{endpoint_id}' is in the state {endpoint.state}"
    return refusal(endpoint_id, "InvalidState", message)


def row_fields(service_id: str, endpoint: Endpoint) -> Mapping[str, str]:
    """What DescribeVpcEndpointConnections can filter by; service-name is not among it."""
    return {
        "service-id": service_id,
        "vpc-endpoint-id": endpoint.id,
        "vpc-endpoint-owner": endpoint.owner_id,
        "vpc-endpoint-region": endpoint.region,
        "vpc-endpoint-state": endpoint.state,
        "ip-address-type": "ipv4",
    }
