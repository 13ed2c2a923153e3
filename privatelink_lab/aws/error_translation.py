"""AWS's refusals in plab's words: errors by code, and the failures inside a 200."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import botocore.exceptions
import botocore.parsers

from privatelink_lab.aws import hints
from privatelink_lab.aws.call_line import log_call
from privatelink_lab.aws.client_side_errors import RUN_AGAIN, client_side_error, unreadable_credentials
from privatelink_lab.errors import AccountError, AwsError, LostAnswer, PlabError

# What AWS says of credentials (AWS facts 10).
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN_KEYS = frozenset(
    {"InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException", "SignatureDoesNotMatch", "OptInRequired"}
)

NOTHING: Mapping[str, Any] = {}

log = logging.getLogger(__name__)


@contextmanager
def translated(
    service: str, operation: str, region: str = "", profile: str = "", request: Mapping[str, Any] = NOTHING
) -> Iterator[None]:
    """Raise what botocore raises inside as AwsError, LostAnswer or AccountError; log the call, with its request."""
    began = time.monotonic()
    name = _api_name(operation)
    try:
        with _translated(service, name, region, profile):
            yield
    except PlabError as error:
        refused = error.code if isinstance(error, AwsError) else type(error).__name__
        log_call(service, name, request, time.monotonic() - began, refused)
        raise
    log_call(service, name, request, time.monotonic() - began)


@contextmanager
def _translated(service: str, operation: str, region: str, profile: str) -> Iterator[None]:
    try:
        yield
    except botocore.exceptions.ClientError as error:
        raise _refused(service, region, error) from None
    except botocore.exceptions.BotoCoreError as error:
        raise client_side_error(operation, error, profile) from None
    except EOFError:  # botocore asks for a code of MFA, and nobody answers
        hint = "Run plab on a terminal, or use credentials that need no code, such as those of `aws sso login`."
        raise AccountError("The credentials need an MFA code, and there is no terminal to ask on.", hint=hint) from None
    except (OSError, json.JSONDecodeError) as error:  # of reading the credentials: botocore wraps all else
        raise unreadable_credentials(error, profile) from None
    except (botocore.parsers.ResponseParserError, KeyError):  # botocore's parser for ELBv2 raises KeyError
        text = "The answer cannot be read: it is cut short, or not from AWS"
        raise LostAnswer(text, code="ResponseParserError", operation=operation, hint=RUN_AGAIN) from None


def refuse_stranger(parsed: Mapping[str, Any], **_: object) -> None:
    """Raise ResponseParserError for a success without a request id: a page of something between us and AWS.

    botocore reads a page of well-formed HTML as an answer of EC2 without rows.
    """
    meta = parsed.get("ResponseMetadata", {})
    if meta.get("HTTPStatusCode") == HTTPStatus.OK and not meta.get("RequestId"):
        raise botocore.parsers.ResponseParserError("The answer has no request id")


def _api_name(operation: str) -> str:
    return "".join(part.capitalize() for part in operation.split("_"))


def _refused(service: str, region: str, error: botocore.exceptions.ClientError) -> AwsError | AccountError:
    answer, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, operation = answer.get("Code") or "Unknown", error.operation_name
    message, _, encoded = answer.get("Message", "").partition("Encoded authorization failure message:")
    message = message.strip()
    if encoded:
        log.debug("aws sts decode-authorization-message --encoded-message %s", encoded.strip())
    if not answer.get("Code"):  # a proxy's page
        text = f"The answer is not from AWS (HTTP {meta.get('HTTPStatusCode')})"
        return LostAnswer(text, code=code, operation=operation, hint=RUN_AGAIN)
    if meta.get("HTTPStatusCode", 0) >= HTTPStatus.INTERNAL_SERVER_ERROR and not _had_no_effect(code, meta):
        return LostAnswer(message.rstrip(".") or code, code=code, operation=operation, hint=RUN_AGAIN)
    if wrong := hints.clock_error(code, message, meta.get("HTTPHeaders", {})):
        text = f"{wrong}, so AWS refuses its signatures{_said(message)} ({code})."
        return AccountError(text, hint="Set the clock (`sudo timedatectl set-ntp true`) and run the command again.")
    if code in EXPIRED:
        text = f"The AWS credentials have expired{_said(message)} ({code})."
        return AccountError(text, hint="Renew them, e.g. `aws sso login`.")
    if code in UNKNOWN_KEYS:
        text = f"AWS does not know these credentials{_said(message)} ({code})."
        return AccountError(text, hint=hints.keys_hint(region))
    return AwsError(
        message.rstrip(".") or code,
        code=code,
        operation=operation,
        request_id=meta.get("RequestId"),
        status=meta.get("HTTPStatusCode", 0),
        hint=hints.next_step(code, message, service=service, operation=operation),
    )


def _said(message: str) -> str:
    return f": {message.strip().rstrip('.')}" if message.strip() else ""


def _had_no_effect(code: str, meta: Mapping[str, Any]) -> bool:
    """Whether a 5xx proves that nothing was done: 503 does (throttles, a fresh service), so do words about capacity.

    An assumption (AWS facts 9).
    """
    return meta.get("HTTPStatusCode") == HTTPStatus.SERVICE_UNAVAILABLE or code.startswith("Insufficient")


def unsuccessful(response: Mapping[str, Any], operation: str) -> dict[str, AwsError]:
    """The failures inside an HTTP 200, by resource id; empty when all went well.

    PrivateLink's bulk calls answer 200 and put refusals into `Unsuccessful` (AWS facts 1).
    """
    request_id = response.get("ResponseMetadata", {}).get("RequestId")
    failures = {}
    for item in response.get("Unsuccessful") or ():
        error = item.get("Error", {})
        code = error.get("Code", "Unknown")
        failures[item.get("ResourceId", "")] = AwsError(
            str(error.get("Message", code)).rstrip("."), code=code, operation=operation, request_id=request_id
        )
    return failures


def errors_by_id(ids: Iterable[str], call: Callable[[str], object]) -> dict[str, AwsError]:
    """`call(id)` for every id; the failures by id, so that one refusal does not stop the others."""
    failures = {}
    for id_ in ids:
        try:
            call(id_)
        except AwsError as error:
            failures[id_] = error
    return failures
