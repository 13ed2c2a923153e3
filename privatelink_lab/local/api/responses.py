"""HTTP responses, and the three formats of an AWS error."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape


@dataclass(frozen=True)
class Response:
    """One HTTP response; `close` ends the connection after it. `signed`: one of our keys has signed the request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    close: bool = False
    signed: bool = True


CUT = Response(0, {}, b"", close=True)
"""No response: the connection ends."""


@dataclass(frozen=True)
class Refusal:
    """An HTTP status with AWS's error code and a sentence."""

    status: int
    code: str
    message: str


class CallRefused(Exception):
    """Raised to answer a call with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def error_response(refusal: Refusal, service: str, *, close: bool = False) -> Response:
    """A refusal in the protocol of a service, with a new request id."""
    request_id = str(uuid.uuid4())
    code, message = escape(refusal.code), escape(refusal.message)
    kind = "text/xml;charset=UTF-8"
    if service == "ssm":
        kind = "application/x-amz-json-1.1"
        body = json.dumps({"__type": refusal.code, "message": refusal.message})
    elif service == "ec2":
        body = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            f"</Errors><RequestID>{request_id}</RequestID></Response>"
        )
    else:
        fault = "Sender" if refusal.status < 500 else "Receiver"  # noqa: PLR2004  # HTTP's line
        body = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code>"
            f"<Message>{message}</Message></Error><RequestId>{request_id}</RequestId>"
            "</ErrorResponse>"
        )
    headers = {"Content-Type": kind, "x-amzn-RequestId": request_id}
    return Response(refusal.status, headers, body.encode(), close)


def json_response(data: Mapping[str, object]) -> Response:
    """A plain JSON document."""
    headers = {"Content-Type": "application/json", "x-amzn-RequestId": str(uuid.uuid4())}
    return Response(200, headers, json.dumps(data).encode())


def unsuccessful_item(resource_id: str, code: str, message: str) -> dict[str, Any]:
    """One item of `Unsuccessful`."""
    return {"ResourceId": resource_id, "Error": {"Code": code, "Message": message}}
