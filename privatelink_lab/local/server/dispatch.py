"""One call of one service: from an HTTP request to moto's answer, errors included."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from botocore.model import OperationNotFoundError
from moto.core.parse import RequestParserError
from moto.core.request import Request
from moto.core.responses import BaseResponse
from moto.core.utils import get_service_model

from privatelink_lab.local.api.faults import Faults
from privatelink_lab.local.api.responses import Answer, Refusal, Refused, error_answer

LOG = logging.getLogger(__name__)

_LEFT_OUT = frozenset({"user-agent", "x-moto-account-id"})
"""Headers by which moto would let the client choose another region or account."""


_UNREADABLE = (KeyError, TypeError, AttributeError, IndexError)
"""How moto says that a part of a request is missing, or of another kind than it thought."""


class MissingParameterError(Exception):
    """A parameter that the service's model requires was not given."""


def call_service(
    service: BaseResponse, url: str, headers: Mapping[str, str], body: bytes, faults: Faults
) -> tuple[str, Answer]:
    """The action that was asked for, and the answer or the fault in its place; never raises.

    What moto lacks is `UnsupportedOperation`, a request that does not fit the service's model or
    that moto stumbles over is a 400, and any other failure is `InternalError`; the stack trace of
    the last two goes to the log only.
    """
    name = str(service.service_name)
    action = "?"
    try:
        _read(service, url, headers, body)
        action = service._get_action() or "?"
        _check_required(service, action)
        where = (service.current_account, service.region, name_of(service))
        return action, faults.around(where, action, body.decode(errors="replace"), lambda: _answer(service))
    except Exception as error:
        refusal = _explain(error)
        if isinstance(error, _UNREADABLE):
            LOG.exception("%s could not be read", action)
            text = f"The request cannot be understood: {type(error).__name__} in the local AWS"
            refusal = Refusal(400, "InvalidParameterValue", text)
        if refusal is None:
            LOG.exception("%s failed", action)
            refusal = Refusal(500, "InternalError", f"{type(error).__name__} in the local AWS")
        return action, error_answer(refusal, name)


def _answer(service: BaseResponse) -> Answer:
    if service._get_param("DryRun") is True:  # only EC2's actions have it
        raise Refused(_DRY_RUN)
    return _as_answer(*service.call_action())


_DRY_RUN = Refusal(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")


def name_of(service: BaseResponse) -> str:
    """The service as a SigV4 scope names it."""
    return "elasticloadbalancing" if service.service_name == "elbv2" else str(service.service_name)


def _read(service: BaseResponse, url: str, headers: Mapping[str, str], body: bytes) -> None:
    kept = {key: value for key, value in headers.items() if key.lower() not in _LEFT_OUT}
    try:
        service.setup_class(Request.from_primitives("POST", url, kept, body))
    except ValueError as error:  # moto's parser on text where the model wants a number
        raise RequestParserError(str(error)) from error


def _check_required(service: BaseResponse, action: str) -> None:
    shape = get_service_model(service.boto3_service_name).operation_model(action).input_shape
    for name in shape.required_members if shape else ():
        if service._get_param(name) is None:
            raise MissingParameterError(name)


def _explain(error: Exception) -> Refusal | None:
    """The client's error in AWS's words; None for one of ours or moto's."""
    match error:
        case Refused():
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


def _as_answer(status: int, headers: Mapping[str, Any], body: str | bytes) -> Answer:
    """What moto answered, with a request id where its serializer writes a constant."""
    kept = {key: str(value) for key, value in headers.items() if key.lower() not in _OWN_HEADERS}
    data = body if isinstance(body, bytes) else body.encode()
    request_id = kept.get("x-amzn-requestid", "")
    return Answer(status, kept, data.replace(b">request-id<", f">{request_id}<".encode()))


_OWN_HEADERS = frozenset({"status", "date", "content-length", "connection"})
