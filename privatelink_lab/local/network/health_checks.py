"""Health checks that really connect."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from privatelink_lab.local.network.plan import Check
from privatelink_lab.local.network.system_calls import inside

HEALTHY, UNHEALTHY = "healthy", "unhealthy"

_LINE = 1024  # bytes; a status line is shorter

Report = Callable[[str], None]
"""Called with `healthy` or `unhealthy`."""


async def watch(check: Check, namespace: int, report: Report) -> None:
    """Check for ever, and report each change of the verdict.

    As many equal results in a row as the thresholds say make a verdict; before the first one there is none.
    """
    verdict, good, bad = "", 0, 0
    while True:
        good, bad = (good + 1, 0) if await _is_well(check, namespace) else (0, bad + 1)
        before = verdict
        if good >= check.healthy:
            verdict = HEALTHY
        elif bad >= check.unhealthy:
            verdict = UNHEALTHY
        if verdict != before:
            report(verdict)
        await asyncio.sleep(check.interval)


async def _is_well(check: Check, namespace: int) -> bool:
    """Whether the target takes a connection, and answers as it should where HTTP is asked for."""
    try:
        with inside(namespace):
            there = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        with there:
            async with asyncio.timeout(check.timeout):
                there.bind((check.target.source, 0))
                address = (check.target.address, check.target.port)
                await asyncio.get_running_loop().sock_connect(there, address)
                return check.path is None or await _answers_well(there, check.path, check.codes)
    except (OSError, TimeoutError):
        return False


async def _answers_well(there: socket.socket, path: str, codes: str) -> bool:
    loop = asyncio.get_running_loop()
    host, port = there.getpeername()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    await loop.sock_sendall(there, request.encode())
    answer = b""
    while b"\n" not in answer and (more := await loop.sock_recv(there, _LINE)):
        answer += more
    words = answer.split()
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    return is_http and fits(int(words[1]), codes)


def fits(code: int, codes: str) -> bool:
    """Whether an HTTP status is one of `200,202` or within `200-399`, as a target group's matcher says it."""
    for each in codes.split(","):
        first, _, last = each.partition("-")
        if int(first) <= code <= int(last or first):
            return True
    return False
