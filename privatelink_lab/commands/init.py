"""`plab init`: write the commented config, and the JSON schema by which an editor checks and completes it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from privatelink_lab.commands import Options
from privatelink_lab.commands.advice import as_typed
from privatelink_lab.errors import UsageError
from privatelink_lab.state import FOLDER

SCHEMA = "config.schema.json"
FIRST_LINE = f"# yaml-language-server: $schema={FOLDER}/{SCHEMA}\n"  # relative to the config


NEXT = "Next: plab up --local (no account), or plab up --dry-run (AWS)"


def init(options: Options, path: Path, *, force: bool) -> str:
    """Write the example config, and return the sentence that says so; raises UsageError."""
    write_example(path, force=force)
    return as_typed(f"Wrote {path}. {NEXT}", options, local=False)


def write_example(path: Path, *, force: bool) -> None:
    """Write the commented example config to `path`; raises UsageError when it exists or cannot be written."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists.", hint="Choose another name, or overwrite the file with --force.")
    package = resources.files("privatelink_lab")
    text = package.joinpath("config.example.yaml").read_text(encoding="utf-8")
    folder = path.parent / FOLDER
    try:
        path.write_text(FIRST_LINE + text, encoding="utf-8")
        folder.mkdir(mode=0o700, exist_ok=True)
        (folder / SCHEMA).write_text(package.joinpath(SCHEMA).read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{error.filename or path} cannot be written: {error.strerror}.") from None
