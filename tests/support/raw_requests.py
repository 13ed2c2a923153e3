"""Requests without boto3, with any headers and body."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from privatelink_lab.local.sigv4 import HttpMessage, sign
from support.contract_aws import LocalCloud
from support.timeouts import PATIENCE

SIGN = "sign-as"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


CALL = b"Action=DescribeVpcs&Version=2016-11-15"


def ask(
    cloud: LocalCloud,
    headers: Mapping[str, str],
    body: bytes = CALL,
    method: str = "POST",
    path: str = "/",
) -> tuple[int, str]:
    """Status and text of the response to a request that no SDK would send; `signed` has the headers signed."""
    headers = {**FORM, **headers}
    if scope := headers.pop(SIGN, ""):
        key, region, service = scope.split("/")
        named = {"Host": f"127.0.0.1:{cloud.aws.port}"} | headers
        message = HttpMessage(method, path, {name.title(): value for name, value in named.items()}, body)
        headers = sign((key, region, service), cloud.aws.secret_access_key, message)
    connection = http.client.HTTPConnection("127.0.0.1", cloud.aws.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["x-amzn-RequestId"]
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def signed(cloud: LocalCloud, service: str = "ec2", region: str = "us-east-1") -> dict[str, str]:
    """A mark for `ask`: the server's user signs this request."""
    return {SIGN: f"{cloud.aws.access_key_id}/{region}/{service}"}
