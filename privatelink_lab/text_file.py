"""Reading a file that a person or an editor wrote: at once, whatever it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST = 1024 * 1024  # bytes; a config or a state of hundreds of consumers has a tenth of it


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte order mark.

    Raises OSError, and ValueError with the reason in words: no regular file (a pipe would never end), too big, or
    written in another encoding.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(MOST + 1)
    if len(content) > MOST:
        raise ValueError("it has more than 1 MiB")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("it is written in UTF-16; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 (byte {error.start}); save it as UTF-8") from None
