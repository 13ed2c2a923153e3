"""Start and stop the local AWS of a folder, and enter its machines.

This module imports the standard library only: a command must not wait for moto.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from privatelink_lab import missing_extra
from privatelink_lab.errors import PlabError
from privatelink_lab.local.control_client import LocalServer, ServerOptions, log_path, read, running
from privatelink_lab.local.process_identity import ProcessIdentity

START_TIMEOUT = 60.0  # seconds that a new server may take to be ready
STOP_TIMEOUT = 10.0  # seconds between SIGTERM and SIGKILL
POLL_INTERVAL = 0.05  # seconds between two checks


def start(folder: Path, pace: ServerOptions) -> tuple[LocalServer, bool]:
    """The running server and False, or a new one that is ready and True.

    Two starts at the same time lead to one server. Raises PlabError when the `local` extra is
    missing, when the process ends early, and when it is not ready after START_TIMEOUT seconds.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid() or about.st_mode & 0o022:
        whose = "belongs to another user" if about.st_uid != os.getuid() else "can be written by other users"
        raise PlabError(f"{folder.absolute()} {whose}, and keys would lie there.", hint="Work in a folder of your own.")
    with _lock(folder) as lock:
        found = running(folder)
        if found:
            return found, False
        if importlib.util.find_spec("moto") is None:
            raise PlabError("The local AWS is not installed.", hint=missing_extra.install_command())
        return _launch(folder, pace, lock)


def stop(folder: Path) -> LocalServer | None:
    """Stop the server, with everything in it, also one that does not answer; returns None if none was running.

    It gets SIGTERM, and SIGKILL after STOP_TIMEOUT seconds; no other process gets a signal. Raises PlabError for a
    server of another PID namespace.
    """
    server = read(folder)
    if server is None or server.has_ended():
        return None
    if not server.identity.is_here():
        raise server.silence()
    end(server.identity)
    return server


def end(process: ProcessIdentity) -> None:
    """End a server's process and wait until it has ended: SIGTERM, and SIGKILL after STOP_TIMEOUT seconds."""
    for signal_ in (signal.SIGTERM, signal.SIGKILL):
        if process.has_ended():
            return
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal_)
        if _wait(lambda: _has_ended(process), STOP_TIMEOUT):
            return


def process_in(pid_namespace: int) -> int:
    """The host's number of the first process in a PID namespace; raises PlabError when it has ended."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):  # it is another user's, or it has ended
            if folder.name.isdigit() and (folder / "ns" / "pid").stat().st_ino == pid_namespace:
                found.append(int(folder.name))
    if not found:
        raise PlabError("The machine in that VPC has ended.", hint="see `plab local logs`")
    return min(found)


def enter(process: int, command: Sequence[str], names: Mapping[str, str]) -> NoReturn:
    """Replace this process by a shell, or by the command, in the namespaces of another process.

    `names` become variables there. Raises PlabError without util-linux's programs.
    """
    from privatelink_lab.local.network import instance_boot, system_calls

    programs = {name: shutil.which(name) or "" for name in ("nsenter", "setpriv")}
    for name, path in programs.items():
        if not path:
            raise PlabError(f"There is no `{name}` on this machine.", hint="It comes with the package util-linux.")
    nsenter = programs["nsenter"]
    shell = next(shell for shell in ("/bin/bash", "/bin/sh") if Path(shell).exists() or shell == "/bin/sh")
    kept = {name: os.environ[name] for name in ("TERM", "COLORTERM") if name in os.environ}
    environment = {"PATH": instance_boot.PATH, "HOME": "/root", "LANG": "C.UTF-8"} | kept | dict(names)
    arguments = [nsenter, "--preserve-credentials", "-U", "-m", "-n", "-u", "-i", "-p", "-t", str(process)]
    given_up = ",".join(f"-{name}" for name in system_calls.DROPPED_CAPABILITIES)  # nsenter would restore them
    arguments += ["setpriv", "--no-new-privs", "--bounding-set", given_up, "--"]
    system_calls.new_keyring()
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the command must not get our caller's open files
    os.execve(nsenter, [*arguments, *(command or [shell])], environment)  # noqa: S606  # without a shell on purpose


def _launch(folder: Path, pace: ServerOptions, lock: int) -> tuple[LocalServer, bool]:
    process = _spawn(folder.resolve(), pace, lock)
    try:
        _wait(lambda: process.poll() is not None or _is_ready(folder, process.pid), START_TIMEOUT)
    except KeyboardInterrupt:  # nothing is in it yet
        process.kill()
        process.wait()
        raise
    server = running(folder)
    if server is None:
        process.kill()
        process.wait()
        text = f"The local AWS did not start. The end of its log:\n{_log_end(folder)}"
        raise PlabError(text, hint=f"see {log_path(folder)}")
    process.returncode = 0  # the server outlives this process on purpose; otherwise Popen warns
    return server, server.pid == process.pid


def _is_ready(folder: Path, pid: int) -> bool:
    server = read(folder)
    return server is not None and server.pid == pid and not server.has_ended()


def _spawn(folder: Path, pace: ServerOptions, lock: int) -> subprocess.Popen[bytes]:
    module = "privatelink_lab.local.server"
    command = [sys.executable, "-m", module, str(folder), "--lock", str(lock), *pace.options()]
    with os.fdopen(os.open(log_path(folder), _NEW_LOG, 0o600), "wb") as log:
        return subprocess.Popen(  # noqa: S603  # our own module and interpreter
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # it gets no Ctrl-C of the terminal
            pass_fds=[lock],  # so that the start stays one start when this process is killed
            cwd="/",
            env=_environment(),
        )


_NEW_LOG = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


def _environment() -> dict[str, str]:
    """The environment without the variables that change moto or boto, and with this package first."""
    steering = ("MOTO_", "AWS_", "INITIAL_NO_AUTH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(steering)}
    paths = [str(Path(__file__).parents[2]), *filter(None, [kept.get("PYTHONPATH")])]
    return kept | {"PYTHONPATH": os.pathsep.join(paths)}


def _log_end(folder: Path, lines: int = 5) -> str:
    log = log_path(folder).read_text(errors="replace").splitlines()
    return "\n".join(log[-lines:]) or "(none)"


@contextmanager
def _lock(folder: Path) -> Iterator[int]:
    """Lock the folder for one start: until this process has ended, and the server is ready or has ended too."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # the folder itself, so that no lock file is left
    try:

        def take() -> bool:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        if not _wait(take, START_TIMEOUT):
            text = "Another command has been starting the local AWS for a minute."
            raise PlabError(text, hint="see `plab local logs`")
        yield held
    finally:
        os.close(held)


def _has_ended(process: ProcessIdentity) -> bool:
    with suppress(ChildProcessError):  # a child of this process would stay as a zombie
        os.waitpid(process.pid, os.WNOHANG)
    return process.has_ended()


def _wait(happened: Callable[[], bool], seconds: float) -> bool:
    """Check every POLL_INTERVAL whether it happened; False after that many seconds."""
    for _ in range(int(seconds / POLL_INTERVAL)):
        if happened():
            return True
        time.sleep(POLL_INTERVAL)
    return happened()
