"""One line of `-v` per call: what was asked of AWS, how long it took, and what AWS refused."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

log = logging.getLogger(__name__)

NO_CALLS = frozenset({"CreateClient", "LoadProfile"})  # what botocore does itself
READS = ("Describe", "Get", "Assume", "Load")
LEFT_OUT = frozenset({"ClientToken", "ClientRequestToken", "DryRun", "TagSpecifications", "Tags", "UserData"})
# Partition, service, region, account: one line is short. What has no region is a principal, which says whose it is.
_ARN_PREFIX = re.compile(r"^arn:[^:]*:[^:]*:[^:]+:[^:]*:")
MOST = 160  # characters of all parameters


def log_call(service: str, name: str, request: Mapping[str, Any], seconds: float, refused: str = "") -> None:
    """Log a call that has ended: one that only reads as DEBUG, one that changes something as INFO."""
    if name in NO_CALLS:
        return
    reads = name.startswith(READS)
    words = " ".join(f"{key}={_short(value)}" for key, value in request.items() if key not in LEFT_OUT)
    cut = words if len(words) <= MOST else f"{words[:MOST]}..."
    end = f"{1000 * seconds:.0f} ms" + (f": {refused}" if refused else "")
    parts = filter(None, ("  " if reads else "->", service, name, cut, end))
    log.log(logging.DEBUG if reads else logging.INFO, "%s", " ".join(parts))


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        if value.keys() == {"Name", "Values"}:  # a filter
            return f"{value['Name']}={_short(value['Values'])}"
        return ",".join(f"{key}={_short(of)}" for key, of in value.items() if key not in LEFT_OUT)
    if isinstance(value, (list, tuple)):
        return ",".join(_short(of) for of in value)
    return _ARN_PREFIX.sub("", str(value))
