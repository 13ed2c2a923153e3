"""The HTTP server: HTTP/1.1 with keep-alive, one thread per connection, bounded bodies.

werkzeug's server is not used: it closes every connection after one response, and waits 10 ms before that.
"""

from __future__ import annotations

import logging
import resource
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from http.client import LineTooLong
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from privatelink_lab.local.api.responses import CUT, Refusal, Response, error_response

LOG = logging.getLogger(__name__)

MAX_BODY = 1 << 20  # bytes; EC2's largest request, a RunInstances with user data, is far smaller
MAX_HEAD = 1 << 16  # bytes of one request's line and headers
FIRST_REQUEST_TIMEOUT = 10.0  # seconds until a connection without a signed request is closed
IDLE_TIMEOUT = 300.0  # seconds until a connection is closed after its last request
MAX_CONNECTIONS = 1024  # open connections with a signed request, one thread for each
MAX_UNSIGNED = 64  # open connections without one
FILES = 128  # open files that the server itself needs, and a few more
SHUTDOWN_TIMEOUT = 5.0  # seconds for open requests when the server ends
LONGEST_NUMBER = 12  # digits of a length; Python reads no number of thousands of them
BACKLOG = 512  # clients that may wait for a connection
BAD_LENGTH = Refusal(411, "MissingContentLength", "The request needs a Content-Length header that matches its body.")
TOO_LARGE = Refusal(413, "RequestEntityTooLarge", f"A request may have {MAX_BODY} bytes.")

Respond = Callable[[str, str, Mapping[str, str], bytes], Response]


def bind(port: int = 0) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one."""
    return socket.create_server(("127.0.0.1", port), backlog=BACKLOG)


@dataclass
class _Connection:
    """What the server knows of one connection; times are seconds of `time.monotonic`."""

    opened: float
    signed: bool = False
    used: float = 0.0
    busy: bool = False


class HttpServer(ThreadingHTTPServer):
    """Serves a listening socket with `respond(method, path, headers, body)`.

    Whoever has no key can fill nothing: the oldest connection without a signed request gives way to a new one, and none
    of them stays longer than FIRST_REQUEST_TIMEOUT. Idle ones with a signed request give way too, when there are many.
    """

    daemon_threads = True  # the process can end while connections are idle

    def __init__(self, listener: socket.socket, respond: Respond) -> None:
        super().__init__(listener.getsockname()[:2], HttpConnection, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.respond = respond
        self.most = min(MAX_CONNECTIONS, most_open_files() - FILES - 2 * MAX_UNSIGNED)
        self._open: dict[socket.socket, _Connection] = {}
        self._closed = threading.Condition()

    def verify_request(self, _request: Any, _client_address: Any) -> bool:
        """Whether there is a thread for one more connection; those that give way need a moment."""
        with self._closed:
            return len(self._open) < self.most + 2 * MAX_UNSIGNED

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room for the connection, remember it, and serve it in a thread."""
        now = time.monotonic()
        with self._closed:
            self._give_way([c for c, about in self._open.items() if not about.signed], MAX_UNSIGNED, _cut_off)
            idle = [c for c, about in self._open.items() if about.signed and not about.busy]
            idle.sort(key=lambda connection: self._open[connection].used)
            self._give_way(idle, self.most, _hang_up)
            self._open[request] = _Connection(now)
        super().process_request(request, client_address)

    def _give_way(self, candidates: list[socket.socket], most: int, end: Callable[[socket.socket], None]) -> None:
        for connection in candidates[: max(0, len(candidates) + 1 - most)]:
            end(connection)

    def service_actions(self) -> None:
        """Close the connections that had time to show a key, and did not; called several times a second."""
        latest = time.monotonic() - FIRST_REQUEST_TIMEOUT
        with self._closed:
            late = [c for c, about in self._open.items() if not about.signed and about.opened < latest]
            self._give_way(late, 1, _cut_off)

    def begin(self, connection: socket.socket) -> None:
        """Note that a request is being read or answered."""
        with self._closed:
            if connection in self._open:
                self._open[connection].busy = True

    def end(self, connection: socket.socket, *, signed: bool) -> None:
        """Note that a request was answered, and whether a key had signed it."""
        with self._closed:
            if about := self._open.get(connection):
                about.busy, about.used, about.signed = False, time.monotonic(), about.signed or signed

    def shutdown_request(self, request: Any) -> None:
        """Close the connection and forget it."""
        super().shutdown_request(request)
        with self._closed:
            self._open.pop(request, None)
            self._closed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Do nothing: a client that closes its connection is no error of the server."""

    def close_connections(self) -> None:
        """Stop serving and close every connection; open requests have SHUTDOWN_TIMEOUT seconds."""
        self.shutdown()
        self.server_close()
        with self._closed:
            for connection in self._open:
                _hang_up(connection)
            self._closed.wait_for(lambda: not self._open, timeout=SHUTDOWN_TIMEOUT)


def _hang_up(connection: socket.socket) -> None:
    """Let the thread of a connection read its end."""
    with suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RD)


def _cut_off(connection: socket.socket) -> None:
    """End a connection without a key at once: what it has sent already is not answered."""
    with suppress(OSError):  # the client was faster
        connection.shutdown(socket.SHUT_RDWR)


def most_open_files() -> int:
    """How many files and connections this process may have open; the limit is raised as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + FILES + 2 * MAX_UNSIGNED
    most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most


class _BoundedHead:
    """A connection's bytes; the line and the headers of one request have MAX_HEAD of them."""

    def __init__(self, file: Any) -> None:
        self._file, self._left = file, MAX_HEAD
        self.read, self.close = file.read, file.close

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self._file.closed)

    def begin(self) -> None:
        """Read the head of the next request."""
        self._left = MAX_HEAD

    def readline(self, limit: int = -1) -> bytes:
        """One line; raises LineTooLong when the head is too long."""
        line: bytes = self._file.readline(min(limit, self._left + 1) if limit >= 0 else self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise LineTooLong("head")
        return line


class HttpConnection(BaseHTTPRequestHandler):
    """One connection: read requests and send responses, one after the other."""

    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "plab"
    sys_version = ""
    timeout = FIRST_REQUEST_TIMEOUT
    wbufsize = -1  # headers and body are sent together
    disable_nagle_algorithm = True
    _has_key = False  # whether a request of this connection was signed

    def setup(self) -> None:
        """Bound what is read."""
        super().setup()
        self.rfile: Any = _BoundedHead(self.rfile)

    def handle_one_request(self) -> None:
        """Read and answer one request; a head that is too long ends the connection."""
        self.rfile.begin()
        try:
            super().handle_one_request()
        except LineTooLong:  # of the request's own line; http.server answers the others itself
            self.close_connection = True

    def do_POST(self) -> None:
        """Answer a request of any method; http.server itself answers 501 to those it lacks."""
        self.server.begin(self.connection)
        body, signed = self._read(), False
        if isinstance(body, Refusal):
            self._send(error_response(body, "", close=True))
        else:
            try:
                response = self.server.respond(self.command, self.path, self._headers(), body)
            except Exception as error:
                LOG.exception("a request could not be answered")
                text = f"{type(error).__name__} in the local AWS"
                response = replace(error_response(Refusal(500, "InternalError", text), ""), signed=False)
            self._send(response if response.signed or self._has_key else replace(response, close=True))
            signed = response.signed and response is not CUT
        self.server.end(self.connection, signed=signed)
        self._has_key = self._has_key or signed
        if signed:
            self.connection.settimeout(IDLE_TIMEOUT)
        elif not self._has_key:  # what is queued behind it is not answered
            self.close_connection = True

    do_GET = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = do_POST  # noqa: N815  # http.server's names

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Send a refusal of http.server in AWS's format, and close the connection."""
        text = message or explain or "The request is not valid HTTP/1.1."
        self._send(error_response(Refusal(code, "MalformedRequest", text), "", close=True))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # http.server's name
        """Do nothing: `respond` writes the log."""

    def _headers(self) -> dict[str, str]:
        """The headers under Title-Case names; a header that was sent twice is joined, so no check accepts it."""
        joined: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.title()
            joined[key] = f"{joined[key]}, {value}" if key in joined else value
        return joined

    def _read(self) -> bytes | Refusal:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or len(length) > LONGEST_NUMBER:
            return BAD_LENGTH
        if int(length) > MAX_BODY:
            self._discard(int(length))
            return TOO_LARGE
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else BAD_LENGTH

    def _discard(self, length: int) -> None:
        """Read on for a while: closing with unread bytes would reset the connection, and lose the response."""
        left = min(length, 16 * MAX_BODY)
        while left > 0 and (chunk := self.rfile.read(min(left, MAX_BODY))):
            left -= len(chunk)

    def _send(self, answer: Response) -> None:
        if answer is CUT:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string())
        self.send_header("Content-Length", str(len(answer.body)))
        if answer.close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
        self.wfile.flush()
