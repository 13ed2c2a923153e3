"""The permissions of an endpoint service: one per principal that may find it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from moto.core.responses import ActionResult

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered
from privatelink_lab.local.api.server_state import Wait
from privatelink_lab.local.privatelink.service_calls import service_of

_KINDS = {"root": "Account", "user": "User", "role": "Role", "ou": "OrganizationUnit"}


class Permissions(Ec2Call):
    """ModifyVpcEndpointServicePermissions and DescribeVpcEndpointServicePermissions."""

    def modify_vpc_endpoint_service_permissions(self) -> ActionResult:
        """Add principals, then remove principals; the list keeps its order and has no duplicates.

        A new principal finds the service only after a delay. A removed one keeps its connections.
        The response has the permissions of the requested principals that are in the list now.
        """
        service = service_of(self)
        added = self._get_param("AddAllowedPrincipals", [])
        for principal in added:
            if principal not in service.principals:
                service.principals = [*service.principals, principal]
                self.world.put_off("permission_spread", Wait.ALLOWED, service.id, principal)
        removed = self._get_param("RemoveAllowedPrincipals", [])
        service.principals = [principal for principal in service.principals if principal not in removed]
        rows = [permission(service.id, principal) for principal in service.principals if principal in added]
        return ActionResult({"AddedPrincipals": rows, "ReturnValue": True})

    def describe_vpc_endpoint_service_permissions(self) -> ActionResult:
        """The principals of the caller's service, with the ids of their permissions."""
        service = service_of(self)
        rows = [permission(service.id, principal) for principal in service.principals]
        return ActionResult({"AllowedPrincipals": filtered(self, rows, permission_fields)})


def permission(service_id: str, principal: str) -> dict[str, str]:
    """The permission of a principal; its id depends on both only, while AWS makes a new id every time."""
    kind = principal.rpartition(":")[2].partition("/")[0]
    number = hashlib.sha256(f"{service_id} {principal}".encode()).hexdigest()[:17]
    return {
        "ServiceId": service_id,
        "ServicePermissionId": f"vpce-svc-perm-{number}",
        "Principal": principal,
        "PrincipalType": "All" if principal == "*" else _KINDS.get(kind, "Service"),
    }


def permission_fields(row: Mapping[str, str]) -> Mapping[str, str]:
    """What DescribeVpcEndpointServicePermissions can filter by."""
    return {"principal": row["Principal"], "principal-type": row["PrincipalType"]}
