"""A proxy between a `plab` process and the local AWS: it counts the calls, and runs a hook at one of them."""

from __future__ import annotations

import http.client
import re
import select
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

from support.cloud import READS
from support.timeouts import PATIENCE, until

Hook = Callable[[], bool]
"""Runs at the call; returns whether the call's response is lost."""


class HookProxy(ThreadingHTTPServer):
    """Passes calls on to `target`, and runs the hook of `set_hook` at the call with that number.

    `hooked_action` is the action of that call, or "" before it. The first call that changes something sets
    `change_requested`; such calls wait while `changes_allowed` is clear.
    """

    daemon_threads = True

    def __init__(self, target: str) -> None:
        super().__init__(("127.0.0.1", 0), ProxiedConnection)
        self.target = urlsplit(target).netloc
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._running = 0
        self._open: set[Any] = set()
        self._left, self._after, self._mutating = 0, False, True
        self._hook: Hook = lambda: False
        self.hooked_action = ""
        self.change_requested, self.changes_allowed = threading.Event(), threading.Event()
        self.changes_allowed.set()

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()

    def set_hook(self, number: int, hook: Hook, *, after: bool, mutating: bool = True) -> None:
        """Run the hook at the call with that number, counted from now on, before or after its effect.

        With `mutating`, only calls that change something are counted.
        """
        with self._lock:
            self._left, self._hook, self._after, self._mutating = number, hook, after, mutating
            self.hooked_action = ""

    def wait_until_idle(self) -> None:
        """Wait until every call so far has had its effect."""
        with self._lock:
            self._idle.wait_for(lambda: not self._running, timeout=PATIENCE)

    def wait_until_closed(self) -> None:
        """Wait until the connections of an ended process are closed: then its last calls have had their effect."""
        until(self._is_closed, "end of the connections")

    def _is_closed(self) -> bool:
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
        """The response to a call; None if the hook's call loses its response."""
        with self._lock:
            self._running += 1
            is_counted = not (self._mutating and action.startswith(READS))
            self._left -= is_counted
            is_hooked = is_counted and self._left == 0
        try:
            if not action.startswith(READS):
                self.change_requested.set()
                self.changes_allowed.wait(PATIENCE)
            if is_hooked and not self._after and self._run_hook(action):
                return None
            response = call()
            return None if is_hooked and self._after and self._run_hook(action) else response
        finally:
            with self._lock:
                self._running -= 1
                self._idle.notify_all()

    def _run_hook(self, action: str) -> bool:
        self.hooked_action = action
        return self._hook()

    def handle_error(self, *_: object) -> None:
        """Print nothing: the client has been killed."""


class ProxiedConnection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: HookProxy

    def do_POST(self) -> None:
        """Pass a call on."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        response = self.server.serve(_action(self.headers, body), lambda: self._pass_on(body))
        if response is None:
            self.close_connection = True
            return
        status, headers, data = response
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
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def _action(headers: Any, body: bytes) -> str:
    found = re.search(rb"(?:^|&)Action=(\w+)", body)
    return found[1].decode() if found else str(headers.get("X-Amz-Target", "")).rpartition(".")[2]
