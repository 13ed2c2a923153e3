"""Health checks that open real connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from privatelink_lab.local.network.plan import HealthCheck
from privatelink_lab.local.network.system_calls import inside

HEALTHY, UNHEALTHY = "healthy", "unhealthy"

_STATUS_LINE = 1024  # bytes; a status line is shorter


async def run_health_check(check: HealthCheck, namespace: int, on_change: Callable[[str], None]) -> None:
    """Check until cancelled, and call `on_change` with HEALTHY or UNHEALTHY whenever the target's health changes.

    A target becomes healthy or unhealthy after as many equal results in a row as the threshold says; before that
    its health is not known.
    """
    health, passed, failed = "", 0, 0
    while True:
        passed, failed = (passed + 1, 0) if await _passes(check, namespace) else (0, failed + 1)
        before = health
        if passed >= check.healthy_threshold:
            health = HEALTHY
        elif failed >= check.unhealthy_threshold:
            health = UNHEALTHY
        if health != before:
            on_change(health)
        await asyncio.sleep(check.interval)


async def _passes(check: HealthCheck, namespace: int) -> bool:
    """Whether the target accepts a connection and, if the check is HTTP, answers with one of its codes."""
    try:
        with inside(namespace):
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with connection:
            async with asyncio.timeout(check.timeout):
                connection.bind((check.target.source, 0))
                address = (check.target.address, check.target.port)
                await asyncio.get_running_loop().sock_connect(connection, address)
                return check.path is None or await _answers_http(connection, check.path, check.codes)
    except (OSError, TimeoutError):
        return False


async def _answers_http(connection: socket.socket, path: str, codes: str) -> bool:
    loop = asyncio.get_running_loop()
    host, port = connection.getpeername()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    await loop.sock_sendall(connection, request.encode())
    answer = b""
    while b"\n" not in answer and len(answer) < _STATUS_LINE:
        received = await loop.sock_recv(connection, _STATUS_LINE)
        if not received:
            break
        answer += received
        await asyncio.sleep(0)  # else a target that sends and sends keeps the loop, and no timeout can end this
    words = answer.split()
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    return is_http and is_one_of(int(words[1]), codes)


def is_one_of(code: int, codes: str) -> bool:
    """Whether an HTTP status is one of `codes`, in the form of a target group's matcher: `200,202` or `200-399`."""
    for part in codes.split(","):
        first, _, last = part.partition("-")
        if int(first) <= code <= int(last or first):
            return True
    return False
