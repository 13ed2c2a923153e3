"""Step 5: the endpoint service on the balancer, and who may ask for a connection.

Same-account consumers need no permission; every foreign consumer account and every allowed principal gets one. All of
them are one resource, because ModifyVpcEndpointServicePermissions adds and removes any number in one idempotent call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from privatelink_lab import tags
from privatelink_lab.attributes import CONFIG, Attribute
from privatelink_lab.aws import Account, unsuccessful
from privatelink_lab.config import ACCOUNT_ID
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Kind, Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import SLOW_GRACE_PERIOD, Found, Patience, Phase, Resource, ResourceType, Step, Token
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import _service
from privatelink_lab.steps._security_group import LEFT_ALONE
from privatelink_lab.steps._service import OFFER_TYPE, check_offer
from privatelink_lab.steps.nlb import KEY as NLB

KEY = "provider/endpoint-service"
PERMISSIONS = f"{KEY}/permissions"
ROOT = "arn:{}:iam::{}:root"  # the principal of a whole account, in a partition
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


# The permissions.


def _changes(lab: Lab, snapshot: Snapshot, service: str) -> tuple[set[str], set[str]]:
    """The principal ARNs to add and to remove.

    Wanted are the allowed principals, the accounts of customers, and the account of each consumer that is not the
    provider's. Removed is what the config revokes, and what a person has agreed to prune; all else is named.
    """
    wanted, present = wanted_principals(lab)[0], principals(lab, snapshot, service)
    return wanted - present, (present - wanted) & (revoked_principals(lab) | lab.pruned)


def surplus(lab: Lab, snapshot: Snapshot) -> list[str]:
    """The principal ARNs that may ask and that the config does not name; none while there is no service.

    While a consumer's account cannot be reached its principal is unknown, and each could be that one: none is named.
    """
    service, (wanted, all_reached) = snapshot.id(KEY), wanted_principals(lab)
    rows = permissions(lab, snapshot, service) if service and all_reached else {}
    present = rows.keys() if lab.config.provider.has_service else given(lab, rows)
    return sorted(present - wanted - revoked_principals(lab))


def unnamed(lab: Lab, accounts: Iterable[str]) -> set[str]:
    """Those accounts that the config neither lets ask nor revokes; none while a consumer's account is unknown."""
    wanted, all_reached = wanted_principals(lab)
    if "*" in wanted or not all_reached:
        return set()
    return set(accounts) - {lab.provider.id, *revoked_accounts(lab), *(_account(arn) for arn in wanted)}


def still_ask(lab: Lab, snapshot: Snapshot, accounts: Iterable[str]) -> list[str]:
    """The principal ARNs of the service that let these accounts ask, also `*`, but for those that plab removes."""
    service, them = snapshot.id(KEY), {"*", *accounts}
    present = principals(lab, snapshot, service) if service else set()
    return sorted(arn for arn in present - revoked_principals(lab) if _account(arn) in them)


def revoked_accounts(lab: Lab) -> set[str]:
    """The accounts of the customers whose access the config has revoked."""
    return {account for one in lab.config.customers.values() if one.access == "revoked" for account in one.accounts}


def revoked_principals(lab: Lab) -> set[str]:
    """The same accounts as principals."""
    return {_arn(lab, account) for account in revoked_accounts(lab)}


def wanted_principals(lab: Lab) -> tuple[set[str], bool]:
    """The principal ARNs by the config, and whether every consumer's account was reached."""
    wanted = {_arn(lab, principal) for principal in lab.config.provider.service.allowed_principals}
    all_reached = True
    for consumer in lab.config.consumers:
        try:
            account = lab.account(consumer.name).id
        except PlabError:
            all_reached = False
            continue
        if account != lab.provider.id:
            wanted.add(_arn(lab, account))
    given = (one for one in lab.config.customers.values() if one.access == "given")
    return wanted | {_arn(lab, account) for one in given for account in one.accounts}, all_reached


def is_named(lab: Lab, account: str) -> bool:
    """Whether the config names an account: of a consumer, or in a principal. `*` names nobody."""
    if any(_account(arn) == account for arn in wanted_principals(lab)[0]):
        return True
    return any(lab.is_account_of(consumer.name, account) for consumer in lab.config.consumers)


def _arn(lab: Lab, principal: str) -> str:
    return ROOT.format(lab.provider.partition, principal) if ACCOUNT_ID.fullmatch(principal) else principal


def _account(principal: str) -> str:
    """The account of a principal's ARN; `*`, or what is no ARN, as it is."""
    return principal.split(":")[4] if principal.count(":") > 4 else principal  # noqa: PLR2004 (an ARN has six parts)


def row_of(lab: Lab, snapshot: Snapshot) -> Row | None:
    """The service as AWS describes it to its owner, made by plab or there before; None while there is none."""
    if not lab.config.provider.has_service:
        return _service.service(lab)
    return next(iter(snapshot.keyed(lab.provider, KIND, KEY)), None)


def given(lab: Lab, rows: Mapping[str, Row]) -> set[str]:
    """The principals of those permissions that bear the lab's tags: of a service that was there before the lab."""
    named = {principal: tags.of(row) for principal, row in rows.items()}
    return {p for p, of in named.items() if (of.get(tags.LAB), of.get(tags.KEY)) == (lab.config.lab, PERMISSIONS)}


def principals(lab: Lab, snapshot: Snapshot, service: str) -> set[str]:
    """The principals that may ask for the service, as AWS shows them."""
    return set(permissions(lab, snapshot, service))


def permissions(lab: Lab, snapshot: Snapshot, service: str) -> dict[str, Row]:
    """The permissions of a service by their principals."""
    operation, rows = "describe_vpc_endpoint_service_permissions", "AllowedPrincipals"
    found = snapshot.pages(lab.provider, "ec2", operation, rows, ServiceId=service)
    return {row["Principal"]: row for row in found}


@calls("ec2:DescribeVpcEndpointServicePermissions")
def _find_permissions(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    service = snapshot.id(KEY)
    if not service:
        return ()
    lacking, leaving = _changes(lab, snapshot, service)
    id_ = f"{service}/permissions"
    if lacking:
        return (Found(id_, Phase.DRIFTED, f"lacks {', '.join(sorted(lacking))}"),)
    if leaving:
        return (Found(id_, Phase.DRIFTED, f"to be removed: {', '.join(sorted(leaving))}"),)
    present, others = principals(lab, snapshot, service), surplus(lab, snapshot)
    also = f"; not in the config: {', '.join(others)}, {LEFT_ALONE}" if others else ""
    return (Found(id_, Phase.READY, (f"{len(present)} principals" if present else "own account only") + also),)


@calls("ec2:ModifyVpcEndpointServicePermissions")
def _update_permissions(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    service = snapshot.id(KEY) or ""
    lacking, leaving = _changes(lab, snapshot, service)
    changes: dict[str, Any] = {"AddAllowedPrincipals": sorted(lacking), "RemoveAllowedPrincipals": sorted(leaving)}
    lab.provider.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service, **{name: principals for name, principals in changes.items() if principals}
    )


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
# No create: every service has its (possibly empty) permissions.
PERMISSION_TYPE = ResourceType("permission", find=_find_permissions, update=_update_permissions, goes_with_parent=True)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    for_others = not lab.config.consumers or bool(
        lab.config.customers or lab.config.provider.service.allowed_principals
    )
    if lab.config.is_customers:
        return (Resource(KEY, OFFER_TYPE),)
    if lab.config.provider.service.id:
        return (Resource(KEY, _service.SERVICE_TYPE),)
    service = Resource(KEY, SERVICE_TYPE, depends_on=(NLB,), is_goal=for_others)
    return (service, Resource(PERMISSIONS, PERMISSION_TYPE, depends_on=(KEY,)))


def _check(lab: Lab) -> None:
    if lab.config.is_customers:
        check_offer(lab)
    elif lab.config.provider.service.id:
        _service.check_service(lab)


STEP = Step("endpoint service", _resources, kinds=(KIND,), check=_check)
