"""The exception tree: every error has a sentence, a next step, and plab's exit code.

PlabError                1   something failed
+-- UsageError           2   bad options or config, before any AWS call
|   +-- ConfigError      2   every mistake of one config file
+-- AwsError             1   AWS refused or failed a call (code, request id)
|   +-- LostAnswer       1   the call was sent and no answer came: its effect is unknown
+-- AccountError         1   no usable credentials or region for an account
+-- StateError           1   the state file cannot be used
|   +-- Unwritable       1   the disk refuses the state or lock file; `down` goes on without it
+-- NotOurs              1   something without this lab's tag is in the way
|   +-- ConcurrentMaker  1   another maker of the same lab began earlier
+-- Interrupted        130   Ctrl-C or SIGTERM; the state is saved

A `down` that leaves something ends with 3: that is its receipt (`engine.Removed`), not an error.
"""

from __future__ import annotations

from typing import Any, ClassVar

from privatelink_lab.printable import on_one_line, shortened


class PlabError(Exception):
    """A failure with a next step in `hint`; the process ends with `exit_code`."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, Any]:
        """The `error` object of the event contract: code, message, request_id, hint."""
        return {"code": None, "message": self.message, "request_id": None, "hint": self.hint or None}

    def as_text(self, key: str = "") -> str:
        """What a person reads: the resource's key, the sentence with AWS's code and request id, the next command."""
        sentence = shortened(str(self) if not key or str(self).startswith(key) else f"{key}: {self}")
        return f"Error: {sentence}" + (f"\nHint: {shortened(self.hint)}" if self.hint else "")


class UsageError(PlabError):
    """The command line or the config is wrong; no call was made."""

    exit_code = 2


class ConfigError(UsageError):
    """All mistakes of one config file: a line for each mistake, with its file and line."""


class AwsError(PlabError):
    """AWS refused or failed one call.

    `code` is AWS's own (`DependencyViolation`), `operation` the API's name (`DeleteSubnet`), `status` HTTP's. `source`
    is the service and URL that the call went to, if no usable answer came from there.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        operation: str,
        request_id: str | None = None,
        status: int = 0,
        hint: str = "",
        source: str = "",
    ) -> None:
        super().__init__(on_one_line(message), hint=hint)  # a stranger may have written it
        self.source = source
        self.code = on_one_line(code)
        self.operation = operation
        self.request_id = request_id
        self.status = status

    def as_json(self) -> dict[str, Any]:
        """As `PlabError.as_json`, with AWS's code and request id."""
        return super().as_json() | {"code": self.code, "request_id": self.request_id}

    def __str__(self) -> str:
        request = f", request {self.request_id}" if self.request_id else ""
        return f"{self.operation}: {self.message} ({self.code}{request})"


class LostAnswer(AwsError):
    """AWS may have received the request, but its answer is lost; only a describe can show the effect."""


class AccountError(PlabError):
    """No usable credentials, profile, role or region."""


class StateError(PlabError):
    """The state file is locked, damaged, newer than this plab, or of another account or region."""


class Unwritable(StateError):
    """The disk is full, or the folder cannot be written: there is no lock or no state on disk."""


class NotOurs(PlabError):
    """Something has the lab's name but not its tag; plab neither adopts nor deletes it."""


class ConcurrentMaker(NotOurs):
    """Another maker began the same lab earlier: this run stops, and deletes what it made."""


class Interrupted(PlabError):
    """The user stopped the run; the calls in flight have finished, and the state is saved."""

    exit_code = 130
