"""The probe: what it writes on its console when it meets servers, and how that is read."""

from __future__ import annotations

import http.server
import json
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from support.timeouts import PATIENCE

from privatelink_lab.steps.probe import LINE_PREFIX, ProbeReport, ProbeTask, read_report, user_data


def answer(number: int = 0, **other: Any) -> dict[str, Any]:
    """What a probe writes about one answer; the first ones are the slowest."""
    times = {"connect_ms": 9.0 - number, "total_ms": 19.0 - number}
    return {"address": "10.1.0.4", "status": 200, "digest": "d1", "body": "Hello"} | times | other


def line(**row: Any) -> str:
    """One line of a probe."""
    return f"{LINE_PREFIX} {json.dumps(row)}\n"


# The report.


def test_a_whole_report() -> None:
    """One row per answer, in order, and the end."""
    rows = [answer(number) for number in range(3)]
    report = read_report("".join(line(**row) for row in rows) + line(end=True, tries=3))
    assert report == ProbeReport(tuple(rows), ended=True, tries=3)


def test_a_console_has_other_lines_too() -> None:
    """The kernel writes before, between and in front of the probe's lines, with carriage returns."""
    console = (
        "[    0.000000] Linux version 6.1\r\n"
        f"[   12.345678] cloud-init[1234]: {line(**answer())}"
        "PLAB-WEB-SERVER-STARTED\r\n\r\n"
        f"{LINE_PREFIX}\r\n"
        f"[   13.000000] random: crng done\r\n{line(end=True, tries=3)}".replace("\n", "\r\n")
    )
    assert read_report(console) == ProbeReport((answer(),), ended=True, tries=3)


@pytest.mark.parametrize(
    "broken",
    [
        f'{LINE_PREFIX} {{"status": 200, "dig',
        f"{LINE_PREFIX} not JSON",
        f"{LINE_PREFIX} [1, 2]",
        f"{LINE_PREFIX} 7",
        f'{LINE_PREFIX}{{"end": true}}',
        f"python3 - <<'END' # {LINE_PREFIX}",
        '{"end": true}',
        line(status=200),
        line(**answer() | {"status": "200"}),
        line(**answer() | {"digest": None}),
        line(**answer() | {"body": ["<b>"]}),
        line(**answer() | {"connect_ms": "fast"}),
        line(**answer() | {"total_ms": True}),
        line(problem=["dns"]),
        line(problem="dns", address=7),
        line(end=True),
        line(end=True, tries="3"),
        f"{LINE_PREFIX} {'[' * 100_000}",
    ],
    ids=range(18),
)
def test_what_is_no_line_of_a_probe_is_passed_over(broken: str) -> None:
    """Half a line, other JSON, and words about a probe say nothing; the lines around them count."""
    assert read_report(broken) == ProbeReport()
    assert read_report(f"{broken}\n{line(**answer())}") == ProbeReport((answer(),))


def test_the_last_problem_counts() -> None:
    """Names that did not resolve at first, then an address that did not answer; without an end it goes on."""
    dns, silent = line(problem="dns", detail="Name or service not known"), line(problem="no answer", detail="timed out")
    assert read_report(dns) == ProbeReport(problem="dns", detail="Name or service not known")
    assert read_report(dns + silent) == ProbeReport(problem="no answer", detail="timed out")
    assert read_report(dns + silent + line(end=True, tries=3)).ended
    assert read_report(line(problem="no answer")).detail == ""


def test_an_empty_console_says_nothing_yet() -> None:
    """Before it has booted there is no report."""
    assert read_report("") == ProbeReport()


def test_a_body_is_written_once_and_counts_for_all() -> None:
    """A hundred long answers fit the console: only the first of the same has its body."""
    rows = [answer(number) for number in range(3)]
    written = [rows[0], *({name: value for name, value in row.items() if name != "body"} for row in rows[1:])]
    assert read_report("".join(line(**row) for row in written)).answers == tuple(rows)


# The probe itself.


class Page(http.server.BaseHTTPRequestHandler):
    """A page of 160 letters of four bytes."""

    def do_GET(self) -> None:
        """Send the same page to every client."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(("\U0001f600" * 160).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(address: str, port: int = 0, page: type[socketserver.BaseRequestHandler] = Page) -> Iterator[int]:
    """The port of a server at that address."""
    with socketserver.ThreadingTCPServer((address, port), page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


def probed(port: int, requests: int, *addresses: str, seconds: float = PATIENCE) -> tuple[str, ProbeReport]:
    """What a probe writes whose endpoint has these addresses."""
    script = user_data("endpoint.example", port, ProbeTask(requests, seconds, "run"))
    settings, _, program = script.partition("python3 - ")[2].partition("<<'END'\n")
    names = f"""
import socket
ask_system = socket.getaddrinfo
def resolve(name, *more):
    known = {addresses!r} if name == "endpoint.example" else (name,)
    return [row for address in known for row in ask_system(address, *more)]
socket.getaddrinfo = resolve
"""
    command = [sys.executable, "-c", names + program.removesuffix("END\n"), settings.split()[0]]
    console = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, check=True).stdout
    return console, read_report(console)


def test_a_hundred_long_answers_fit_a_console() -> None:
    """EC2 keeps 64 KiB of a console: the report has every request and its answer."""
    with serving("127.0.0.1") as port:
        console, report = probed(port, 100, "127.0.0.1")
    assert len(console.encode()) < 40000
    assert (report.tries, len(report.answers), report.ended) == (100, 100, True)
    assert {row["body"] for row in report.answers} == {"\U0001f600" * 40}  # 160 bytes of it


def test_every_address_is_asked() -> None:
    """An endpoint has an address in each zone: one request goes to both, and a silent zone is no success."""
    with serving("127.0.0.1") as port, serving("127.0.0.2", port):
        _, report = probed(port, 1, "127.0.0.1", "127.0.0.2")
        assert {row["address"] for row in report.answers} == {"127.0.0.1", "127.0.0.2"}
    with serving("127.0.0.2") as port:
        _, report = probed(port, 4, "127.0.0.1", "127.0.0.2")
    assert (report.tries, len(report.answers)) == (4, 2)
    assert report.detail == "127.0.0.1 [Errno 111] Connection refused"


def test_what_speaks_no_http_is_shown() -> None:
    """An SSH server answers: status 0 and its first line; a server that closes at once is no answer."""

    class Ssh(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"SSH-2.0-OpenSSH_9.6")

    class Mute(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)

    with serving("127.0.0.1", page=Ssh) as port:
        _, report = probed(port, 2, "127.0.0.1")
    assert [(row["status"], row["body"]) for row in report.answers] == [(0, "SSH-2.0-OpenSSH_9.6")] * 2
    with serving("127.0.0.1", page=Mute) as port:
        _, report = probed(port, 2, "127.0.0.1", seconds=1)
    assert (report.answers, report.detail) == ((), "127.0.0.1 the connection was closed without a word")


@pytest.mark.parametrize("part", [b"x" * 60000, b"x"])
def test_an_answer_that_does_not_end_is_said_so(part: bytes) -> None:
    """A server that sends and sends, fast or slowly, holds no probe up."""

    class Endless(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                self.request.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
                while True:
                    self.request.sendall(part)
                    time.sleep(0.01)

    with serving("127.0.0.1", page=Endless) as port:
        _, report = probed(port, 1, "127.0.0.1", seconds=1)
    assert (report.answers, report.detail) == ((), "127.0.0.1 the answer does not end")
