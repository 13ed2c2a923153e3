"""The programs in the instances of the benchmark: a server, and clients that print figures as lines of JSON.

An instance gets the text of this file in its user data, so it imports the standard library only. The first byte of a
connection is its purpose: the server counts the bytes of SINK and sends their number at the end; it sends the bytes
of ECHO back at once, and those of WHOLE as soon as a request is complete.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

PORT = 80
SINK, ECHO, WHOLE = b"S", b"E", b"W"
BLOCK = 1 << 18  # bytes that are written and read at once
STREAM_SECONDS = 2.0  # how long a stream is written
REQUEST_SIZE = 64  # bytes
REQUESTS, REQUESTS_IN_HALVES, CONNECTIONS = 5000, 50, 1000
HALVES_PAUSE = 0.001  # seconds between the halves of a request in two writes
TIMEOUT = 10.0  # seconds that a peer may take
PAUSE = 0.1  # seconds between two rounds of echoes, and between two attempts to connect

_buffer = bytearray(BLOCK)


def report(**figures: float | str) -> None:
    """Print one line for the benchmark."""
    print(json.dumps(figures), flush=True)


# The server.


def serve() -> None:
    """Answer all connections, in one thread, until the instance ends."""
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("", PORT), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:
                _continue(selector, *key.data)
            else:
                connection, _ = listener.accept()
                selector.register(connection, selectors.EVENT_READ, (connection, _answer(connection)))


def _continue(selector: selectors.BaseSelector, connection: socket.socket, answering: Iterator[None]) -> None:
    try:
        next(answering)
    except (StopIteration, OSError):
        selector.unregister(connection)
        connection.close()


def _answer(connection: socket.socket) -> Iterator[None]:
    """Answer one connection: continued whenever bytes have arrived, until the peer has closed it."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = count = connection.recv_into(_buffer)
    purpose = bytes(_buffer[:1])
    while size:
        if purpose == ECHO:
            connection.sendall(memoryview(_buffer)[:size])
        elif purpose == WHOLE and count % REQUEST_SIZE == 0:
            connection.sendall(WHOLE * REQUEST_SIZE)
        yield
        size = connection.recv_into(_buffer)
        count += size
    if purpose == SINK:
        connection.sendall(b"%d" % count)


# The client that measures.


def measure(host: str) -> None:
    """Report `ready`, then every figure as soon as it is measured: MB/s, microseconds, connections per second."""
    _wait_for_server(host)
    report(ready=1)
    report(**_stream(host, 1, "one"))
    report(**_stream(host, 8, "eight"))
    report(**_request_times(host))
    report(**_connection_times(host))


def _wait_for_server(host: str) -> None:
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection((host, PORT), 1) as connection:
            connection.sendall(ECHO * REQUEST_SIZE)
            if connection.recv(REQUEST_SIZE):
                return
        time.sleep(PAUSE)


def _stream(host: str, streams: int, name: str) -> dict[str, float]:
    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        arrived = sum(pool.map(_send_stream, [host] * streams))
    return {name: arrived / (time.perf_counter() - began) / 1e6, f"{name}_bytes": arrived}


def _send_stream(host: str) -> int:
    """Send bytes for STREAM_SECONDS; returns how many have arrived at the server."""
    block = SINK * BLOCK
    with socket.create_connection((host, PORT), TIMEOUT) as connection:
        end = time.monotonic() + STREAM_SECONDS
        while time.monotonic() < end:
            connection.sendall(block)
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(64))


def _request_times(host: str) -> dict[str, float]:
    with _connect(host) as connection:
        seconds = sorted(_time(partial(_request, connection)) for _ in range(REQUESTS))
    with _connect(host) as connection:
        halves = sorted(_time(partial(_request_in_halves, connection)) for _ in range(REQUESTS_IN_HALVES))
    return {
        "p50": seconds[len(seconds) // 2],
        "p99": seconds[len(seconds) * 99 // 100],
        "halves": halves[len(halves) // 2],
    }


def _connection_times(host: str) -> dict[str, float]:
    began = time.perf_counter()
    seconds = sorted(_time(partial(_connect_and_request, host)) for _ in range(CONNECTIONS))
    return {"connect": seconds[len(seconds) // 2], "connects": CONNECTIONS / (time.perf_counter() - began)}


def _connect_and_request(host: str) -> None:
    with _connect(host) as connection:
        _request(connection)


def _connect(host: str) -> socket.socket:
    connection = socket.create_connection((host, PORT), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _request(connection: socket.socket) -> None:
    connection.sendall(ECHO * REQUEST_SIZE)
    _receive(connection, ECHO * REQUEST_SIZE)


def _request_in_halves(connection: socket.socket) -> None:
    """Send a head and then a body: a relay must not wait 40 ms until the first is acknowledged (Nagle)."""
    connection.sendall(WHOLE * (REQUEST_SIZE // 2))
    time.sleep(HALVES_PAUSE)  # else both would be read at once
    connection.sendall(WHOLE * (REQUEST_SIZE // 2))
    _receive(connection, WHOLE * REQUEST_SIZE)


def _receive(connection: socket.socket, expected: bytes) -> None:
    """Receive exactly these bytes; raises OSError if others arrive or the connection ends."""
    received = b""
    while len(received) < len(expected):
        if not (data := connection.recv(len(expected) - len(received))):
            raise ConnectionResetError
        received += data
    if received != expected:
        raise ConnectionAbortedError


def _time(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


# Clients that keep connections open.


def hold(host: str, number: str) -> None:
    """Open this number of connections at once, and let all of them echo again and again until the instance ends."""
    connections = _open_at_once(host, int(number))
    report(refused=int(number) - len(connections))
    while True:
        connections = _echo_all(connections)
        report(echo=len(connections))
        time.sleep(PAUSE)


def _open_at_once(host: str, number: int) -> list[socket.socket]:
    """The connections that the server has accepted."""
    sockets = [socket.socket() for _ in range(number)]
    for connection in sockets:
        connection.setblocking(False)
        connection.connect_ex((host, PORT))
    for connection in sockets:
        connection.settimeout(TIMEOUT)  # only now: else `connect_ex` would wait
    return [connection for connection in sockets if _is_open(connection)]


def _is_open(connection: socket.socket) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_WRITE)
        return bool(selector.select(TIMEOUT)) and not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _echo_all(connections: list[socket.socket]) -> list[socket.socket]:
    """The connections whose own bytes come back; all are sent before the first are received."""
    texts = [ECHO + b"%07d" % number for number in range(len(connections))]
    for connection, text in zip(connections, texts, strict=True):
        with suppress(OSError):
            connection.sendall(text)
    return [connection for connection, text in zip(connections, texts, strict=True) if _receives(connection, text)]


def _receives(connection: socket.socket, expected: bytes) -> bool:
    try:
        _receive(connection, expected)
    except OSError:
        return False
    return True


def reconnect(host: str) -> None:
    """Connect again and again; report `open` for a connection that is answered, and `reset` when it is cut."""
    while True:
        with suppress(OSError), socket.create_connection((host, PORT), 1) as connection:
            _request(connection)
            report(connection="open")
            with suppress(OSError):
                while True:
                    _request(connection)
                    time.sleep(PAUSE)
            report(connection="reset")
        time.sleep(PAUSE)


PROGRAMS: dict[str, Callable[..., None]] = {"serve": serve, "measure": measure, "hold": hold, "reconnect": reconnect}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
