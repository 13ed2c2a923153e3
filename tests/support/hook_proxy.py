"""A proxy between a `plab` process and the local AWS: it sees every call, and strikes at one of them."""

from __future__ import annotations

import http.client
import re
import select
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from conftest import READS

from support.patience import PATIENCE, until

Strike = Callable[[], bool]
"""What happens at the call; whether its answer is lost."""


class Proxy(ThreadingHTTPServer):
    """Passes calls on to `target`; the one with the number of `trap` is struck, before or after its effect.

    With `mutating`, only calls that change something are counted. `changes_come` is set by the first of these, and
    they wait while `changes_pass` is clear.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Exchange)
        self.target = urlsplit(target).netloc
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._busy = 0
        self._open: set[Any] = set()
        self._left, self._after, self._mutating = 0, False, True
        self._strike: Strike = lambda: False
        self.struck = ""
        self.changes_come, self.changes_pass = threading.Event(), threading.Event()
        self.changes_pass.set()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def trap(self, number: int, strike: Strike, *, after: bool, mutating: bool = True) -> None:
        """Call `strike` at the call of that number from now on, before or after its effect."""
        with self._lock:
            self._left, self._strike, self._after, self._mutating, self.struck = number, strike, after, mutating, ""

    def settle(self) -> None:
        """Wait until every call that came has had its effect."""
        with self._lock:
            self._idle.wait_for(lambda: not self._busy, timeout=PATIENCE)

    def drain(self) -> None:
        """Wait until all connections of a process that has ended are closed: also its last calls had their effect."""
        until(self._is_drained, "end of the connections")

    def _is_drained(self) -> bool:
        with self._lock:
            return not self._open and not select.select([self.socket], [], [], 0)[0]

    def get_request(self) -> tuple[Any, Any]:
        """The next connection."""
        with self._lock:
            connection, address = super().get_request()
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        super().shutdown_request(request)
        with self._lock:
            self._open.discard(request)

    def serve(self, action: str, call: Callable[[], Any]) -> Any:
        """The answer to a call; None for the one that is struck."""
        with self._lock:
            self._busy += 1
            counts = not (self._mutating and action.startswith(READS))
            self._left -= counts
            is_mine = counts and self._left == 0
        try:
            if not action.startswith(READS):
                self.changes_come.set()
                self.changes_pass.wait(PATIENCE)
            if is_mine and not self._after and self._hit(action):
                return None
            answer = call()
            return None if is_mine and self._after and self._hit(action) else answer
        finally:
            with self._lock:
                self._busy -= 1
                self._idle.notify_all()

    def _hit(self, action: str) -> bool:
        self.struck = action
        return self._strike()

    def handle_error(self, *_: object) -> None:
        """The client has been killed: no words about it."""


class Exchange(BaseHTTPRequestHandler):
    """One connection of the client."""

    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_POST(self) -> None:
        """Pass a call on, or strike."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.serve(_action(self.headers, body), lambda: self._pass_on(body))
        if answer is None:
            self.close_connection = True
            return
        status, headers, data = answer
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"server", "date", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _pass_on(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.target, timeout=PATIENCE)
        try:
            headers = dict(self.headers.items()) | {"Host": self.server.target}
            connection.request("POST", self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _action(headers: Any, body: bytes) -> str:
    found = re.search(rb"(?:^|&)Action=(\w+)", body)
    return found[1].decode() if found else str(headers.get("X-Amz-Target", "")).rpartition(".")[2]
