"""What all calls of EC2 and ELBv2 share: new ids become visible late, and lists come in pages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from botocore.model import OperationModel
from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.responses import EC2Response

from privatelink_lab.local.api.filters import page
from privatelink_lab.local.api.responses import CallRefused, Refusal
from privatelink_lab.local.api.server_state import World

Resource = TypeVar("Resource")
_NOT_SETTINGS = frozenset({"Action", "Version", "ClientToken", "DryRun"})


class Call(BaseResponse):
    """One request, and the World it works on."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def settings(self) -> str:
        """A hash of all parameters but the token: equal for equal settings."""
        given = {key: value for key, value in self.querystring.items() if key not in _NOT_SETTINGS}
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()

    def call_action(self) -> Any:
        """The response of the action; raises CallRefused for an id that is not visible yet."""
        action = self._get_action()
        if action not in _BULK:
            for resource_id in named_ids(self.querystring):
                if not self.world.is_visible(resource_id):
                    raise CallRefused(not_found(str(self.service_name), resource_id))
        return super().call_action()

    def serialized(self, action_result: ActionResult) -> Any:
        """The response as HTTP; new ids are hidden for a while, and lists hold visible rows of one page only."""
        result, action = action_result.result, self._get_action()
        if action.startswith(("Create", "Run")) and not isinstance(result, Exception):
            for resource_id in ids_made_by(result):
                if resource_id.startswith(_VISIBLE_LATER):
                    self.world.hide_new(resource_id)
        if action.startswith("Describe") and isinstance(result, dict):
            try:
                action_result = ActionResult(self._visible_page(action, result))
            except ServiceException as error:  # the token of no page
                action_result = ActionResult(error)
        return super().serialized(action_result)

    def _visible_page(self, action: str, result: dict[str, Any]) -> dict[str, Any]:
        model = get_service_model(self.boto3_service_name).operation_model(action)
        visible = {name: self._visible(rows) if isinstance(rows, Sequence) else rows for name, rows in result.items()}
        key = paged_member(model)
        if self.service_name != "ec2" or not key or visible.get("NextToken"):
            return visible  # moto pages ELBv2 itself
        rows, token = page(self, visible.get(key) or [])
        return visible | {key: rows, "NextToken": token}

    def _visible(self, rows: Any) -> Any:
        if isinstance(rows, str):
            return rows
        return [row for row in rows if all(self.world.is_visible(resource_id) for resource_id in ids_of(row))]


class Ec2Call(Call, EC2Response):
    """One EC2 request."""

    def make_once(self, find: Callable[[str], Resource | None], make: Callable[[], tuple[Resource, str]]) -> Resource:
        """What `make` returned when this ClientToken was first used.

        `make` also returns an id, by which `find` finds the resource again; None means that it was
        deleted, and the token is free. Raises `IdempotentParameterMismatch` when the parameters of
        both requests differ, as EC2 does.
        """
        token = self._get_param("ClientToken")
        key = (self._get_action(), self.current_account, self.region, token or "")
        settings = self.settings()
        if key in self.world.tokens:
            first_settings, resource_id = self.world.tokens[key]
            found = find(resource_id)
            if found is not None and settings != first_settings:
                text = f"The client token '{token}' was used before with other parameters."
                raise EC2ClientError("IdempotentParameterMismatch", text)
            if found is not None:
                return found
        made, resource_id = make()
        if token:
            self.world.tokens[key] = (settings, resource_id)
        return made

    def create_once(self, noun: str, create: Callable[[], ActionResult], kept: Mapping[str, Any]) -> ActionResult:
        """The resource that moto's `create` makes, or made for this token before and that is still in `kept`."""

        def make() -> tuple[Any, str]:
            made: Any = create().result
            return made[noun], made[noun].id

        return ActionResult({noun: self.make_once(kept.get, make)})


_BULK = frozenset(
    {
        "DeleteVpcEndpoints",
        "DeleteVpcEndpointServiceConfigurations",
        "AcceptVpcEndpointConnections",
        "RejectVpcEndpointConnections",
        "DeleteLoadBalancer",
    }
)
"""These answer per id, inside `Unsuccessful`, or take an unknown id for deleted."""

_NOT_FOUND: Mapping[str, tuple[str, str]] = {
    "vpc-": ("InvalidVpcID.NotFound", "vpc"),
    "subnet-": ("InvalidSubnetID.NotFound", "subnet"),
    "sg-": ("InvalidGroup.NotFound", "security group"),
    "i-": ("InvalidInstanceID.NotFound", "instance"),
    "rtb-": ("InvalidRouteTableID.NotFound", "routeTable"),
    "igw-": ("InvalidInternetGatewayID.NotFound", "internetGateway"),
    "eni-": ("InvalidNetworkInterfaceID.NotFound", "networkInterface"),
    "vpce-svc-": ("InvalidVpcEndpointServiceId.NotFound", "VpcEndpointService"),
    "vpce-": ("InvalidVpcEndpointId.NotFound", "Vpc Endpoint"),
}
_VISIBLE_LATER = (*_NOT_FOUND, "arn:")
_ELB_NOT_FOUND = {
    "^subnet-": "SubnetNotFound",
    "^sg-": "InvalidSecurityGroup",
    "^i-": "InvalidTarget",
    ":loadbalancer/": "LoadBalancerNotFound",
    ":targetgroup/": "TargetGroupNotFound",
    ":listener/": "ListenerNotFound",
}
_NOT_IDS = re.compile(r"Filters?\.|TagSpecification|Tags?\.")


def named_ids(parameters: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """All values of a request except tags and filters: a filter with an unknown id finds nothing, and does not fail."""
    for name, values in parameters.items():
        if not _NOT_IDS.match(name):
            yield from values


def not_found(service: str, what: str) -> Refusal:
    """The refusal of EC2 or ELBv2 for an unknown id or ARN."""
    if service != "ec2":
        code = next((code for word, code in _ELB_NOT_FOUND.items() if re.search(word, what)), "ValidationError")
        return Refusal(400, code, f"'{what}' was not found")
    if what.startswith("arn:"):
        return Refusal(400, "InvalidNetworkLoadBalancerArn.NotFound", f"The load balancer '{what}' does not exist")
    prefix = max((start for start in _NOT_FOUND if what.startswith(start)), key=len)
    code, noun = _NOT_FOUND[prefix]
    return Refusal(400, code, f"The {noun} ID '{what}' does not exist")


def ids_made_by(result: Any) -> Iterator[str]:
    """The ids or ARNs of the resources in the response of a create."""
    for member in result.values() if isinstance(result, dict) else [result]:
        for row in member if isinstance(member, list | tuple) else [member]:
            yield from ids_of(row)


def ids_of(row: Any) -> Iterator[str]:
    """The id or ARN of one row; for a reservation those of its instances."""
    if hasattr(row, "instances"):
        yield from (instance.id for instance in row.instances)
    elif isinstance(row, dict):
        yield from filter(None, (row.get(name) for name in ("VpcEndpointId", "ServiceId")))
    elif isinstance(row, str):
        yield row
    else:
        found = getattr(row, "id", None) or getattr(row, "arn", None)
        if isinstance(found, str):
            yield found


def paged_member(model: OperationModel) -> str | None:
    """The name of the list that comes in pages, the only list of the response; None for a call without pages."""
    members = model.output_shape.members if model.output_shape else {}
    lists = [name for name, shape in members.items() if shape.type_name == "list"]
    return lists[0] if "NextToken" in members and len(lists) == 1 else None
