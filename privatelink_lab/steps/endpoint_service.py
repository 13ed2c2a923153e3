"""Step 5: the endpoint service on the balancer, and who may ask for a connection.

plab makes the service. Or it was there before the lab, and plab manages its customers alone; or it is somebody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.aws import Account, unsuccessful
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import SLOW_GRACE_PERIOD, Found, Patience, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _existing
from privatelink_lab.steps._existing import OFFER_TYPE, check_offer
from privatelink_lab.steps._permissions import GIVEN_TYPE, PERMISSION_TYPE, PERMISSIONS
from privatelink_lab.steps.nlb import KEY as NLB

KEY = _existing.SERVICE
KIND = Kind(
    "vpc-endpoint-service",
    "describe_vpc_endpoint_service_configurations",
    "ServiceConfigurations",
    "ServiceId",
    provider_only=True,
    delete="delete-vpc-endpoint-service-configurations --service-ids",
)
STATES = {
    "pending": Phase.PENDING,
    "available": Phase.READY,
    "deleting": Phase.DELETING,
}


# The service.


def _read_service(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> Found:
    state = row["ServiceState"]
    phase = STATES.get(state.lower(), Phase.FAILED)
    return Found(row["ServiceId"], phase, state, {"service_name": row["ServiceName"]})


@calls("ec2:ModifyVpcEndpointServiceConfiguration")
def _compare_service(lab: Lab, snapshot: Snapshot, resource: Resource, row: Row) -> list[Attribute]:
    balancer, required = snapshot.id(NLB), lab.config.provider.service.acceptance_required
    balancers = set(row.get("NetworkLoadBalancerArns") or ())

    def modify(**request: Any) -> Callable[[], object]:
        given = {name: value for name, value in request.items() if value != []}
        ec2 = lab.provider.ec2
        return lambda: ec2.modify_vpc_endpoint_service_configuration(ServiceId=row["ServiceId"], **given)

    ours = {balancer} if balancer else set()
    move = modify(
        AddNetworkLoadBalancerArns=sorted(ours - balancers), RemoveNetworkLoadBalancerArns=sorted(balancers - ours)
    )
    return [
        Attribute("load balancers", balancers, ours or None, move),
        Attribute(
            "acceptance required",
            row["AcceptanceRequired"],
            required,
            modify(AcceptanceRequired=required),
            asked_by=CONFIG,
        ),
    ]


@calls("ec2:CreateVpcEndpointServiceConfiguration")
def _create_service(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
    request: dict[str, Any] = {
        "NetworkLoadBalancerArns": [snapshot.id(NLB)],
        "AcceptanceRequired": lab.config.provider.service.acceptance_required,
    }
    created = lab.provider.ec2.create_vpc_endpoint_service_configuration(
        **request,
        ClientToken=token.of(**request),
        TagSpecifications=lab.tag_specifications(resource),
    )
    return Found(created["ServiceConfiguration"]["ServiceId"], Phase.PENDING, "created")


@calls("ec2:DeleteVpcEndpointServiceConfigurations")
def _delete_services(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    response = account.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=list(ids))
    return unsuccessful(response, "DeleteVpcEndpointServiceConfigurations")


def row_of(lab: Lab, snapshot: Snapshot) -> Row | None:
    """The service as AWS describes it to its owner, made by plab or there before; None while there is none."""
    if not lab.config.provider.has_service:
        return _existing.service(lab)
    return next(iter(snapshot.keyed(lab.provider, KIND, KEY)), None)


SERVICE_TYPE = ResourceType(
    "endpoint service",
    KIND,
    read=_read_service,
    create=_create_service,
    compare=_compare_service,
    delete=_delete_services,
    # InvalidParameter names a balancer that is not active everywhere yet, or still tied to the service before
    # (AWS facts 5).
    retryable=frozenset({"LoadBalancerNotFound", "InvalidParameter"}),
    patience=Patience(600, SLOW_GRACE_PERIOD),
)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    for_others = not lab.config.consumers or bool(
        lab.config.customers or lab.config.provider.service.allowed_principals
    )
    if lab.config.is_customers:
        return (Resource(KEY, OFFER_TYPE),)
    if lab.config.provider.service.id:
        return (Resource(KEY, _existing.SERVICE_TYPE), Resource(PERMISSIONS, GIVEN_TYPE, depends_on=(KEY,)))
    service = Resource(KEY, SERVICE_TYPE, depends_on=(NLB,), is_goal=for_others)
    return (service, Resource(PERMISSIONS, PERMISSION_TYPE, depends_on=(KEY,)))


def _check(lab: Lab) -> None:
    if lab.config.is_customers:
        check_offer(lab)
    elif lab.config.provider.service.id:
        _existing.check_service(lab)


STEP = Step("endpoint service", _resources, kinds=(KIND,), check=_check)
