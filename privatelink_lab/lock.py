"""Locks that keep two plabs from working on one lab: one beside the state file, and one per machine.

The kernel frees a lock when its process dies. The file that a killed process leaves behind locks nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from privatelink_lab.errors import StateError, Unwritable
from privatelink_lab.state import Place, path_of

FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
LONGEST_HOLDER = 500  # characters of a lock file that a message repeats


def in_folder(folder: Path, lab: str) -> AbstractContextManager[None]:
    """Hold the lock of the lab's state file; raises StateError, which names the process that holds it."""
    path = path_of(folder, lab).with_suffix(".lock")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, "opened", error) from None
    return _held(path, "", "Keep the config on a local disk.")


def on_machine(place: Place, url: str, lab: str, folder: Path) -> AbstractContextManager[None]:
    """Hold this user's lock on a lab in that account and region (or at that URL), from whatever folder plab runs.

    Two runs of one user have the same `plab:maker`: without this lock, a run in a second folder would treat what the
    first one makes as its own. Raises StateError, which names the process that holds the lock and its folder, or says
    that the folder of the locks is not this user's alone. If there can be no such folder, there is no such lock.
    """
    locks = _own_folder()
    if locks is None:
        return nullcontext()
    identity = repr((place.account, place.region, url.rstrip("/"), lab))
    path = locks / f"{hashlib.sha256(identity.encode()).hexdigest()[:16]}.lock"
    return _held(path, f" in {folder.absolute()}", "")


def others_at_work(folder: Path, lab: str) -> bool:
    """Whether a plab holds the lock of another lab in this folder."""
    own = path_of(folder, lab).with_suffix(".lock")
    return any(_is_held(path) for path in own.parent.glob("*.lock") if path != own)


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # its holder has just removed it
        return False
    return False


def _own_folder() -> Path | None:
    """The folder of this user's locks, the same for every terminal; None where there is no home to write in.

    Not /tmp: under a known name there, another user could hold or fill what plab opens.
    """
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        path = cache / "plab" / "locks"
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        about = path.lstat()
    except (OSError, RuntimeError):
        return None
    if about.st_uid != os.getuid() or about.st_mode & 0o077 or not stat.S_ISDIR(about.st_mode):
        text = f"The folder {path} for plab's locks is not yours alone."
        raise StateError(text, hint=f"Look at it (ls -ld {path}); if nothing else uses it: rm -r {path}")
    return path if os.access(path, os.W_OK) else None


@contextmanager
def _held(path: Path, where: str, hint: str) -> Iterator[None]:
    file = _locked(path, hint)
    while not _is_file_of(path, file):  # its holder has just removed it; by now there is a new file, or none
        file.close()
        file = _locked(path, hint)
    with file:
        try:
            file.truncate(0)
            file.write(f"process {os.getpid()} since {time.strftime('%H:%M:%S')}{where}\n")
            file.flush()
        except OSError as error:
            raise _unusable(path, "written", error, hint="Make room on the disk.") from None
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _locked(path: Path, hint: str) -> IO[str]:
    try:
        file = os.fdopen(os.open(path, FLAGS, 0o600), "r+", encoding="utf-8")
    except OSError as error:
        raise _unusable(path, "opened", error) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with file:
            holder = file.read(LONGEST_HOLDER).strip() or "another process"
        raise StateError(
            f"Another plab is at work on this lab: {holder}.", hint="Wait until it ends, or stop it with Ctrl-C."
        ) from None
    except OSError as error:  # some network file systems have no locks
        file.close()
        raise _unusable(path, "locked", error, hint=hint) from None
    return file


def _unusable(path: Path, participle: str, error: OSError, hint: str = "Make its folder writable.") -> Unwritable:
    return Unwritable(f"The lock file {path} cannot be {participle}: {error.strerror}.", hint=hint)


def _is_file_of(path: Path, file: IO[str]) -> bool:
    try:
        return path.stat().st_ino == os.fstat(file.fileno()).st_ino
    except FileNotFoundError:
        return False
