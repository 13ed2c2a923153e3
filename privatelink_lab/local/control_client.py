"""The client of a folder's local AWS: its address, status, faults and visits.

This module imports the standard library only: a command must not wait for moto.
"""

from __future__ import annotations

import http.client
import json
import os
import shlex
import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.local.process_identity import ProcessIdentity
from privatelink_lab.local.sigv4 import HttpMessage, sign
from privatelink_lab.text_file import NotOwn, read_own_text

ANSWER_TIMEOUT = 5.0  # seconds that a status call may take
VISIT_TIMEOUT = 15.0  # seconds that a visit may take: more than the server's own timeouts for it
REGION = "us-east-1"
MOST_ANSWERED = 1 << 20  # bytes of one answer
UNANSWERED = (OSError, http.client.HTTPException, ValueError, RecursionError)
STATUS_PATH, FAULTS_PATH, VISIT_PATH = "/_plab/status", "/_plab/faults", "/_plab/visit"


@dataclass(frozen=True)
class ServerOptions:
    """Options of a new server: `speed` times as fast as AWS, delays of a slow day, ids from a seed."""

    speed: float = 20.0
    slow: bool = False
    seed: int | None = None
    by_up: bool = False  # `plab up` starts it: it ends with the `plab down` that empties it

    def options(self) -> list[str]:
        """The options as the server's command line takes them."""
        seed = [] if self.seed is None else ["--seed", str(self.seed)]
        flags = [*(["--slow"] if self.slow else []), *(["--by-up"] if self.by_up else [])]
        return ["--speed", str(self.speed), *flags, *seed]


@dataclass(frozen=True)
class LocalServer:
    """The address of a local AWS, and its keys; a new start has a new `token`."""

    url: str
    pid: int
    started: int  # with `pid_namespace`: which process that number means
    pid_namespace: int
    token: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    speed: float
    slow: bool
    by_up: bool
    folder: str

    @property
    def identity(self) -> ProcessIdentity:
        """Its process."""
        return ProcessIdentity(self.pid, self.started, self.pid_namespace)

    def has_ended(self) -> bool:
        """Whether it is certain that its process runs no more: not to be reached is no proof."""
        return self.identity.has_ended()

    def silence(self) -> PlabError:
        """What to say when it does not answer, and its process may run."""
        if self.identity.is_here():
            hint = "Try again, or read `plab local logs`. To end it, and lose what is in it: plab local stop"
        else:
            path = shlex.quote(str(server_path(Path(self.folder) / ".plab")))
            hint = f"It was started in another container or namespace: run plab there. If that is gone: rm {path}"
        return PlabError(f"The local AWS (process {self.pid}, {self.url}) does not answer.", hint=hint)

    @property
    def pace(self) -> str:
        """The speed in words."""
        day = " on a slow day" if self.slow else ""
        return f"{self.speed:g} times as fast as AWS{day}" if self.speed else "everything at once"

    def exports(self) -> str:
        """Shell lines that point the AWS CLI, Terraform or plab at this server."""
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "PLAB_LOCAL_AWS": self.folder,
        }
        exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
        return "\n".join(["unset AWS_SESSION_TOKEN", *exports])  # of keys with `--account`, in the same shell


def server_path(folder: Path) -> Path:
    """The file with the address of a folder's server."""
    return folder / "local.json"


def log_path(folder: Path) -> Path:
    """The log file of a folder's last server."""
    return folder / "local.log"


def running(folder: Path) -> LocalServer | None:
    """The server of a folder, if it answers with the token of its file; None without one, or when its process ended.

    Raises PlabError for a file that other users could write or read, and for a server that may run and does not answer
    within ANSWER_TIMEOUT. The file is the server's: no client removes it.
    """
    server = read(folder)
    if server is None or server.has_ended():  # its port may be another user's by now
        return None
    try:
        status = _send(server)
    except UNANSWERED:
        status = {}
    if status.get("token") == server.token:
        return server
    if server.has_ended():
        return None
    raise server.silence()


def may_run(folder: Path) -> bool:
    """Whether a server of this folder may run, also one that does not answer; no call goes out."""
    try:
        server = read(folder)
    except PlabError:
        return True
    return server is not None and not server.has_ended()


def about(server: LocalServer) -> dict[str, Any]:
    """The server's status: `resources` (the number that users have made), `faults` and more.

    Raises PlabError when it does not answer.
    """
    return _fetch(server)


def choose_faults(server: LocalServer, faults: Sequence[str]) -> dict[str, Any]:
    """Switch on exactly these faults, in the form that `parse_fault` reads; returns the new status.

    Raises UsageError for a fault that the server does not have, and PlabError when it does not answer.
    """
    return _fetch(server, FAULTS_PATH, [parse_fault(fault) for fault in faults])


def visit(server: LocalServer, subnet_id: str) -> int:
    """The PID namespace of the visitors' machine in that subnet; it is the same for all visits.

    Raises UsageError when there is no traffic, or no such subnet; PlabError when the server does not answer.
    """
    return int(_fetch(server, VISIT_PATH, subnet_id, seconds=VISIT_TIMEOUT)["pid_namespace"])


def parse_fault(text: str) -> dict[str, Any]:
    """The JSON object for a text like `throttle,share=0.3`; raises UsageError."""
    kind, *settings = text.split(",")
    row: dict[str, Any] = {"kind": kind}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or name in row:
            raise UsageError(f"The fault '{text}' is not understood.", hint="It looks like throttle,share=0.3")
        row[name] = _read_number(value)
    return row


def fault_text(row: dict[str, Any]) -> str:
    """The text of a fault, in the form that `parse_fault` reads."""
    return ",".join([row["kind"], *(f"{name}={value}" for name, value in row.items() if name != "kind")])


def _read_number(text: str) -> int | float | str:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text


def _fetch(
    server: LocalServer, path: str = STATUS_PATH, body: object = None, seconds: float = ANSWER_TIMEOUT
) -> dict[str, Any]:
    try:
        answer = _send(server, path, body, seconds)
    except UNANSWERED as error:
        raise server.silence() from error
    if "message" in answer:
        hint = "see `plab local faults --help`" if path == FAULTS_PATH else "see `plab local status`"
        raise UsageError(f"{answer['message'].rstrip('.')}.", hint=hint)
    return answer


_NOT_YOURS = "Work in a folder of your own."


def read(folder: Path) -> LocalServer | None:
    """What the file of a folder's server says; None without one. Raises PlabError for a file that cannot be trusted."""
    path = server_path(folder)
    try:
        text = read_own_text(path)
    except FileNotFoundError:
        return None
    except NotOwn as error:
        raise PlabError(f"{path} holds keys, and {error}.", hint=_NOT_YOURS) from None
    except (OSError, ValueError) as error:
        hint = "remove it" if folder.stat().st_uid == os.getuid() else _NOT_YOURS
        raise PlabError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.", hint=hint) from error
    try:
        return LocalServer(**json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise PlabError(f"{path} is damaged.", hint="remove it") from error


def _send(
    server: LocalServer, path: str = STATUS_PATH, body: object = None, seconds: float = ANSWER_TIMEOUT
) -> dict[str, Any]:
    """The response to a GET, or with a body to a PUT; no proxy is used."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection("127.0.0.1", address.port or 0, timeout=seconds)
    method, content = ("GET", b"") if body is None else ("PUT", json.dumps(body).encode())
    scope, host = (server.access_key_id, REGION, "plab"), {"Host": address.netloc}
    late = threading.Timer(seconds, lambda: _hang_up(connection))  # a timeout of the socket is one for each byte
    try:
        headers = sign(scope, server.secret_access_key, HttpMessage(method, path, host, content))
        connection.connect()
        late.start()
        connection.request(method, path, content or None, headers)
        answer = json.loads(connection.getresponse().read(MOST_ANSWERED))
    finally:
        late.cancel()
        connection.close()
    return answer if isinstance(answer, dict) else {}


def _hang_up(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it has just been closed
        connection.sock.shutdown(socket.SHUT_RDWR)
