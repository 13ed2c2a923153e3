"""The permissions of an endpoint service: one per principal that may find it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.core.responses import ActionResult

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered, tag_set
from privatelink_lab.local.api.server_state import Wait, new_id
from privatelink_lab.local.privatelink.service import PERMISSION, EndpointService
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
                service.permission_ids[principal] = new_id(PERMISSION)
                self.world.put_off("permission_spread", Wait.ALLOWED, service.id, principal)
        removed = self._get_param("RemoveAllowedPrincipals", [])
        service.principals = [principal for principal in service.principals if principal not in removed]
        for principal in service.permission_ids.keys() & set(removed):
            self.ec2_backend.tags.pop(service.permission_ids.pop(principal), None)
        rows = [permission(service, principal) for principal in service.principals if principal in added]
        return ActionResult({"AddedPrincipals": rows, "ReturnValue": True})

    def describe_vpc_endpoint_service_permissions(self) -> ActionResult:
        """The principals of the caller's service, with the ids of their permissions."""
        service = service_of(self)
        tagged = self.ec2_backend.tags
        rows = [
            permission(service, principal) | {"Tags": tag_set(tagged.get(service.permission_ids[principal], {}))}
            for principal in service.principals
        ]
        return ActionResult({"AllowedPrincipals": filtered(self, rows, permission_fields)})


def permission(service: EndpointService, principal: str) -> dict[str, Any]:
    """The permission of a principal; its id is a new one each time that it is given."""
    kind = principal.rpartition(":")[2].partition("/")[0]
    return {
        "ServiceId": service.id,
        "ServicePermissionId": service.permission_ids[principal],
        "Principal": principal,
        "PrincipalType": "All" if principal == "*" else _KINDS.get(kind, "Service"),
    }


def permission_fields(row: Mapping[str, Any]) -> Mapping[str, str]:
    """What DescribeVpcEndpointServicePermissions can filter by."""
    return {"principal": row["Principal"], "principal-type": row["PrincipalType"]}
