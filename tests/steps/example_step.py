"""An example step: a route table in the provider's VPC. CONTRIBUTING shows with it how a resource is added."""

from __future__ import annotations

from privatelink_lab.aws import Account, errors_by_id
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.resource_key import make_key
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._vpc import vpc_id

# Edit 1: how AWS lists it, and what can be done with it.

KEY = make_key(PROVIDER, "route-table")
KIND = Kind("route-table", "describe_route_tables", "RouteTables", "RouteTableId", provider_only=True)


def _read(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    return Found(row["RouteTableId"], Phase.READY, "in place")  # `row` bears the lab's tag and the resource's key


@calls("ec2:CreateRouteTable")
def _create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    created = lab.provider.ec2.create_route_table(  # ONE mutating call, tagged
        VpcId=vpc_id(lab, snapshot, PROVIDER), TagSpecifications=lab.tag_specifications(resource)
    )
    return Found(created["RouteTable"]["RouteTableId"], Phase.PENDING, "created")


@calls("ec2:DeleteRouteTable")
def _delete(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    return errors_by_id(ids, lambda id_: account.ec2.delete_route_table(RouteTableId=id_))


ROUTE_TABLE_TYPE = ResourceType("route table", KIND, read=_read, create=_create, delete=_delete)

# Edit 2: its entry in the step.


def _resources(_: Lab) -> tuple[Resource, ...]:
    return (Resource(KEY, ROUTE_TABLE_TYPE, depends_on=(make_key(PROVIDER, "vpc"),)),)


STEP = Step("example", _resources, kinds=(KIND,))
