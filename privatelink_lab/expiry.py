"""When a lab ends by itself: the tag `plab:expires` is an instant, RFC 3339 in UTC; `ttl` is a duration such as 2h."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from privatelink_lab.events import duration

PATTERN = r"[1-9][0-9]{0,3}[mhd]"
FORM = "a whole number up to 9999 with m, h or d: 90m, 2h, 3d"
_BEGIN = datetime.min.replace(tzinfo=UTC)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def after(moment: datetime, ttl: str) -> str:
    """The instant that is `ttl` after a moment, to the second."""
    length = timedelta(**{_UNITS[ttl[-1]]: int(ttl[:-1])})
    return (moment + length).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime | None:
    """What a tag says; None where it says no instant."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def latest(texts: Iterable[str]) -> str:
    """The latest of several instants; '' for none. What is no instant does not count."""
    return max((text for text in texts if instant(text)), key=lambda text: instant(text) or _BEGIN, default="")


def is_past(text: str, now: datetime) -> bool:
    """Whether an instant has come; False for what is none: such a lab does not expire."""
    moment = instant(text)
    return moment is not None and moment <= now


def in_words(text: str, now: datetime) -> str:
    """`expires in 1 h 12 min (14:05)`, in this machine's time zone; '' for what is no instant."""
    moment = instant(text)
    if moment is None:
        return ""
    seconds, here = (moment - now).total_seconds(), moment.astimezone()
    clock = here.strftime("%H:%M" if here.date() == now.astimezone().date() else "%Y-%m-%d %H:%M")
    return f"expires in {duration(seconds)} ({clock})" if seconds > 0 else f"expired {duration(-seconds)} ago ({clock})"


def short(text: str, now: datetime) -> str:
    """`in 1 h 12 min`, `3 h ago` or `never`, for a table."""
    moment = instant(text)
    if moment is None:
        return "never"
    seconds = (moment - now).total_seconds()
    return f"in {duration(seconds)}" if seconds > 0 else f"{duration(-seconds)} ago"


def is_ttl(text: str) -> bool:
    """Whether a text is a duration that this module reads."""
    return re.fullmatch(PATTERN, text) is not None
