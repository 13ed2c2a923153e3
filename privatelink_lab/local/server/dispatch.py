"""The path of a request inside a service: the service's class, the call, and errors in AWS's words."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from botocore.model import OperationNotFoundError
from moto.core.parse import RequestParserError
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model
from moto.ssm.responses import SimpleSystemManagerResponse
from moto.sts.responses import TokenResponse

from privatelink_lab.local.api.responses import CallRefused, Refusal, Response, error_response
from privatelink_lab.local.api.server_state import World
from privatelink_lab.local.ec2.instances import Instances
from privatelink_lab.local.ec2.interfaces import NetworkInterfaces
from privatelink_lab.local.ec2.security_groups import SecurityGroups
from privatelink_lab.local.ec2.vpcs import Vpcs
from privatelink_lab.local.elbv2.listeners import Listeners
from privatelink_lab.local.elbv2.load_balancers import LoadBalancers
from privatelink_lab.local.elbv2.target_groups import TargetGroups
from privatelink_lab.local.privatelink.connection_notifications import Notifications
from privatelink_lab.local.privatelink.connections import Connections
from privatelink_lab.local.privatelink.endpoint_calls import Endpoints
from privatelink_lab.local.privatelink.permissions import Permissions
from privatelink_lab.local.privatelink.service_calls import Services
from privatelink_lab.local.privatelink.service_discovery import Discovery

LOG = logging.getLogger(__name__)


# moto finds the method of an action by its name among the methods of the class. Actions that the
# service's model does not know are refused before that, so no other method can be reached.


class LocalEc2(
    Vpcs,
    SecurityGroups,
    NetworkInterfaces,
    Instances,
    Services,
    Permissions,
    Discovery,
    Endpoints,
    Connections,
    Notifications,
):
    """All of EC2: moto's, with PrivateLink, time and refusals added. A request gets a new one."""


class LocalElb(LoadBalancers, Listeners, TargetGroups):
    """All of ELBv2: moto's, with time and refusals added. A request gets a new one."""


SERVICES: Mapping[str, Callable[[World], BaseResponse]] = {
    "ec2": LocalEc2,
    "elasticloadbalancing": LocalElb,
    "sts": lambda _: TokenResponse(),
    "ssm": lambda _: SimpleSystemManagerResponse(),
}
"""A service's name in a SigV4 scope -> what answers its requests."""

_IGNORED_HEADERS = frozenset({"user-agent", "x-moto-account-id"})
"""Headers by which moto would let the client choose another region or account."""

_UNREADABLE = (KeyError, TypeError, AttributeError, IndexError)
"""What moto raises when a part of a request is missing or has an unexpected type."""


class MissingParameterError(Exception):
    """A parameter that the service's model requires was not given."""


def call_service(world: World, name: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[str, Response]:
    """The action of a request to a service of SERVICES, and the response or the fault in its place; never raises.

    An action that moto lacks is `UnsupportedOperation`. A request that does not fit the service's
    model, or that moto cannot read, is a 400. Any other failure is `InternalError`. The stack trace
    of the last two goes to the log only.
    """
    service, action = SERVICES[name](world), "?"
    try:
        _check_characters(body)
        _read(service, url, headers, body)
        action = service._get_action() or "?"
        _check_required(service, action)
        where = (service.current_account, service.region, name)
        return action, world.faults.call(where, action, body.decode(errors="replace"), lambda: _run_action(service))
    except Exception as error:
        refusal = _refusal_for(error)
        if isinstance(error, _UNREADABLE):
            LOG.exception("%s could not be read", action)
            text = f"The request cannot be understood: {type(error).__name__} in the local AWS"
            refusal = Refusal(400, "InvalidParameterValue", text)
        if refusal is None:
            LOG.exception("%s failed", action)
            refusal = Refusal(500, "InternalError", f"{type(error).__name__} in the local AWS")
        return action, error_response(refusal, name)


def _read(service: BaseResponse, url: str, headers: Mapping[str, str], body: bytes) -> None:
    kept = {key: value for key, value in headers.items() if key.lower() not in _IGNORED_HEADERS}
    try:
        service.setup_class(Request.from_primitives("POST", url, kept, body))
    except ValueError as error:  # moto's parser on text where the model wants a number
        raise RequestParserError(str(error)) from error


def _check_characters(body: bytes) -> None:
    """Refuse characters that an answer in XML cannot carry: they would make what was created unreadable."""
    if found := _UNCARRIED.search(unquote_plus(body.decode(errors="replace"))):
        raise CallRefused(Refusal(400, "InvalidParameterValue", f"The character {found[0]!r} is not allowed"))


_UNCARRIED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def _check_required(service: BaseResponse, action: str) -> None:
    shape = get_service_model(service.boto3_service_name).operation_model(action).input_shape
    for name in shape.required_members if shape else ():
        if service._get_param(name) is None:
            raise MissingParameterError(name)


def _run_action(service: BaseResponse) -> Response:
    if service._get_param("DryRun") is True:  # only EC2's actions have it
        raise CallRefused(_DRY_RUN)
    return _as_response(*service.call_action())


_DRY_RUN = Refusal(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")


def _as_response(status: int, headers: Mapping[str, Any], body: str | bytes) -> Response:
    """The response of moto, with a request id where moto's serializer writes a constant."""
    kept = {key: str(value) for key, value in headers.items() if key.lower() not in _OWN_HEADERS}
    data = body if isinstance(body, bytes) else body.encode()
    request_id = kept.get("x-amzn-requestid", "")
    return Response(status, kept, data.replace(b">request-id<", f">{request_id}<".encode()))


_OWN_HEADERS = frozenset({"status", "date", "content-length", "connection"})


def _refusal_for(error: Exception) -> Refusal | None:
    """The client's error in AWS's words; None for an error of the local AWS or moto."""
    match error:
        case CallRefused():
            return error.refusal
        case MissingParameterError():
            text = f"The request must contain the parameter {error}"
            return Refusal(400, "MissingParameter", text)
        case OperationNotFoundError():
            return Refusal(400, "InvalidAction", f"The service has no such action: {error}")
        case RequestParserError():
            return Refusal(400, "MalformedQueryString", f"The request cannot be parsed: {error}")
        case NotImplementedError():
            return Refusal(400, "UnsupportedOperation", f"The local AWS cannot do this: {error}")
        case _:
            return None
