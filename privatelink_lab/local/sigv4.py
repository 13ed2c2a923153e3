"""Signature Version 4: how the local AWS checks a request, and how plab's own commands sign theirs.

By AWS's page "Create a signed AWS API request". The standard library only: a command must not wait for boto3.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import time
from calendar import timegm
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

ALGORITHM = "AWS4-HMAC-SHA256"
WINDOW = 300.0  # seconds that a request may be old, or early
LONGEST = 604_800  # seconds for which a presigned request can be valid
_DATE = "%Y%m%dT%H%M%SZ"
_SCOPE = r"(?P<key>[A-Za-z0-9]{16,128})/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request"
_HEADER = re.compile(
    rf"{ALGORITHM} Credential={_SCOPE}, ?SignedHeaders=(?P<signed>[a-z0-9;-]+), ?"
    r"Signature=(?P<signature>[0-9a-f]{64})"
)


class HttpMessage(NamedTuple):
    """What is signed: an HTTP request, whose headers have Title-Case names."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Signature:
    """What a request says of its signature. `expires` is in seconds, and 0 for one that is not presigned."""

    key: str
    day: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str
    date: str
    token: str = ""
    expires: int = 0

    @property
    def scope(self) -> str:
        """What the key signs for."""
        return f"{self.day}/{self.region}/{self.service}/aws4_request"

    @property
    def authorization(self) -> str:
        """The header that says the same."""
        credential = f"{self.key}/{self.scope}"
        return f"{ALGORITHM} Credential={credential}, SignedHeaders={';'.join(self.signed)}, Signature={self.signature}"


def read_signature(message: HttpMessage) -> Signature | None:
    """The signature in the Authorization header, or in the query; None without a whole one."""
    headers = message.headers
    if found := _HEADER.fullmatch(headers.get("Authorization", "")):
        key, day, region, service, signed, signature = found.groups()
        date, token = headers.get("X-Amz-Date", ""), headers.get("X-Amz-Security-Token", "")
        return Signature(key, day, region, service, tuple(signed.split(";")), signature, date, token)
    query = dict(parse_qsl(message.path.partition("?")[2], keep_blank_values=True))
    found = re.fullmatch(_SCOPE, query.get("X-Amz-Credential", ""))
    expires, signature = query.get("X-Amz-Expires", ""), query.get("X-Amz-Signature", "")
    if not found or query.get("X-Amz-Algorithm") != ALGORITHM or not re.fullmatch("[0-9]{1,7}", expires):
        return None
    signed = tuple(query.get("X-Amz-SignedHeaders", "").split(";"))
    date, token = query.get("X-Amz-Date", ""), query.get("X-Amz-Security-Token", "")
    key, day, region, service = found.groups()
    return Signature(key, day, region, service, signed, signature, date, token, int(expires))


def without_signature(path: str) -> str:
    """The query of a presigned request without what signs it: the form that a POST would have as its body."""
    pairs = parse_qsl(path.partition("?")[2], keep_blank_values=True)
    return urlencode([pair for pair in pairs if not pair[0].startswith("X-Amz-")])


def is_in_time(given: Signature, now: float) -> bool:
    """Whether the date of a signature is near enough to `now` (seconds since the epoch), or it is valid until later."""
    try:
        date = timegm(time.strptime(given.date, _DATE))
    except ValueError:
        return False
    if given.date[:8] != given.day or given.expires > LONGEST:
        return False
    return -WINDOW <= now - date <= (given.expires or WINDOW)


def fits(given: Signature, secret: str, message: HttpMessage) -> bool:
    """Whether the signature was made with `secret` for this very request; compares in constant time."""
    if not _covers_enough(given):
        return False
    return hmac.compare_digest(_signature(given, secret, message).encode(), given.signature.encode())


def sign(scope: tuple[str, str, str], secret: str, message: HttpMessage) -> dict[str, str]:
    """The headers of a request with a date and a signature; `scope`: access key id, region, service."""
    key, region, service = scope
    date = time.strftime(_DATE, time.gmtime())
    headers = {**message.headers, "X-Amz-Date": date}
    signed = tuple(sorted(name.lower() for name in headers))
    unsigned = Signature(key, date[:8], region, service, signed, "", date)
    signature = _signature(unsigned, secret, message._replace(headers=headers))
    return headers | {"Authorization": replace(unsigned, signature=signature).authorization}


def port_signed_for(given: Signature, secret: str, message: HttpMessage, ports: Iterable[int]) -> int | None:
    """The first of these ports of this machine that the client has signed for, in place of the one in Host."""
    if not _covers_enough(given):
        return None
    mark = "\0"  # no header has it
    parts = _canonical(given, message._replace(headers={**message.headers, "Host": mark})).split(mark)
    if len(parts) != 2:  # noqa: PLR2004  # a header with that mark, or Host signed twice
        return None
    head, tail = parts
    signing_key = _signing_key(secret, given.day, given.region, given.service)
    prefix = f"{ALGORITHM}\n{given.date}\n{given.scope}\n"
    for name in ("127.0.0.1", "localhost"):
        begun = hashlib.sha256(f"{head}{name}:".encode())
        for port in ports:
            whole = begun.copy()
            whole.update(f"{port}{tail}".encode())
            text = prefix + whole.hexdigest()
            if hmac.digest(signing_key, text.encode(), "sha256").hex() == given.signature:
                return port
    return None


def _covers_enough(given: Signature) -> bool:
    return "host" in given.signed and bool(given.expires or "x-amz-date" in given.signed)


def _signature(given: Signature, secret: str, message: HttpMessage) -> str:
    digest = hashlib.sha256(_canonical(given, message).encode()).hexdigest()
    text = f"{ALGORITHM}\n{given.date}\n{given.scope}\n{digest}"
    signing_key = _signing_key(secret, given.day, given.region, given.service)
    return hmac.digest(signing_key, text.encode(), "sha256").hex()


def _canonical(given: Signature, message: HttpMessage) -> str:
    resource, _, query = message.path.partition("?")
    names = ";".join(given.signed)
    values = (message.headers.get(name.title(), "") for name in given.signed)
    lines = "".join(f"{name}:{' '.join(value.split())}\n" for name, value in zip(given.signed, values, strict=True))
    content = hashlib.sha256(message.body).hexdigest()
    return "\n".join((message.method, resource, _canonical_query(query), lines, names, content))


def _canonical_query(query: str) -> str:
    if not query:
        return ""
    pairs = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "X-Amz-Signature"]
    return "&".join(sorted(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs))


@functools.lru_cache(maxsize=1024)  # of one day: a key for each account, region and service
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
