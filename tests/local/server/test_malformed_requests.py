"""Malformed requests: the local AWS answers or closes the connection, and then serves its user."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

import pytest
from support.contract_aws import LocalCloud
from support.timeouts import PATIENCE, until

from privatelink_lab.local.server import http
from privatelink_lab.local.sigv4 import HttpMessage, sign

TIMES = 400
BODY = b"Action=CreateVpc&Version=2016-11-15&CidrBlock=10.0.0.0%2F16&TagSpecification.1.ResourceType=vpc"


def connected(cloud: LocalCloud) -> socket.socket:
    """A connection to the local AWS on which nothing was sent yet."""
    return socket.create_connection(("127.0.0.1", cloud.aws.port), PATIENCE)


def request_of(cloud: LocalCloud, body: bytes) -> bytes:
    """A valid request of the user."""
    scope, secret = (cloud.aws.access_key_id, "us-east-1", "ec2"), cloud.aws.secret_access_key
    named = {"Host": f"127.0.0.1:{cloud.aws.port}", "Content-Type": "application/x-www-form-urlencoded"}
    headers = sign(scope, secret, HttpMessage("POST", "/", named, body))
    lines = (
        "POST / HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items()),
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def mutated(chance: random.Random, data: bytes) -> bytes:
    """The request with bytes changed, cut, repeated or inserted."""
    found = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(found) + 1)
        match chance.randrange(4):
            case 0:
                found[at : at + 1] = chance.randbytes(1)
            case 1:
                del found[at : at + chance.randrange(40)]
            case 2:
                found[at:at] = chance.randbytes(chance.randrange(200))
            case _:
                found[at:at] = found[at : at + chance.randrange(100)] * chance.randrange(1, 4)
    return bytes(found)


def response_to(cloud: LocalCloud, data: bytes) -> bytes:
    """The response; b"" when the server closes the connection."""
    answer = b""
    with connected(cloud) as there:
        try:
            there.sendall(data)
            there.shutdown(socket.SHUT_WR)
            while more := there.recv(65536):
                answer += more
        except ConnectionError:  # it does not read on from what it has refused
            pass
    return answer


def test_malformed_requests_of_any_kind(cloud: LocalCloud) -> None:
    """The server answers or closes within seconds, without a 500, and serves the user after it."""
    chance = random.Random(20261123)  # noqa: S311  # the same requests every time
    good = request_of(cloud, BODY)
    for number in range(TIMES):
        answer = response_to(cloud, mutated(chance, good))
        assert answer == b"" or answer.startswith((b"HTTP/1.1 ", b"<ErrorResponse>")), (number, answer[:200])
        assert b"Traceback" not in answer, (number, answer)
        assert not answer.startswith(b"HTTP/1.1 500"), (number, answer)
    assert cloud.client("ec2").describe_vpcs()["Vpcs"]


def test_more_connections_than_it_takes(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections beyond the limit are closed; the open ones are served, and later new ones too."""
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 100)
    ec2 = cloud.client("ec2")
    assert ec2.describe_vpcs()["Vpcs"]
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(cloud)) for _ in range(300)]
        assert crowd[-1].recv(1) == b""
        assert ec2.describe_vpcs()["Vpcs"]
    request = request_of(cloud, b"Action=DescribeVpcs&Version=2016-11-15")
    until(lambda: response_to(cloud, request).startswith(b"HTTP/1.1 200"), "room for one more")


def test_a_silent_connection_is_closed(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request, or with half a request, is closed."""
    monkeypatch.setattr(http.HttpConnection, "timeout", 0.05)
    for word in (b"", b"POST / HTTP/1.1\r\nHost: "):
        with connected(cloud) as there, suppress(ConnectionError):  # it may close before the half request is sent
            there.sendall(word)
            assert there.recv(1000) == b""
