"""Start, find and stop the local AWS of a folder; what the command line calls.

It imports the standard library only: a command must not wait for moto.
"""

from __future__ import annotations

import fcntl
import http.client
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from privatelink_lab.errors import PlabError

READY = 60.0  # seconds that a new server may take to be ready
PARTING = 10.0  # seconds between SIGTERM and SIGKILL
ANSWER = 5.0  # seconds that a status call may take
PAUSE = 0.05  # seconds between two looks
REGION = "us-east-1"


@dataclass(frozen=True)
class LocalServer:
    """Where a local AWS is, and its keys; `token` names this life of it."""

    url: str
    pid: int
    token: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    speed: float

    @property
    def pace(self) -> str:
        """How fast things happen there, in words."""
        return f"{self.speed:g} times as fast as AWS" if self.speed else "everything at once"

    def exports(self) -> str:
        """Shell lines that point the AWS CLI, Terraform or plab at this server."""
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
        }
        return "\n".join(f"export {name}={shlex.quote(each)}" for name, each in variables.items())


def server_path(folder: Path) -> Path:
    """The file that says where the server of a folder is."""
    return folder / "local.json"


def log_path(folder: Path) -> Path:
    """The file that holds what the last server of a folder said."""
    return folder / "local.log"


def running(folder: Path) -> LocalServer | None:
    """The server of a folder, once it has proved that it is that one.

    None without one; a file that a dead server left is removed. Raises PlabError for a file that
    others could have written or read, and for a server that does not answer within ANSWER seconds.
    """
    server = _read(folder)
    if server is None:
        return None
    try:
        status = _ask(server)
    except TimeoutError as error:
        text = f"The local AWS (pid {server.pid}) does not answer."
        raise PlabError(text, hint=f"end it with `kill {server.pid}`") from error
    except (OSError, http.client.HTTPException, ValueError):
        status = {}
    if status.get("token") == server.token:
        return server
    forget(folder, server.token)
    return None


def start(folder: Path, speed: float) -> tuple[LocalServer, bool]:
    """The running server (False), or a new one that is ready (True).

    Two starts at once end with one server. Raises PlabError when the `local` extra is missing,
    when the process ends early, and when it is not ready after READY seconds.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _lock(folder):
        found = running(folder)
        if found:
            return found, False
        _check_extra()
        return _launch(folder, speed), True


def stop(folder: Path) -> LocalServer | None:
    """The server that was ended, and everything in it with it; None if none was running.

    SIGTERM, and after PARTING seconds SIGKILL; only to a process that proved to be the server.
    """
    server = running(folder)
    if server is None:
        return None
    for word in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):  # it may end by itself meanwhile
            os.kill(server.pid, word)
        if _wait(lambda: _has_ended(server.pid), PARTING):
            break
    forget(folder, server.token)
    return server


def resources(server: LocalServer) -> int:
    """How many things users have made in it: VPCs, groups, instances, balancers, endpoints...

    Raises PlabError when it does not answer.
    """
    try:
        return int(_ask(server)["resources"])
    except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
        text = f"The local AWS (pid {server.pid}) does not answer."
        raise PlabError(text, hint="see `plab local logs`") from error


def forget(folder: Path, token: str) -> None:
    """Remove the file of the server with that token, and no other's."""
    server = _read(folder)
    if server is not None and server.token == token:
        server_path(folder).unlink(missing_ok=True)


def _read(folder: Path) -> LocalServer | None:
    path = server_path(folder)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW)) as file:
            about = os.fstat(file.fileno())
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PlabError(f"{path} cannot be read: {error.strerror}.", hint="remove it") from error
    if about.st_uid != os.getuid() or about.st_mode & 0o077:
        text = f"{path} holds keys, and is not yours alone."
        raise PlabError(text, hint="remove it if you do not know who made it")
    try:
        return LocalServer(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise PlabError(f"{path} is damaged.", hint="remove it") from error


def _ask(server: LocalServer) -> dict[str, Any]:
    """What `/_plab/status` answers; straight to the address, past every proxy."""
    address = urlsplit(server.url)
    connection = http.client.HTTPConnection("127.0.0.1", address.port or 0, timeout=ANSWER)
    scope = f"{server.access_key_id}/20260101/{REGION}/plab/aws4_request"
    try:
        headers = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}"}
        connection.request("GET", "/_plab/status", headers=headers)
        answer = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else {}


def _check_extra() -> None:
    if importlib.util.find_spec("moto") is None:
        text = "The local AWS is not installed."
        raise PlabError(text, hint="Install plab with its extra, in its source folder: pip install '.[local]'")


def _launch(folder: Path, speed: float) -> LocalServer:
    process = _spawn(folder.resolve(), speed)
    _wait(lambda: process.poll() is not None or server_path(folder).exists(), READY)
    server = running(folder)
    if server is None:
        process.kill()
        process.wait()
        text = f"The local AWS did not start. Its last words:\n{_last_words(folder)}"
        raise PlabError(text, hint=f"see {log_path(folder)}")
    process.returncode = 0  # it outlives us on purpose; else Popen warns about a lost child
    return server


def _spawn(folder: Path, speed: float) -> subprocess.Popen[bytes]:
    module = "privatelink_lab.local.serve"
    command = [sys.executable, "-m", module, str(folder), "--speed", str(speed)]
    with os.fdopen(os.open(log_path(folder), _NEW_LOG, 0o600), "wb") as log:
        return subprocess.Popen(  # noqa: S603  # our own module, by our own interpreter
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
            cwd="/",
            env=_environment(),
        )


_NEW_LOG = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def _environment() -> dict[str, str]:
    """Ours without what would steer moto or boto, and with this very package first."""
    steering = ("MOTO_", "AWS_", "INITIAL_NO_AUTH")
    kept = {name: each for name, each in os.environ.items() if not name.startswith(steering)}
    paths = [str(Path(__file__).parents[2]), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


def _last_words(folder: Path, lines: int = 5) -> str:
    said = log_path(folder).read_text(errors="replace").splitlines()
    return "\n".join(said[-lines:]) or "(none)"


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold the folder for one start; the system frees it if we die."""
    with (folder / "local.lock").open("a") as file:

        def take() -> bool:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not _wait(take, READY):
            text = "Another command has been starting the local AWS for a minute."
            raise PlabError(text, hint="see `plab local logs`")
        yield


def _has_ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid  # our own child would stay as a zombie
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _wait(happened: Callable[[], bool], seconds: float) -> bool:
    """Look every PAUSE until it happened; False after so many seconds."""
    for _ in range(int(seconds / PAUSE)):
        if happened():
            return True
        time.sleep(PAUSE)
    return happened()
