"""Requests without boto3, with any headers and body."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from support.contract_aws import LocalCloud
from support.timeouts import PATIENCE

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


CALL = b"Action=DescribeVpcs&Version=2016-11-15"


def ask(
    cloud: LocalCloud,
    headers: Mapping[str, str],
    body: bytes = CALL,
    method: str = "POST",
    path: str = "/",
) -> tuple[int, str]:
    """Status and text of the response to a request that no SDK would send."""
    connection = http.client.HTTPConnection("127.0.0.1", cloud.aws.port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {**FORM, **headers})
        answer = connection.getresponse()
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["x-amzn-RequestId"]
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def signed(cloud: LocalCloud, key: str = "", service: str = "ec2") -> dict[str, str]:
    """The Authorization header of the server's user."""
    scope = f"{key or cloud.aws.access_key_id}/20260101/us-east-1/{service}/aws4_request"
    return {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=x, Signature=y"}
