"""Connection notifications: they are stored as on AWS; none is sent, since the local AWS has no SNS."""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import EC2ClientError

from privatelink_lab.local.api.call_base import Ec2Call
from privatelink_lab.local.api.filters import filtered
from privatelink_lab.local.api.responses import unsuccessful_item
from privatelink_lab.local.api.server_state import new_id
from privatelink_lab.local.privatelink.service_calls import service_of

EVENTS = frozenset({"Accept", "Connect", "Delete", "Reject"})
_TOPIC = re.compile(r"arn:[a-z-]+:sns:[a-z0-9-]+:\d{12}:[A-Za-z0-9_-]{1,256}")


class Notifications(Ec2Call):
    """Create, describe, modify and delete connection notifications."""

    def create_vpc_endpoint_connection_notification(self) -> ActionResult:
        """The notification of a service or an endpoint, `Enabled`; a repeated ClientToken gives the same one."""
        made = self.make_once(self._own().get, self._create_notification)
        return ActionResult({"ConnectionNotification": made, "ClientToken": self._get_param("ClientToken")})

    def describe_vpc_endpoint_connection_notifications(self) -> ActionResult:
        """The caller's notifications; an unknown id is `InvalidConnectionNotification`."""
        notification_id = self._get_param("ConnectionNotificationId")
        chosen = [self._notification(notification_id)] if notification_id else self._own().values()
        return ActionResult({"ConnectionNotificationSet": filtered(self, chosen, fields_of)})

    def modify_vpc_endpoint_connection_notification(self) -> ActionResult:
        """Change the topic or the events."""
        row = self._notification(self._get_param("ConnectionNotificationId"))
        changed = {"ConnectionNotificationArn": self._topic(), "ConnectionEvents": self._events()}
        row.update({name: value for name, value in changed.items() if value})
        return ActionResult({"ReturnValue": True})

    def delete_vpc_endpoint_connection_notifications(self) -> ActionResult:
        """HTTP 200; an unknown id is an item of `Unsuccessful`."""
        own, unsuccessful = self._own(), []
        for notification_id in self._get_param("ConnectionNotificationIds", []):
            if own.pop(notification_id, None) is None:
                text = f"The connection notification '{notification_id}' does not exist"
                unsuccessful.append(unsuccessful_item(notification_id, "InvalidConnectionNotification", text))
        return ActionResult({"Unsuccessful": unsuccessful})

    def _own(self) -> dict[str, dict[str, Any]]:
        return self.world.notifications.setdefault((self.current_account, self.region), {})

    def _notification(self, notification_id: str) -> dict[str, Any]:
        row = self._own().get(notification_id)
        if row is None:
            text = f"The connection notification '{notification_id}' does not exist"
            raise EC2ClientError("InvalidConnectionNotification", text)
        return row

    def _create_notification(self) -> tuple[dict[str, Any], str]:
        service, endpoint = self._get_param("ServiceId"), self._get_param("VpcEndpointId")
        if bool(service) == bool(endpoint):
            raise EC2ClientError("InvalidParameter", "Exactly one of ServiceId and VpcEndpointId must be given.")
        if service:
            service_of(self)
        else:
            self.ec2_backend.describe_vpc_endpoints([endpoint])
        row = {
            "ConnectionNotificationId": new_id("vpce-nfn"),
            "ServiceId": service,
            "VpcEndpointId": endpoint,
            "ConnectionNotificationType": "Topic",
            "ConnectionNotificationArn": self._topic(),
            "ConnectionEvents": self._events(),
            "ConnectionNotificationState": "Enabled",
        }
        self._own()[row["ConnectionNotificationId"]] = row
        return row, row["ConnectionNotificationId"]

    def _topic(self) -> str | None:
        arn: str | None = self._get_param("ConnectionNotificationArn")
        if arn and not _TOPIC.fullmatch(arn):
            raise EC2ClientError("InvalidParameter", f"'{arn}' is not the ARN of an SNS topic.")
        return arn

    def _events(self) -> list[str]:
        events: list[str] = self._get_param("ConnectionEvents", [])
        if not EVENTS.issuperset(events):
            raise EC2ClientError("InvalidParameter", f"The events are {', '.join(sorted(EVENTS))}.")
        return events


def fields_of(row: dict[str, Any]) -> dict[str, str | list[str]]:
    """What DescribeVpcEndpointConnectionNotifications can filter by."""
    return {
        "connection-notification-id": row["ConnectionNotificationId"],
        "connection-notification-arn": row["ConnectionNotificationArn"],
        "connection-notification-state": row["ConnectionNotificationState"],
        "connection-notification-type": row["ConnectionNotificationType"],
        "service-id": row["ServiceId"] or [],
        "vpc-endpoint-id": row["VpcEndpointId"] or [],
    }
