"""The table of all causes. A code is never renamed or used again."""

from __future__ import annotations

from privatelink_lab.why import connection_causes, consumer_causes, later_causes, provider_causes, request_causes
from privatelink_lab.why.cause import Cause

ROOMS = (request_causes, connection_causes, consumer_causes, provider_causes, later_causes)
CAUSES: tuple[Cause, ...] = tuple(
    sorted((cause for room in ROOMS for cause in room.CAUSES), key=lambda cause: cause.number)
)
