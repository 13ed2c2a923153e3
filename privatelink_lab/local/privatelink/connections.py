"""Endpoint connections: the provider's view of endpoints, and how to accept and reject them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from moto.core.responses import ActionResult

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered, tag_set
from privatelink_lab.local.api.responses import CallRefused, Refusal, unsuccessful_item
from privatelink_lab.local.privatelink.endpoint import ATTACHED_STATES, Endpoint, connections_of
from privatelink_lab.local.privatelink.service import PERMISSION
from privatelink_lab.local.privatelink.service_calls import service_of

_CONNECTION = "vpce-con-"


class Connections(Ec2Call):
    """Describe, accept and reject endpoint connections, for the service's owner only."""

    def describe_vpc_endpoint_connections(self) -> ActionResult:
        """The connections of the caller's services; an unknown filter name is `InvalidFilter`."""
        rows = filtered(self, self._rows(), lambda row: connection_fields(*row))
        tagged = self.ec2_backend.tags  # the provider's tags of its own view of an endpoint
        return ActionResult(
            {
                "VpcEndpointConnections": [
                    connection_row(service, endpoint) | {"Tags": tag_set(tagged.get(endpoint.connection_id, {}))}
                    for service, endpoint in rows
                ]
            }
        )

    def accept_vpc_endpoint_connections(self) -> ActionResult:
        """HTTP 200; an endpoint that is not `pendingAcceptance` is an item of `Unsuccessful`."""
        return self._decide(Endpoint.accept, {"pendingAcceptance"})

    def reject_vpc_endpoint_connections(self) -> ActionResult:
        """HTTP 200; an endpoint that is not in one of ATTACHED_STATES is an item of `Unsuccessful`."""
        return self._decide(Endpoint.reject, ATTACHED_STATES)

    def create_tags(self) -> ActionResult:
        """As moto's, and the provider's own tags of connections and permissions, whose ids moto does not know."""
        ids = self._get_param("Resources", [])
        if not ids or not all(id_.startswith((_CONNECTION, PERMISSION)) for id_ in ids):
            return super().create_tags()
        mine = {endpoint.connection_id for _, endpoint in self._rows()}
        mine |= {id_ for service in self.ec2_backend.configurations.values() for id_ in service.permission_ids.values()}
        if unknown := [id_ for id_ in ids if id_ not in mine]:
            raise CallRefused(Refusal(400, "InvalidID", f"The ID '{unknown[0]}' is not valid"))
        self.error_on_dryrun()
        self.ec2_backend.create_tags(ids, {tag["Key"]: tag["Value"] for tag in self._get_param("Tags", [])})
        return ActionResult({})

    def _decide(self, verb: Callable[[Endpoint], None], states: Iterable[str]) -> ActionResult:
        service_id = service_of(self).id
        rows = {endpoint.id: endpoint for service, endpoint in self._rows() if service == service_id}
        unsuccessful = []
        for endpoint_id in self._get_param("VpcEndpointIds", []):
            endpoint = rows.get(endpoint_id)
            if endpoint is not None and endpoint.state in states:
                verb(endpoint)
            else:
                unsuccessful.append(_refuse(endpoint_id, endpoint))
        return ActionResult({"Unsuccessful": unsuccessful})

    def _rows(self) -> Iterator[tuple[str, Endpoint]]:
        """The connections to the caller's services; a new endpoint is missing for a moment."""
        for service_id, endpoint in connections_of(self.current_account, self.region):
            if self.world.is_visible(endpoint.connection_id):
                yield service_id, endpoint


def _refuse(endpoint_id: str, endpoint: Endpoint | None) -> dict[str, Any]:
    if endpoint is None:
        message = f"The Vpc Endpoint Id '{endpoint_id}' does not exist"
        return unsuccessful_item(endpoint_id, "InvalidVpcEndpointId.NotFound", message)
    message = f"The Vpc Endpoint '{endpoint_id}' is in the state {endpoint.state}"
    return unsuccessful_item(endpoint_id, "InvalidState", message)


def connection_fields(service_id: str, endpoint: Endpoint) -> Mapping[str, str]:
    """What DescribeVpcEndpointConnections can filter by; not by service-name."""
    return {
        "service-id": service_id,
        "vpc-endpoint-id": endpoint.id,
        "vpc-endpoint-owner": endpoint.owner_id,
        "vpc-endpoint-region": endpoint.region,
        "vpc-endpoint-state": endpoint.state,
        "ip-address-type": "ipv4",
    }


def connection_row(service_id: str, endpoint: Endpoint) -> dict[str, Any]:
    """The provider's view of an endpoint. The row of a rejected endpoint can outlive its service."""
    balancers = endpoint.service.network_load_balancer_arns if endpoint.service else []
    return {
        "ServiceId": service_id,
        "VpcEndpointId": endpoint.id,
        "VpcEndpointOwner": endpoint.owner_id,
        "VpcEndpointState": endpoint.state,
        "VpcEndpointRegion": endpoint.region,
        "VpcEndpointConnectionId": endpoint.connection_id,
        "CreationTimestamp": endpoint.creation_timestamp,
        "DnsEntries": endpoint.dns_entries,
        "NetworkLoadBalancerArns": balancers,
        "IpAddressType": "ipv4",
    }
