"""Step 6: the interface endpoint in each consumer's VPC, in zones that the service has.

The endpoint's own DNS names need no VPC attribute; private DNS, which does, stays off.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab import prices
from privatelink_lab.aws import Account, unsuccessful
from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look, Row
from privatelink_lab.resource import SPREADS, Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.steps.endpoint_service import KEY as SERVICE
from privatelink_lab.steps.endpoint_service import PERMISSIONS
from privatelink_lab.steps.vpc import subnet_ids, subnet_keys, vpc_id

# Lower camelCase on the wire, whatever the SDK's enum says (facts sheet section 0.1); compared in lower case.
STATES = {
    "pendingacceptance": Phase.HELD,
    "pending": Phase.PENDING,
    "available": Phase.READY,
    "rejected": Phase.FAILED,
    "expired": Phase.FAILED,
    "failed": Phase.FAILED,
    "deleting": Phase.LEAVING,
}


def endpoint_key(consumer: str) -> str:
    """The key of a consumer's endpoint."""
    return f"{consumer}/endpoint"


def phase_of(state: str) -> Phase:
    """The phase of an endpoint's or a connection's state, in any spelling; an unknown word is FAILED."""
    return STATES.get(state.lower(), Phase.FAILED)


def _endpoint(lab: Lab, consumer: str) -> Resource:
    key = endpoint_key(consumer)

    def find(lab: Lab, look: Look) -> tuple[Found, ...]:
        rows = look.keyed(lab.account(consumer), "vpc-endpoint", key)
        return tuple(_found(look, row) for row in rows)

    def create(lab: Lab, look: Look, token: Token) -> str:
        request: dict[str, Any] = {
            "VpcEndpointType": "Interface",  # AWS's default is Gateway
            "VpcId": vpc_id(lab, look, consumer),
            "ServiceName": look.found(SERVICE)[0].shows["service_name"],
            "SubnetIds": subnet_ids(lab, look, consumer),
            "SecurityGroupIds": [look.id(f"{consumer}/security-group")],
            "PrivateDnsEnabled": False,
        }
        created = lab.account(consumer).ec2.create_vpc_endpoint(
            **request, ClientToken=token.of(**request), TagSpecifications=lab.tag_specifications("vpc-endpoint", key)
        )
        return created["VpcEndpoint"]["VpcEndpointId"]

    return Resource(
        key=key,
        noun="endpoint",
        needs=(SERVICE, PERMISSIONS, *subnet_keys(lab, consumer), f"{consumer}/security-group"),
        find=find,
        create=create,
        delete=_delete,
        releases=(SERVICE, PERMISSIONS),  # a connection that is deleting no longer holds its service (facts sheet 4)
        patience=Patience(900, SPREADS),
        usd_per_hour=prices.ENDPOINT_ZONE * lab.config.provider.zone_count,
    )


def _found(look: Look, row: Row) -> Found:
    id_, state = row["VpcEndpointId"], row["State"]
    phase = phase_of(state)
    service = next((found.shows["service_name"] for found in look.found(SERVICE)), None)
    if phase is not Phase.LEAVING and service and row["ServiceName"] != service:
        return Found(id_, Phase.FAILED, f"joins {row['ServiceName']}, the lab's service is {service}")
    names = [entry["DnsName"] for entry in row.get("DnsEntries") or ()]
    cost = prices.ENDPOINT_ZONE * len(row.get("SubnetIds") or ())
    return Found(id_, phase, _said(row, state), {"dns_name": names[0]} if names else {}, cost)


def _said(row: Row, state: str) -> str:
    if state.lower() == "rejected":
        return "was rejected; plab never re-admits what somebody rejected"
    reason = (row.get("LastError") or {}).get("Message") or row.get("FailureReason")
    return f"{state} ({reason})" if reason else state


def _delete(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return unsuccessful(account.ec2.delete_vpc_endpoints(VpcEndpointIds=list(ids)), "DeleteVpcEndpoints")


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return tuple(_endpoint(lab, consumer.name) for consumer in lab.config.consumers)


def _revive(lab: Lab, key: str) -> Resource | None:
    consumer, _, rest = key.partition("/")
    return _endpoint(lab, consumer) if rest == "endpoint" else None


STEP = Step("consumer endpoint", _resources, _revive)
