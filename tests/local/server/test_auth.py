"""Only the user who started the local AWS may call it."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from botocore.exceptions import ClientError
from support.aws_resources import code_of
from support.contract_aws import LocalCloud
from support.raw_requests import ask, signed
from support.timeouts import PATIENCE


def test_its_user_gets_an_answer(cloud: LocalCloud) -> None:
    """Requests with the server's key are answered, under 127.0.0.1 and under localhost."""
    assert ask(cloud, signed(cloud))[0] == 200
    named = {"Host": f"localhost:{cloud.aws.port}"}
    assert ask(cloud, signed(cloud) | named)[0] == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer x", "AWS4-HMAC-SHA256 nonsense", "AWS4-HMAC-SHA256 Credential=/////", "AWS AKIA:x"],
)
def test_no_key(cloud: LocalCloud, authorization: str) -> None:
    """A form that a web page could send has no SigV4 header: 403."""
    headers = {"Authorization": authorization} if authorization else {}
    status, text = ask(cloud, headers)
    assert status == 403
    assert "<Code>MissingAuthenticationToken</Code>" in text


def test_a_key_in_the_address_is_no_key(cloud: LocalCloud) -> None:
    """A presigned URL can be put into a link; it is refused."""
    scope = f"{cloud.aws.access_key_id}/20260101/us-east-1/ec2/aws4_request"
    path = f"/?Action=DescribeVpcs&X-Amz-Credential={scope}&AWSAccessKeyId={cloud.aws.access_key_id}"
    assert ask(cloud, {}, b"", "GET", path)[0] == 403


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("ec2", "AuthFailure"),
        ("elbv2", "InvalidClientTokenId"),
        ("sts", "InvalidClientTokenId"),
        ("ssm", "UnrecognizedClientException"),
    ],
)
def test_a_wrong_key(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, service: str, code: str) -> None:
    """403 with the error code of the service, in its protocol."""
    monkeypatch.setattr(cloud.aws, "access_key_id", "AKIA0123456789ABCDEF")
    client = cloud.client(service)
    monkeypatch.undo()
    calls: dict[str, Any] = {
        "ec2": lambda: client.describe_vpcs(MaxResults=5),
        "elbv2": lambda: client.describe_load_balancers(PageSize=5),
        "sts": lambda: client.get_access_key_info(AccessKeyId="AKIA0123456789ABCDEF"),
        "ssm": lambda: client.get_parameter(Name="x"),
    }
    with pytest.raises(ClientError) as caught:
        calls[service]()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    assert caught.value.response["ResponseMetadata"]["RequestId"]


def test_assumed_keys_are_keys_until_the_server_ends(cloud: LocalCloud) -> None:
    """AssumeRole gives keys of the role's account; the role need not exist."""
    sts = cloud.client("sts", "222233334444")
    assert sts.get_caller_identity()["Account"] == "222233334444"
    assert cloud.client("sts").get_caller_identity()["Account"] == "123456789012"


def test_the_account_cannot_be_chosen_by_a_header(cloud: LocalCloud) -> None:
    """The key decides about the account; plain moto would take it from a header."""
    chosen = {"X-Moto-Account-Id": "999999999999"}
    call = b"Action=GetCallerIdentity&Version=2011-06-15"
    status, text = ask(cloud, signed(cloud, service="sts") | chosen, call)
    assert status == 200
    assert "999999999999" not in text


@pytest.mark.parametrize(
    "header",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "example.com"},
        {"Host": "169.254.169.254"},
        {"Host": "127.0.0.1"},
        {"Host": ""},
    ],
)
def test_web_pages_are_refused(cloud: LocalCloud, header: dict[str, str]) -> None:
    """Any Origin, any foreign Host (DNS rebinding): 403, even with the right key."""
    status, text = ask(cloud, signed(cloud) | header)
    assert status == 403
    assert "<Code>AccessDenied</Code>" in text


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS", "PUT"])
@pytest.mark.parametrize("path", ["/moto-api/", "/moto-api/reset", "/moto-api/data.json", "/x"])
def test_there_are_no_admin_pages(cloud: LocalCloud, path: str, method: str) -> None:
    """The pages of moto, which can empty or show everything, are not served."""
    assert ask(cloud, {}, b"", method, path)[0] == 403
    assert ask(cloud, signed(cloud), b"", method, path)[0] == 404


def test_status_needs_the_key(cloud: LocalCloud) -> None:
    """Without the key the status is refused."""
    assert ask(cloud, {}, b"", "GET", "/_plab/status")[0] == 403
    status, text = ask(cloud, signed(cloud), b"", "GET", "/_plab/status")
    status_page = json.loads(text)
    assert (status, status_page["token"], status_page["speed"]) == (200, cloud.aws.token, 1)
    assert status_page["resources"] == 0


def test_bodies_are_bounded(cloud: LocalCloud) -> None:
    """413 for more than a mebibyte, 411 without a Content-Length."""
    status, text = ask(cloud, signed(cloud), b"x" * (1 << 21))
    assert (status, "RequestEntityTooLarge" in text) == (413, True)
    assert ask(cloud, signed(cloud) | {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n")[0] == 411
    assert ask(cloud, signed(cloud) | {"Content-Length": "x"}, b"")[0] == 411
    assert ask(cloud, signed(cloud))[0] == 200


@pytest.mark.parametrize("line", [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\r\n\r\n"])
def test_what_is_not_http(cloud: LocalCloud, line: bytes) -> None:
    """A line that is no HTTP request gets a 4xx or 5xx, and the server runs on."""
    with socket.create_connection(("127.0.0.1", cloud.aws.port), timeout=PATIENCE) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            continue
    assert ask(cloud, signed(cloud))[0] == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "InvalidAction"),
        (b"Action=Nonsense", "InvalidAction"),
        (b"Action=SetupClass", "InvalidAction"),
        (b"\xff\xfe", "InvalidAction"),
        (b"Action=RunInstances", "MissingParameter"),
        (b"Action=CreateVpcEndpoint", "MissingParameter"),
        (b"Action=DescribeVpcs&MaxResults=x", "MalformedQueryString"),
        (b"Action=DescribeVpcs&MaxResults=1", "InvalidParameterValue"),
        (b"Action=DescribeVpcs&NextToken=%C3%A9", "InvalidNextToken"),
    ],
)
def test_malformed_requests(cloud: LocalCloud, body: bytes, code: str) -> None:
    """A request that does not fit EC2's model is a 400 with the reason."""
    status, text = ask(cloud, signed(cloud), body)
    assert (status, f"<Code>{code}</Code>" in text) == (400, True), text


def test_what_is_not_there(cloud: LocalCloud) -> None:
    """An unknown service, an unknown region, and an action that moto lacks have messages of their own."""
    assert "UnknownService" in ask(cloud, signed(cloud, service="s3"))[1]
    away = {"Authorization": signed(cloud)["Authorization"].replace("us-east-1", "mars-1")}
    assert "InvalidRegion" in ask(cloud, away)[1]
    call = cloud.client("ec2").describe_verified_access_groups
    assert code_of(call) == "UnsupportedOperation"
