"""Which requests the local AWS accepts. It runs user data, so only the user who started it may call it.

A web page can POST a form to 127.0.0.1, and EC2's protocol is a form. Therefore every request needs the signature of a
random key, requests of browsers are refused, and so are other host names (DNS rebinding).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from hmac import compare_digest

from privatelink_lab.local.api.responses import Refusal
from privatelink_lab.local.server.keys import Keys
from privatelink_lab.local.sigv4 import HttpMessage, Signature, fits, is_in_time, port_signed_for

MOST_SEARCHES, SEARCH_PERIOD = 8, 10.0  # searches for the port of a proxy in so many seconds
MOST_PORTS = 16  # of proxies that are remembered

_BROWSER = "Requests of web pages are refused."
_INVALID = "The security token included in the request is invalid."
_UNVALIDATED = Refusal(401, "AuthFailure", "AWS was not able to validate the provided access credentials")
_UNKNOWN = {"ec2": _UNVALIDATED, "ssm": Refusal(400, "UnrecognizedClientException", _INVALID)}
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method."
)
_WRONG = {"ec2": _UNVALIDATED, "ssm": Refusal(400, "InvalidSignatureException", _MISMATCH)}


def refuse_other_origin(headers: Mapping[str, str], port: int) -> Refusal | None:
    """403 for a browser, or for a Host that is not the loopback interface of this machine; else None."""
    if "Origin" in headers or headers.get("Sec-Fetch-Site", "none") != "none":
        return Refusal(403, "AccessDenied", _BROWSER)
    if headers.get("Host", "") not in {f"127.0.0.1:{port}", f"localhost:{port}"}:
        return Refusal(403, "AccessDenied", "The Host header does not name this server.")
    return None


class ProxyPorts:
    """The ports of proxies that the user runs on this machine, such as a recorder of calls.

    Such a proxy names this server in Host, and its client has signed for the proxy. Which port that was is searched: a
    fifth of a second for all ports, so not often.
    """

    def __init__(self) -> None:
        self._found: list[int] = []
        self._searches: list[float] = []  # the moments of the last ones

    def fit(self, given: Signature, secret: str, message: HttpMessage) -> bool:
        """Whether the request was signed for such a port."""
        if port_signed_for(given, secret, message, self._found) is not None:
            return True
        now = time.monotonic()
        self._searches = [moment for moment in self._searches if now - moment < SEARCH_PERIOD]
        if len(self._searches) >= MOST_SEARCHES:
            return False
        self._searches.append(now)
        port = port_signed_for(given, secret, message, range(1024, 65536))
        if port is not None:
            self._found = [port, *self._found[: MOST_PORTS - 1]]
        return port is not None


def refuse_signature(message: HttpMessage, given: Signature | None, keys: Keys, proxies: ProxyPorts) -> Refusal | None:
    """A refusal in the words of the service for a request that none of the keys has signed, now; else None."""
    if given is None:
        text = "The request carries no AWS Signature Version 4."
        return Refusal(403, "MissingAuthenticationToken", text)
    key, now = keys.find(given.key), _now()
    if key is None:
        return _UNKNOWN.get(given.service, Refusal(403, "InvalidClientTokenId", _INVALID))
    if not is_in_time(given, now) or key.has_ended():
        return _old(given, now)
    is_token = compare_digest(given.token.encode(), key.token.encode())
    if not (is_token and (fits(given, key.secret, message) or proxies.fit(given, key.secret, message))):
        return _WRONG.get(given.service, Refusal(403, "SignatureDoesNotMatch", _MISMATCH))
    return None


def _now() -> float:
    """Seconds since the epoch, on the machine's clock: a signature is not of AWS's faster time."""
    return time.time()


def _old(given: Signature, now: float) -> Refusal:
    if given.service == "ec2":
        return Refusal(400, "RequestExpired", "Request has expired.")
    here = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    text = f"Signature expired: {given.date} is now earlier than {here} - 5 min."
    code = "InvalidSignatureException" if given.service == "ssm" else "SignatureDoesNotMatch"
    return Refusal(400 if given.service == "ssm" else 403, code, text)
