"""Who may ask for a connection: the principals of a service, by the config and by AWS.

All permissions are one resource, because ModifyVpcEndpointServicePermissions adds and removes any number in one
idempotent call. Same-account consumers need none; every foreign consumer account, every customer's account and every
allowed principal gets one. `up` takes nothing away but what the config revokes, and what a person prunes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from privatelink_lab import tags
from privatelink_lab.aws import Account
from privatelink_lab.config import ACCOUNT_ID
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, ResourceType
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._existing import SERVICE
from privatelink_lab.steps._security_group import LEFT_ALONE

PERMISSIONS = f"{SERVICE}/permissions"
ROOT = "arn:{}:iam::{}:root"  # the principal of a whole account, in a partition


# By the config.


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
    given = lab.config.customers_with_access.values()
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


# By AWS.


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


def surplus(lab: Lab, snapshot: Snapshot) -> list[str]:
    """The principal ARNs that may ask and that the config does not name; none while there is no service.

    While a consumer's account cannot be reached its principal is unknown, and each could be that one: none is named.
    """
    service, (wanted, all_reached) = snapshot.id(SERVICE), wanted_principals(lab)
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
    service, them = snapshot.id(SERVICE), {"*", *accounts}
    present = principals(lab, snapshot, service) if service else set()
    return sorted(arn for arn in present - revoked_principals(lab) if _account(arn) in them)


# Those of a service that plab has made. It has no create: every service has its (possibly empty) permissions.


def _changes(lab: Lab, snapshot: Snapshot, service: str) -> tuple[set[str], set[str]]:
    """The principal ARNs to add and to remove.

    Wanted are the allowed principals, the accounts of customers, and the account of each consumer that is not the
    provider's. Removed is what the config revokes, and what a person has agreed to prune; all else is named.
    """
    wanted, present = wanted_principals(lab)[0], principals(lab, snapshot, service)
    return wanted - present, (present - wanted) & (revoked_principals(lab) | lab.pruned)


@calls("ec2:DescribeVpcEndpointServicePermissions")
def _find_permissions(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    service = snapshot.id(SERVICE)
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
    count = {0: "own account only", 1: "1 principal"}.get(len(present), f"{len(present)} principals")
    return (Found(id_, Phase.READY, count + also),)


@calls("ec2:ModifyVpcEndpointServicePermissions")
def _update_permissions(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    service = snapshot.id(SERVICE) or ""
    lacking, leaving = _changes(lab, snapshot, service)
    changes: dict[str, Any] = {"AddAllowedPrincipals": sorted(lacking), "RemoveAllowedPrincipals": sorted(leaving)}
    lab.provider.ec2.modify_vpc_endpoint_service_permissions(
        ServiceId=service, **{name: principals for name, principals in changes.items() if principals}
    )


PERMISSION_TYPE = ResourceType("permission", find=_find_permissions, update=_update_permissions, goes_with_parent=True)


# Those of a service that was there before the lab. Each permission that plab gives bears the lab's tags, and plab takes
# away no other. AWS tags a permission only after it is given, so the state notes first which ones `up` will give: after
# a kill in between, the next run tags them.


def _begun(lab: Lab, rows: dict[str, Row]) -> set[str]:
    """Those that a killed run has given, and has not tagged yet."""
    return set(lab.state.intents.get(PERMISSIONS, ())) & rows.keys() - given(lab, rows)


def _leaving(lab: Lab, rows: dict[str, Row]) -> set[str]:
    """Those of its own that the config revokes, or that a person has agreed to prune."""
    return given(lab, rows) & (revoked_principals(lab) | lab.pruned)


@calls("ec2:DescribeVpcEndpointServicePermissions")
def _find_given(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
    service = lab.config.provider.service.id or ""
    rows = permissions(lab, snapshot, service)
    own, begun = given(lab, rows), _begun(lab, rows)
    if snapshot.to_delete:
        return tuple(Found(f"{service}/{principal}", Phase.READY, "given by plab") for principal in sorted(own | begun))
    lacking, id_ = wanted_principals(lab)[0] - rows.keys(), f"{service}/permissions"
    if lacking:
        return (Found(id_, Phase.DRIFTED, f"lacks {', '.join(sorted(lacking))}", intends=tuple(lacking | begun)),)
    if leaving := _leaving(lab, rows):
        return (Found(id_, Phase.DRIFTED, f"to be removed: {', '.join(sorted(leaving))}", intends=tuple(begun)),)
    if begun:
        return (Found(id_, Phase.DRIFTED, f"not tagged: {', '.join(sorted(begun))}", intends=tuple(begun)),)
    more = [f"; also {principal}, {LEFT_ALONE}" for principal in sorted(rows.keys() - own)]
    more += [f"; not in the config: {principal}, {LEFT_ALONE}" for principal in surplus(lab, snapshot)]
    return (Found(id_, Phase.READY, f"{len(own)} given by plab{''.join(more)}"),)


@calls("ec2:ModifyVpcEndpointServicePermissions", "ec2:CreateTags")
def _update_given(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
    """Give what is lacking, take what is revoked, and tag what has no tag yet."""
    service = lab.config.provider.service.id or ""
    rows = permissions(lab, snapshot, service)
    lacking, leaving = wanted_principals(lab)[0] - rows.keys(), _leaving(lab, rows)
    ids = [rows[principal]["ServicePermissionId"] for principal in _begun(lab, rows)]
    changes: dict[str, Any] = {"AddAllowedPrincipals": sorted(lacking), "RemoveAllowedPrincipals": sorted(leaving)}
    if lacking or leaving:
        asked = {name: principals for name, principals in changes.items() if principals}
        answer = lab.provider.ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, **asked)
        ids += [row["ServicePermissionId"] for row in answer.get("AddedPrincipals") or ()]
    if ids:
        lab.provider.ec2.create_tags(Resources=ids, Tags=lab.tags(resource))


@calls("ec2:ModifyVpcEndpointServicePermissions")
def _delete_given(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    by_service: dict[str, list[str]] = {}
    for service, _, principal in (id_.partition("/") for id_ in ids):
        by_service.setdefault(service, []).append(principal)
    for service, principals in by_service.items():
        account.ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, RemoveAllowedPrincipals=principals)
    return {}


GIVEN_TYPE = ResourceType("permission", find=_find_given, update=_update_given, delete=_delete_given)
