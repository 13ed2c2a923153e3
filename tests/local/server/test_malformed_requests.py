"""Malformed requests: the local AWS answers or closes the connection, and then serves its user."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

import pytest
from support.contract_aws import LocalCloud
from support.raw_requests import CALL, ask, signed
from support.timeouts import PATIENCE, until

from privatelink_lab.local.server import http
from privatelink_lab.local.sigv4 import HttpMessage, sign

TIMES = 400
LONG_LINE = b"A: " + b"b" * 3_000 + b"\r\n"
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
        except OSError:  # it does not read on from what it has refused, and may be gone by now
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


def is_open(there: socket.socket) -> bool:
    """Whether the server keeps a connection on which it has nothing to say."""
    there.setblocking(False)
    try:
        return there.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def test_who_has_no_key_fills_nothing(cloud: LocalCloud) -> None:
    """Silent connections give way to new ones: the user is served at any time, and the latest ones are still open."""
    ec2 = cloud.client("ec2")
    assert ec2.describe_vpcs()["Vpcs"]
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(cloud)) for _ in range(3 * http.MAX_UNSIGNED)]
        until(lambda: not is_open(crowd[0]), "end of the oldest")
        assert ec2.describe_vpcs()["Vpcs"]
        assert response_to(cloud, request_of(cloud, CALL)).startswith(b"HTTP/1.1 200")
        assert is_open(crowd[-1])


def test_idle_connections_of_the_user_give_way(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many accounts keep more connections open than the server takes: the longest unused ones are closed."""
    monkeypatch.setattr(http, "MAX_CONNECTIONS", 20)
    request = request_of(cloud, CALL).replace(b"Connection: close\r\n", b"")
    with ExitStack() as stack:
        crowd = [stack.enter_context(connected(cloud)) for _ in range(60)]
        for there in crowd:
            there.sendall(request)
            assert there.recv(1 << 20).startswith(b"HTTP/1.1 200")
        assert cloud.client("ec2").describe_vpcs()["Vpcs"]
        assert sum(is_open(there) for there in crowd) <= 20 + http.MAX_UNSIGNED


@pytest.mark.parametrize("word", [b"", b"POST / HTTP/1.1\r\n"])
def test_a_slow_head_ends(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, word: bytes) -> None:
    """A connection that sends a byte now and then, and never a signed request, is closed after its time."""
    monkeypatch.setattr(http, "FIRST_REQUEST_TIMEOUT", 0.3)
    with connected(cloud) as there:
        there.sendall(word)

        def drip() -> bool:
            with suppress(ConnectionError, BlockingIOError):
                there.send(b"a")
                return not is_open(there)
            return True

        until(drip, "end of the slow one")


@pytest.mark.parametrize("head", [b"GET /" + b"x" * 70_000, b"GET / HTTP/1.1\r\n" + LONG_LINE * 30])
def test_a_long_head_is_refused(cloud: LocalCloud, head: bytes) -> None:
    """More than 64 KiB of line and headers, in one line or in many: refused, and not kept in memory."""
    answer = response_to(cloud, head + b"\r\n\r\n")
    assert answer == b"" or answer.startswith((b"HTTP/1.1 414", b"HTTP/1.1 431")), answer[:100]
    assert response_to(cloud, request_of(cloud, CALL)).startswith(b"HTTP/1.1 200")


def test_refused_requests_are_counted_not_listed(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has one line for all refusals of a minute, and one for each call of the user."""
    log: list[str] = []
    monkeypatch.setattr(cloud.aws, "_log", log.append)
    for _ in range(50):
        assert ask(cloud, {})[0] == 403
    assert [line.split(" ", 1)[1] for line in log] == ["refused without a valid signature: 1"]
    monkeypatch.setattr("privatelink_lab.local.server.local_aws.REFUSALS_EVERY", 0.0)
    ask(cloud, {})
    assert log[-1].endswith("refused without a valid signature: 50")


def test_a_silent_connection_is_closed(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a request, or with half a request, is closed."""
    monkeypatch.setattr(http.HttpConnection, "timeout", 0.05)
    for word in (b"", b"POST / HTTP/1.1\r\nHost: "):
        with connected(cloud) as there, suppress(ConnectionError):  # it may close before the half request is sent
            there.sendall(word)
            assert there.recv(1000) == b""


def test_a_refusal_without_a_key_ends_its_connection(cloud: LocalCloud) -> None:
    """Requests that are queued behind a refused one are not answered: nobody without a key keeps a thread busy."""
    request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n"
    with connected(cloud) as there:
        there.sendall(request * 500)
        answer = b""
        with suppress(ConnectionResetError):
            while more := there.recv(65536):
                answer += more
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer
    ask(cloud, signed(cloud))


def test_a_length_of_thousands_of_digits_is_refused(cloud: LocalCloud) -> None:
    """Python reads no such number; the answer is the one for any length that is not understood."""
    status, _ = ask(cloud, {"Content-Length": "9" * 5000})
    assert status == 411
