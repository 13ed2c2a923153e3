"""Only the user who started the local AWS may call it."""

from __future__ import annotations

import json
import socket
import time
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto.core.utils import utcnow
from support.aws_resources import code_of
from support.contract_aws import LocalCloud
from support.raw_requests import CALL, FORM, ask, signed
from support.timeouts import PATIENCE

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.local.sigv4 import HttpMessage, port_signed_for, sign

TOKEN = "X-Amz-Security-Token"


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


def presigned(cloud: LocalCloud, seconds: int) -> str:
    """The path of a presigned request of the user."""
    client = cloud.client("sts")
    url = client.generate_presigned_url("get_caller_identity", ExpiresIn=seconds, HttpMethod="GET")
    return str(url).removeprefix(cloud.aws.url)


def test_a_presigned_request(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is answered until it expires, as it was signed; a key in the address without a signature is none."""
    path = presigned(cloud, 60)
    status, text = ask(cloud, {}, b"", "GET", path)
    assert (status, "123456789012" in text) == (200, True), text
    changed = path.replace("GetCallerIdentity", "GetSessionToken")
    assert "SignatureDoesNotMatch" in ask(cloud, {}, b"", "GET", changed)[1]
    assert "SignatureDoesNotMatch" in ask(cloud, {}, b"", "GET", path.replace("Expires=60", "Expires=600"))[1]
    later = time.time() + 61
    monkeypatch.setattr("privatelink_lab.local.server.auth._now", lambda: later)
    assert "Signature expired" in ask(cloud, {}, b"", "GET", path)[1]
    scope = f"{cloud.aws.access_key_id}/20260101/us-east-1/ec2/aws4_request"
    path = f"/?Action=DescribeVpcs&X-Amz-Credential={scope}&AWSAccessKeyId={cloud.aws.access_key_id}"
    assert ask(cloud, {}, b"", "GET", path)[0] == 403


@pytest.mark.parametrize("part", ["body", "method", "path", "header", "date", "signature"])
def test_a_request_that_was_changed_on_its_way(cloud: LocalCloud, part: str) -> None:
    """The signature is of this request alone: any other one with it is refused."""
    host = {"Host": f"127.0.0.1:{cloud.aws.port}"} | FORM
    scope, secret = (cloud.aws.access_key_id, "us-east-1", "ec2"), cloud.aws.secret_access_key
    headers = sign(scope, secret, HttpMessage("POST", "/", host, CALL))
    assert ask(cloud, headers)[0] == 200
    changes: dict[str, Any] = {
        "body": lambda: ask(cloud, headers, CALL + b"&MaxResults=5"),
        "method": lambda: ask(cloud, headers, CALL, "PUT"),
        "path": lambda: ask(cloud, headers, CALL, "POST", "/x"),
        "header": lambda: ask(cloud, headers | {"Content-Type": "text/plain"}),
        "date": lambda: ask(cloud, headers | {"X-Amz-Date": headers["X-Amz-Date"].replace("T", "T0")[:16]}),
        "signature": lambda: ask(cloud, headers | {"Authorization": headers["Authorization"][:-1] + "!"}),
    }
    assert changes[part]()[0] in {400, 401, 403}


def test_a_proxy_of_the_user(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recorder on this machine rewrites Host, and its clients sign for its port: found once, then known."""
    monkeypatch.setattr("privatelink_lab.local.server.auth.MOST_SEARCHES", 3)
    scope, secret = (cloud.aws.access_key_id, "us-east-1", "ec2"), cloud.aws.secret_access_key
    rewritten = {"Host": f"127.0.0.1:{cloud.aws.port}"}
    for name in ("127.0.0.1:61234", "localhost:61234"):
        headers = sign(scope, secret, HttpMessage("POST", "/", {"Host": name} | FORM, CALL))
        assert ask(cloud, headers | rewritten)[0] == 200
    wrong = sign(scope, "x" * 40, HttpMessage("POST", "/", rewritten | FORM, CALL))
    searched = Mock(wraps=port_signed_for)
    monkeypatch.setattr("privatelink_lab.local.server.auth.port_signed_for", searched)
    for _ in range(10):
        assert "AuthFailure" in ask(cloud, wrong)[1]
    assert sum(len(call.args[3]) > 1000 for call in searched.call_args_list) <= 3
    for name, signing in (("127.0.0.1:61235", secret), ("127.0.0.1:61234", "x" * 40), ("example.com:61234", secret)):
        headers = sign(scope, signing, HttpMessage("POST", "/", {"Host": name} | FORM, CALL))
        assert "AuthFailure" in ask(cloud, headers | rewritten)[1]


def test_a_session_ends(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys of AssumeRole are good for as long as it says, and only with their token."""
    sts = cloud.client("sts", "222233334444")
    assert sts.get_caller_identity()["Account"] == "222233334444"
    ended = utcnow() + timedelta(hours=2)
    monkeypatch.setattr("privatelink_lab.local.server.keys.utcnow", lambda: ended)
    assert code_of(sts.get_caller_identity) == "SignatureDoesNotMatch"


def test_keys_are_not_of_the_seed() -> None:
    """Two local AWS with the same seed give the same ids, and never the same keys."""
    role: Any = {"RoleArn": "arn:aws:iam::222233334444:role/x", "RoleSessionName": "xx"}
    seen = set()
    for _ in range(2):
        with LocalAws(AwsClock(0), seed=7) as aws:
            session = boto3.Session(aws.access_key_id, aws.secret_access_key, region_name="us-east-1")
            given = session.client("sts", endpoint_url=aws.url).assume_role(**role)["Credentials"]
            seen |= {given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], aws.access_key_id}
    assert len(seen) == 8


HARMS: dict[str, dict[str, Any]] = {  # of the credentials or the clock, and what each service answers
    "unknown key": {"ec2": "AuthFailure", "ssm": "UnrecognizedClientException", "": "InvalidClientTokenId"},
    "wrong secret": {"ec2": "AuthFailure", "ssm": "InvalidSignatureException", "": "SignatureDoesNotMatch"},
    "wrong token": {"ec2": "AuthFailure", "ssm": "InvalidSignatureException", "": "SignatureDoesNotMatch"},
    "old": {"ec2": "RequestExpired", "ssm": "InvalidSignatureException", "": "SignatureDoesNotMatch"},
    "early": {"ec2": "RequestExpired", "ssm": "InvalidSignatureException", "": "SignatureDoesNotMatch"},
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("service", ["ec2", "elbv2", "sts", "ssm"])
def test_what_the_user_did_not_sign(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, service: str, harm: str
) -> None:
    """A wrong key, secret, token or clock: the error code of the service, in its protocol."""
    code = HARMS[harm].get(service, HARMS[harm][""])
    if harm == "unknown key":
        monkeypatch.setattr(cloud.aws, "access_key_id", "AKIA0123456789ABCDEF")
    if harm == "wrong secret":
        monkeypatch.setattr(cloud.aws, "secret_access_key", "x" * 40)
    client = cloud.client(service)
    monkeypatch.undo()
    if harm == "wrong token":
        client.meta.events.register("before-sign", lambda request, **_: request.headers.add_header(TOKEN, "x"))
    if harm in {"old", "early"}:
        away = 310 if harm == "old" else -310
        now = time.time() + away
        monkeypatch.setattr("privatelink_lab.local.server.auth._now", lambda: now)
    calls: dict[str, Any] = {
        "ec2": lambda: client.describe_vpcs(MaxResults=5),
        "elbv2": lambda: client.describe_load_balancers(PageSize=5),
        "sts": lambda: client.get_access_key_info(AccessKeyId="AKIA0123456789ABCDEF"),
        "ssm": lambda: client.get_parameter(Name="x"),
    }
    with pytest.raises(ClientError) as caught:
        calls[service]()
    assert caught.value.response["Error"]["Code"] == code
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
    assert "InvalidRegion" in ask(cloud, signed(cloud, region="mars-1"))[1]
    call = cloud.client("ec2").describe_verified_access_groups
    assert code_of(call) == "UnsupportedOperation"
