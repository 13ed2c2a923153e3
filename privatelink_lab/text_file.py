"""Reading a file that a person or an editor wrote: at once, whatever it is. Writing one of our own: whole or not."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

MOST = 1024 * 1024  # bytes; a config or a state of hundreds of consumers has a tenth of it


class NotOwn(ValueError):
    """A file that another user made, or can write or read."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises OSError, and ValueError with the reason in words: no regular file (a pipe would never end), too big, or
    written in another encoding.
    """
    content = _bytes(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), MOST + 1)
    if len(content) > MOST:
        raise ValueError("it has more than 1 MiB")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is written in UTF-16; save it as UTF-8")
    return _decoded(content)


def read_own_text(path: Path) -> str:
    """The text of a file with secrets: regular, this user's, closed to all others, and of at most 1 MiB.

    All of that is asked before a byte is read. Raises OSError, NotOwn, and ValueError as `read_text`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    about = os.fstat(descriptor)
    if stat.S_ISREG(about.st_mode) and (about.st_uid != os.getuid() or about.st_mode & 0o077):
        os.close(descriptor)
        whose = "it belongs to another user" if about.st_uid != os.getuid() else "other users can read or write it"
        raise NotOwn(whose)
    content = _bytes(descriptor, MOST + 1)
    if len(content) > MOST:
        raise ValueError("it has more than 1 MiB")
    return _decoded(content)


def write_own_text(path: Path, text: str) -> None:
    """Write a file in one step, readable by this user alone. Raises OSError.

    Its draft has one name, so that the next write takes away what a killed process has left of it.
    """
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _bytes(descriptor: int, most: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        return file.read(most)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None
