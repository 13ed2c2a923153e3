"""Step 5 of a lab whose service was there before it: the customers' permissions, and none of the others.

Each permission that plab gives bears the lab's tags, and plab takes away no other. AWS tags a permission only after it
is given, so the state notes first which ones `up` is about to give: after a kill in between, the next run tags them.
"""

from __future__ import annotations

from typing import Any

from privatelink_lab.aws import Account
from privatelink_lab.errors import AwsError
from privatelink_lab.iam_actions import calls
from privatelink_lab.kind import Row
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource, ResourceType, Step
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps._security_group import LEFT_ALONE
from privatelink_lab.steps.endpoint_service import KEY as SERVICE
from privatelink_lab.steps.endpoint_service import (
    PERMISSIONS,
    given,
    permissions,
    revoked_principals,
    surplus,
    wanted_principals,
)


def _begun(lab: Lab, rows: dict[str, Row]) -> set[str]:
    """Those that a killed run has given, and has not tagged yet."""
    return set(lab.state.intents.get(PERMISSIONS, ())) & rows.keys() - given(lab, rows)


def _leaving(lab: Lab, rows: dict[str, Row]) -> set[str]:
    """Those of its own that the config revokes, or that a person has agreed to prune."""
    return given(lab, rows) & (revoked_principals(lab) | lab.pruned)


@calls("ec2:DescribeVpcEndpointServicePermissions")
def _find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
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
def _update(lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
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
def _delete(account: Account, ids: tuple[str, ...]) -> dict[str, AwsError]:
    by_service: dict[str, list[str]] = {}
    for service, _, principal in (id_.partition("/") for id_ in ids):
        by_service.setdefault(service, []).append(principal)
    for service, principals in by_service.items():
        account.ec2.modify_vpc_endpoint_service_permissions(ServiceId=service, RemoveAllowedPrincipals=principals)
    return {}


GIVEN_TYPE = ResourceType("permission", find=_find, update=_update, delete=_delete)


def _resources(lab: Lab) -> tuple[Resource, ...]:
    return (Resource(PERMISSIONS, GIVEN_TYPE, depends_on=(SERVICE,)),) if lab.config.provider.service.id else ()


STEP = Step("endpoint service", _resources)
