"""What each command does between the command line and the engine: take a snapshot, ask, act, report.

Each command has a module of its name. Several of them need `run_command` (from options to exit code), `lab_session`
(which lab, on which AWS), `json_report` (results as data), `interrupts`, `accept_reject` and `diagnosis` (verify).
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Options:
    """What every command takes; `command` is its name in JSON."""

    command: str
    config: Path | None = None
    local: bool = False
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    yes: bool = False
    lab: str | None = None  # --lab: the name of a lab to find by its tags, without a config
    region: str | None = None  # of such a lab, where it is not the usual one
