"""Which requests the local AWS accepts. It runs user data, so only the user who started it may call it.

A web page can POST a form to 127.0.0.1, and EC2's protocol is a form. Therefore every request needs
a random key, requests of browsers are refused, and so are other host names (DNS rebinding).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

from privatelink_lab.local.api.responses import Refusal

_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[A-Za-z0-9]{16,128})"
    r"/\d{8}/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)/aws4_request(,|$)"
)
_BROWSER = "Requests of web pages are refused."


@dataclass(frozen=True)
class Scope:
    """The scope in a SigV4 Authorization header: access key id, region, service."""

    key: str = ""
    region: str = ""
    service: str = ""


def read_scope(headers: Mapping[str, str]) -> Scope | None:
    """The scope of a request; None without a well-formed SigV4 Authorization header."""
    found = _SCOPE.match(headers.get("Authorization", ""))
    return Scope(**found.groupdict()) if found else None


def refuse_other_origin(headers: Mapping[str, str], port: int) -> Refusal | None:
    """403 for a browser, or for a Host that is not the loopback interface of this machine; else None."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        return Refusal(403, "AccessDenied", _BROWSER)
    if headers.get("Host", "") not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        return Refusal(403, "AccessDenied", "The Host header does not name this server.")
    return None


def refuse_unknown_key(scope: Scope, keys: Iterable[str]) -> Refusal | None:
    """403 for an empty scope, or for a key that is not in `keys`, with the error code of the service; else None.

    Keys are compared in constant time.
    """
    if not scope.key:
        text = "The request carries no AWS Signature Version 4 Authorization header."
        return Refusal(403, "MissingAuthenticationToken", text)
    given = scope.key.encode()
    if any([compare_digest(given, key.encode()) for key in keys]):  # noqa: C419  # all, always
        return None
    codes = {"ec2": "AuthFailure", "ssm": "UnrecognizedClientException"}
    code = codes.get(scope.service, "InvalidClientTokenId")
    return Refusal(403, code, "The access key id is not one of this local AWS.")
