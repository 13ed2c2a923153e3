"""A connection that is lost for some time."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import EndpointConnectionError

from privatelink_lab.aws import Account
from privatelink_lab.aws.client_side_errors import client_side_error
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party
from support.cloud import Cloud


class Outage:
    """An account whose connections fail for so many seconds, after so many sleeps."""

    def __init__(self, account: Account, cloud: Cloud, seconds: float, after: int = 3) -> None:
        self.account, self.cloud, self.seconds, self.after = account, cloud, seconds, after
        self.sleeps, self.began, self.ended = 0, 0.0, False
        self.client = account.client

    def begin(self) -> None:
        """Start the outage; called before every sleep."""
        self.sleeps += 1
        if self.sleeps == self.after:
            self.began = self.cloud.clock.now()
            self.account.client = self.refuse  # type: ignore[method-assign]

    def refuse(self, service: str, *, once: bool) -> Any:
        """The client; raises botocore's error for a lost connection during the outage."""
        if self.cloud.clock.now() - self.began > self.seconds:
            self.ended = True
            return self.client(service, once=once)
        raise client_side_error("DescribeVpcs", EndpointConnectionError(endpoint_url=self.cloud.aws.url))


class Portal:
    """Something between us and one service (or all) of AWS answers with a page of its own, while it is `up`."""

    def __init__(self, service: str = "") -> None:
        self.service, self.up = service, False

    def watch(self, lab: Lab) -> Lab:
        """The same lab, whose answers go through here."""
        plain = lab.connect

        def connect(party: Party) -> Account:
            account = plain(party)
            account._session.events.register("before-parse", self._receive)
            return account

        lab.connect = connect
        return lab

    def _receive(self, operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        if self.up and self.service in {"", operation_model.service_model.service_name}:
            response_dict["body"] = b"<html><body>Please log in to this network.</body></html>"
