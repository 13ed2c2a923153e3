"""The permissions of an endpoint service: one for each principal that may find it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from moto.core.responses import ActionResult

from privatelink_lab.local.api.call import Ec2Call
from privatelink_lab.local.api.filters import matches, requested_filters
from privatelink_lab.local.api.world import Wait
from privatelink_lab.local.privatelink.services import service_of

_KINDS = {"root": "Account", "user": "User", "role": "Role", "ou": "OrganizationUnit"}


class Permissions(Ec2Call):
    """ModifyVpcEndpointServicePermissions and DescribeVpcEndpointServicePermissions."""

    def modify_vpc_endpoint_service_permissions(self) -> ActionResult:
        """Add, then remove principals; the list keeps its order and holds none twice.

        A new one finds the service only after a while. Who is removed keeps its connections. The
        answer has the permission of each principal that was asked for and is in the list now.
        """
        service = service_of(self)
        for principal in self._get_param("AddAllowedPrincipals", []):
            if principal not in service.principals:
                service.principals = [*service.principals, principal]
                self.world.put_off(
                    self.world.scheduler.clock.delay("permission_spread"), Wait.ALLOWED, service.id, principal
                )
        removed = set(self._get_param("RemoveAllowedPrincipals", []))
        service.principals = [principal for principal in service.principals if principal not in removed]
        asked = set(self._get_param("AddAllowedPrincipals", []))
        rows = [permission(service.id, principal) for principal in service.principals if principal in asked]
        return ActionResult({"AddedPrincipals": rows, "ReturnValue": True})

    def describe_vpc_endpoint_service_permissions(self) -> ActionResult:
        """The principals of the caller's service, each with the id of its permission."""
        service, filters = service_of(self), requested_filters(self)
        rows = [permission(service.id, principal) for principal in service.principals]
        return ActionResult({"AllowedPrincipals": [row for row in rows if matches(filters, permission_fields(row))]})


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
