"""The permissions of an endpoint service: one for each principal that may find it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

_KINDS = {"root": "Account", "user": "User", "role": "Role", "ou": "OrganizationUnit"}


def permission(service_id: str, principal: str) -> dict[str, str]:
    """A principal of a service; its id is the same for the same two, where AWS makes a new one each time."""
    number = hashlib.sha256(f"{service_id} {principal}".encode()).hexdigest()[:17]
    return {
        "ServiceId": service_id,
        "ServicePermissionId": f"vpce-svc-perm-{number}",
        "Principal": principal,
        "PrincipalType": principal_type(principal),
    }


def permission_fields(row: Mapping[str, str]) -> Mapping[str, str]:
    """What DescribeVpcEndpointServicePermissions can filter by."""
    return {"principal": row["Principal"], "principal-type": row["PrincipalType"]}


def principal_type(principal: str) -> str:
    """AWS's word for the kind of a principal."""
    if principal == "*":
        return "All"
    return _KINDS.get(principal.rpartition(":")[2].partition("/")[0], "Service")
