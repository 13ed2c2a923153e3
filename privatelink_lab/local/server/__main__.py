"""The server process: `python -m privatelink_lab.local.server FOLDER --speed N`.

FOLDER/local.json holds its address and its keys while it is ready. stdout is the log. SIGTERM ends it, and so does
the removal of FOLDER; SIGINT does not, since it must outlive a Ctrl-C of plab.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from privatelink_lab.errors import PlabError
from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.control_client import ServerOptions, log_path, read, server_path
from privatelink_lab.local.network.agent_client import AgentClient
from privatelink_lab.local.process_identity import ProcessIdentity
from privatelink_lab.local.server.http import bind
from privatelink_lab.signal_flag import SignalFlag
from privatelink_lab.text_file import read_own_text, write_own_text

MAX_LOG = 10 << 20  # bytes of one log file; two are kept
CHECK_INTERVAL = 2.0  # seconds between two checks that local.json exists and the network runs


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM, until the folder is removed or has another server, or until the network ends."""
    parser = argparse.ArgumentParser(prog="privatelink_lab.local.server", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--speed", type=float, default=20.0)
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--by-up", action="store_true")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--lock", type=int, help="an open file that is closed when the server is ready")
    options = parser.parse_args(arguments)
    serve(options.folder, ServerOptions(options.speed, options.slow, options.seed, options.by_up), options.lock)
    return 0


def serve(folder: Path, pace: ServerOptions, lock: int | None = None) -> None:
    """Bind first, then load moto: its import takes two seconds and may start threads."""
    if lock is not None:
        os.set_inheritable(lock, False)
    ended = SignalFlag()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    listener = bind()
    log = Log(log_path(folder))
    traffic = AgentClient(log.line)  # it starts while moto is loaded
    from privatelink_lab.local.server.local_aws import LocalAws  # only after the bind

    clock = AwsClock(pace.speed, slow=pace.slow)
    network = traffic.wait()
    with LocalAws(clock, seed=pace.seed, listener=listener, log=log.line, traffic=network) as aws:
        place = ServerFile(
            folder,
            asdict(ProcessIdentity.own())
            | {
                "url": aws.url,
                "token": aws.token,
                "access_key_id": aws.access_key_id,
                "secret_access_key": aws.secret_access_key,
                "speed": pace.speed,
                "slow": pace.slow,
                "by_up": pace.by_up,
                "folder": str(folder.parent),
            },
        )
        if place.is_taken():
            log_line("another local AWS serves this folder")
            return
        place.write()
        if lock is not None:
            os.close(lock)
        log_line(f"ready at {aws.url}, {pace.speed:g} times as fast as AWS{' on a slow day' if pace.slow else ''}")
        while not ended.wait(CHECK_INTERVAL) and place.is_kept():
            if network.has_ended():
                log_line(
                    "the network has ended, and with it everything that ran here; start again with `plab up --local`"
                )
                break
        place.remove()
    log_line("ended")


class ServerFile:
    """local.json of one server: written again where it is missing, and never another server's."""

    def __init__(self, folder: Path, data: Mapping[str, object]) -> None:
        self._folder, self._data = folder, data
        self._path = server_path(folder)
        self._inode = folder.stat().st_ino

    def write(self) -> None:
        """Write it in one step, readable by its owner only."""
        write_own_text(self._path, json.dumps(self._data))

    def is_taken(self) -> bool:
        """Whether another server of the folder runs: its file was away when this one was started."""
        with suppress(PlabError):
            other = read(self._folder)
            return other is not None and not other.has_ended()
        return False

    def is_kept(self) -> bool:
        """Whether this server still is the folder's; a missing file is written again."""
        try:
            if self._folder.stat().st_ino != self._inode:
                return False
        except FileNotFoundError:
            return False
        except OSError as error:  # a network home that is away for a moment
            log_line(f"{self._folder} cannot be read: {error.strerror}")
            return True
        try:
            if self._token() is None:
                self.write()
            return self._token() in {None, self._data["token"]}
        except OSError as error:
            log_line(f"{self._path} cannot be written: {error.strerror}")
            return True

    def remove(self) -> None:
        """Remove it, but not the file of another server."""
        with suppress(OSError):
            if self._token() == self._data["token"]:
                self._path.unlink(missing_ok=True)

    def _token(self) -> object:
        """The token in the file; None without one that this user wrote and can read. Raises OSError."""
        try:
            return json.loads(read_own_text(self._path))["token"]
        except (FileNotFoundError, ValueError, KeyError, TypeError, RecursionError):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:  # a symbolic link
                return None
            raise


def log_line(line: str) -> None:
    """Write one line to the log at once; `print` alone would write the line end apart, after another thread's text.

    A log that cannot be written stops no answer.
    """
    with suppress(OSError):
        print(f"{line}\n", end="", flush=True)


class Log:
    """stdout and stderr in the log of a folder, which moves to `local.log.1` when it is too large."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def line(self, line: str) -> None:
        """Write one line."""
        log_line(line)
        with suppress(OSError):
            about = os.fstat(1)
            if about.st_size > MAX_LOG and os.path.samestat(about, self._path.stat()):
                self._begin_again()

    def _begin_again(self) -> None:
        self._path.replace(self._path.with_suffix(".log.1"))
        log = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        for stream in (1, 2):
            os.dup2(log, stream)
        os.close(log)


if __name__ == "__main__":
    # Freeing moto's stores would take another second, and `stop` waits for the end.
    os._exit(main())
