"""`plab init`: write the commented config."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from privatelink_lab.errors import UsageError


def write_example(path: Path, *, force: bool) -> None:
    """Write the commented example config to `path`; raises UsageError when it exists or cannot be written."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists.", hint="Choose another name, or overwrite the file with --force.")
    text = resources.files("privatelink_lab").joinpath("config.example.yaml").read_text(encoding="utf-8")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
