"""One wrong answer to a describe: an empty one, an old one, or one that is not AWS's."""

from __future__ import annotations

import copy
import threading
from typing import Any

from privatelink_lab.aws import Account
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party

HTML = b"<html><body>Please log in to this network.</body></html>"


class Spoiler:
    """Spoils one answer to a describe whose name begins so, in one way; `hit` is its name afterwards."""

    def __init__(self, number: int, how: str, name: str = "Describe") -> None:
        self.number, self.how, self.name, self.hit = number, how, name, ""
        self._before: dict[tuple[int, str], dict[str, Any]] = {}
        self._chosen = threading.local()
        self._lock = threading.Lock()

    def watch(self, lab: Lab) -> Lab:
        """The same lab, whose answers go through here."""
        plain = lab.connect

        def connect(party: Party) -> Account:
            account = plain(party)
            account._session.events.register("before-parse", self._receive)
            account._session.events.register("after-call", lambda **call: self._answer(id(account), **call))
            return account

        lab.connect = connect
        return lab

    def _receive(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        name = operation_model.name
        with self._lock:
            self.number -= name.startswith(self.name)
            self._chosen.now = name.startswith(self.name) and self.number == 0
        if self._chosen.now:
            self.hit = name
            if self.how == "html":
                response_dict["body"] = HTML

    def _answer(self, caller: int, parsed: dict[str, Any], model: Any, **_: Any) -> None:
        fresh = copy.deepcopy(parsed)
        if getattr(self._chosen, "now", False):
            self._chosen.now = False
            empty = {key: [] if isinstance(value, list) else value for key, value in parsed.items()}
            parsed.update(self._before.get((caller, model.name), empty) if self.how == "stale" else empty)
        self._before[caller, model.name] = fresh
