"""A hash of plain values: for client tokens, and for the tags that say how a resource was made."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest(**values: Any) -> str:
    """A hash of 64 hex characters; the same values give the same hash on every machine."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
