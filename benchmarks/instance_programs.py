"""What the machines of the benchmark run: a server, and clients that print what they saw as lines of JSON.

A machine gets the text of this file in its user data, so it needs the standard library only. The first byte
of a connection says what it is for: SINK is counted, and the number is the answer at its end; ECHO comes back at
once, and WHOLE as soon as a request is complete.
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
POUR = 2.0  # seconds that a stream is written
SIZE = 64  # bytes of a request
TRIPS, HALVES, VISITS = 5000, 50, 1000
GAP = 0.001  # seconds between the halves of a request in two writes
PATIENCE = 10.0  # seconds that a peer may take
PAUSE = 0.1  # seconds between two rounds of echoes, and between two knocks

_buffer = bytearray(BLOCK)


def say(**what: float | str) -> None:
    """One line for the benchmark."""
    print(json.dumps(what), flush=True)


# The server.


def serve() -> None:
    """Answer for ever, in one thread, as many connections as come."""
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("", PORT), backlog=4096)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.data:
                _go_on(selector, *key.data)
            else:
                there, _ = listener.accept()
                selector.register(there, selectors.EVENT_READ, (there, _talk(there)))


def _go_on(selector: selectors.BaseSelector, there: socket.socket, talk: Iterator[None]) -> None:
    try:
        next(talk)
    except (StopIteration, OSError):
        selector.unregister(there)
        there.close()


def _talk(there: socket.socket) -> Iterator[None]:
    """One connection; it goes on whenever there is something to read, and ends at the peer's end."""
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    size = count = there.recv_into(_buffer)
    purpose = bytes(_buffer[:1])
    while size:
        if purpose == ECHO:
            there.sendall(memoryview(_buffer)[:size])
        elif purpose == WHOLE and count % SIZE == 0:
            there.sendall(WHOLE * SIZE)
        yield
        size = there.recv_into(_buffer)
        count += size
    if purpose == SINK:
        there.sendall(b"%d" % count)


# A client that measures.


def measure(host: str) -> None:
    """Say `ready`, then each figure as soon as it is there: MB/s, microseconds, connections per second."""
    _await(host)
    say(ready=1)
    say(**_pour(host, 1, "one"))
    say(**_pour(host, 8, "eight"))
    say(**_round_trips(host))
    say(**_visits(host))


def _await(host: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection((host, PORT), 1) as there:
            there.sendall(ECHO * SIZE)
            if there.recv(SIZE):
                return
        time.sleep(PAUSE)


def _pour(host: str, streams: int, name: str) -> dict[str, float]:
    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        arrived = sum(pool.map(_pour_one, [host] * streams))
    return {name: arrived / (time.perf_counter() - began) / 1e6, f"{name}_bytes": arrived}


def _pour_one(host: str) -> int:
    """The number of bytes that have arrived at the sink."""
    block = SINK * BLOCK
    with socket.create_connection((host, PORT), PATIENCE) as there:
        end = time.monotonic() + POUR
        while time.monotonic() < end:
            there.sendall(block)
        there.shutdown(socket.SHUT_WR)
        return int(there.recv(64))


def _round_trips(host: str) -> dict[str, float]:
    with _connect(host) as there:
        took = sorted(_time(partial(_ask, there)) for _ in range(TRIPS))
    with _connect(host) as there:
        halves = sorted(_time(partial(_ask_in_halves, there)) for _ in range(HALVES))
    return {"p50": took[len(took) // 2], "p99": took[len(took) * 99 // 100], "halves": halves[len(halves) // 2]}


def _visits(host: str) -> dict[str, float]:
    began = time.perf_counter()
    took = sorted(_time(partial(_visit, host)) for _ in range(VISITS))
    return {"visit": took[len(took) // 2], "visits": VISITS / (time.perf_counter() - began)}


def _visit(host: str) -> None:
    with _connect(host) as there:
        _ask(there)


def _connect(host: str) -> socket.socket:
    there = socket.create_connection((host, PORT), PATIENCE)
    there.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return there


def _ask(there: socket.socket) -> None:
    there.sendall(ECHO * SIZE)
    _hear(there, ECHO * SIZE)


def _ask_in_halves(there: socket.socket) -> None:
    """A head and then a body; what passes them on must not wait until the first is acknowledged (Nagle), 40 ms."""
    there.sendall(WHOLE * (SIZE // 2))
    time.sleep(GAP)  # or both would be read at once
    there.sendall(WHOLE * (SIZE // 2))
    _hear(there, WHOLE * SIZE)


def _hear(there: socket.socket, expected: bytes) -> None:
    """Read exactly this, or raise OSError."""
    heard = b""
    while len(heard) < len(expected):
        if not (more := there.recv(len(expected) - len(heard))):
            raise ConnectionResetError
        heard += more
    if heard != expected:
        raise ConnectionAbortedError


def _time(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e6


# Clients that hold on.


def hold(host: str, number: str) -> None:
    """Open so many connections at once, and let each echo in every round until the machine ends."""
    held = _open_at_once(host, int(number))
    say(refused=int(number) - len(held))
    while True:
        held = _still_echo(held)
        say(echo=len(held))
        time.sleep(PAUSE)


def _open_at_once(host: str, number: int) -> list[socket.socket]:
    """Those that the other side has taken."""
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.setblocking(False)
        each.connect_ex((host, PORT))
    for each in sockets:
        each.settimeout(PATIENCE)  # from here on the second call waits for the first
    return [each for each in sockets if _is_open(each, host)]


def _is_open(there: socket.socket, host: str) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(there, selectors.EVENT_WRITE)
        return bool(selector.select(PATIENCE)) and not there.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _still_echo(held: list[socket.socket]) -> list[socket.socket]:
    """Those whose own words come back; all have spoken before the first is heard."""
    words = [ECHO + b"%07d" % number for number in range(len(held))]
    for there, word in zip(held, words, strict=True):
        with suppress(OSError):
            there.sendall(word)
    return [there for there, word in zip(held, words, strict=True) if _comes_back(there, word)]


def _comes_back(there: socket.socket, word: bytes) -> bool:
    try:
        _hear(there, word)
    except OSError:
        return False
    return True


def knock(host: str) -> None:
    """Try to come in; say `in` when that is so, and `out` when what flowed is cut."""
    while True:
        with suppress(OSError), socket.create_connection((host, PORT), 1) as there:
            _ask(there)
            say(came="in")
            with suppress(OSError):
                while True:
                    _ask(there)
                    time.sleep(PAUSE)
            say(came="out")
        time.sleep(PAUSE)


ROLES: dict[str, Callable[..., None]] = {"serve": serve, "measure": measure, "hold": hold, "knock": knock}

if __name__ == "__main__":
    ROLES[sys.argv[1]](*sys.argv[2:])
