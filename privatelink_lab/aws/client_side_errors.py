"""Failures on our side of the wire: no credentials, no connection, or no answer, and what to do about each."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import botocore.exceptions

from privatelink_lab.errors import AccountError, AwsError, LostAnswer

RUN_AGAIN = "Run the command again: it reads AWS first."
# The connection was never made, so the call had no effect.
NOT_SENT = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError)
_SSO = (
    botocore.exceptions.SSOError,
    botocore.exceptions.TokenRetrievalError,
)
_WRONG_CONFIG = (
    botocore.exceptions.InvalidConfigError,
    botocore.exceptions.ConfigParseError,
    botocore.exceptions.InfiniteLoopConfigError,
    botocore.exceptions.PartialCredentialsError,
)
_NO_CREDENTIALS = (
    *_SSO,
    *_WRONG_CONFIG,
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.ProfileNotFound,
)
_BUNDLES = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


def client_side_error(
    operation: str, error: botocore.exceptions.BotoCoreError, profile: str = ""
) -> AwsError | AccountError:
    """What botocore raised without an answer of AWS, in plab's words; `profile` is the one that was used."""
    text = " ".join(str(error).split()).rstrip(".")  # a credential_process may write lines
    if isinstance(error, _NO_CREDENTIALS):
        return AccountError(f"There are no usable AWS credentials: {text}.", hint=_credentials_step(error, profile))
    kind = type(error).__name__
    if isinstance(error, botocore.exceptions.SSLError):
        return AwsError(text, code=kind, operation=operation, hint=_tls_step(text))
    if isinstance(error, botocore.exceptions.ProxyConnectionError):
        return AwsError(text, code=kind, operation=operation, hint=_proxy_step(text))
    if isinstance(error, NOT_SENT):
        return AwsError(text, code=kind, operation=operation, hint=_connection_step(text))
    if isinstance(error, botocore.exceptions.HTTPClientError):
        return LostAnswer(text, code=kind, operation=operation, hint=RUN_AGAIN)
    return AwsError(text, code=kind, operation=operation)


def unreadable_credentials(error: OSError | ValueError, profile: str = "") -> AccountError:
    """What reading the credentials raised: a missing program or token file, or a program that prints no JSON."""
    whose = f"the profile {profile!r}" if profile else "the default profile"
    if isinstance(error, OSError):
        text = f"{error.filename or 'A file'}, which the credentials need, cannot be used: {error.strerror}."
        variable = next((name for name, value in os.environ.items() if value == error.filename), "")
        return AccountError(text, hint=f"Correct {variable or _config_file()}.")
    if isinstance(error, json.JSONDecodeError):
        text = f"The `credential_process` of {whose} printed no JSON."
        return AccountError(text, hint="Run that program by hand, and see what it prints.")
    return AccountError(
        f"The `credential_process` of {whose} is no command: {error}.", hint=f"Correct {_config_file()}."
    )


def _config_file() -> str:
    return os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")


def _credentials_step(error: botocore.exceptions.BotoCoreError, profile: str) -> str:
    if isinstance(error, _SSO):
        return f"aws sso login --profile {profile}" if profile else "aws sso login"
    if isinstance(error, botocore.exceptions.ProfileNotFound):
        return "`aws configure list-profiles` shows the names."
    if isinstance(error, botocore.exceptions.CredentialRetrievalError) and "custom-process" in str(error):
        return "Run the `credential_process` of the profile by hand, and see what it prints."
    if isinstance(error, _WRONG_CONFIG):
        return f"Correct {_config_file()}."
    return (
        "Set AWS_PROFILE, or a profile in the config, or log in (`aws configure`, `aws sso login`). "
        "Without an account: plab up --local"
    )


def _tls_step(text: str) -> str:
    """By the certificates that are trusted: those of a variable, or the usual ones."""
    name = next((name for name in _BUNDLES if os.environ.get(name)), "")
    if name and not Path(os.environ[name]).exists():
        return f"{name} names {os.environ[name]}, which does not exist."
    if name and re.search(r"(?i)no.certificate.or.crl.found", text):
        return f"{name} names {os.environ[name]}, which has no certificate."
    if name:
        text = f"The certificate of what answers is not in {os.environ[name]} ({name})."
        return f"{text} If a proxy of your network opens TLS, set AWS_CA_BUNDLE to a file with its certificate too."
    return "If a proxy of your network opens TLS, set AWS_CA_BUNDLE to a file with its certificate."


def _proxy_step(text: str) -> str:
    url = re.search(r'"([^"]+)"', text)
    names = [name for name in _PROXIES if url and url[1] in os.environ.get(name, "")]
    if not names:
        return "Check HTTPS_PROXY, HTTP_PROXY and NO_PROXY."
    return f"{' and '.join(names)} names that proxy: unset it, or put the host of AWS into NO_PROXY."


def _connection_step(text: str) -> str:
    """By what named the URL."""
    names = [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL") and os.environ[name] in text]
    if names and "http://127.0.0.1:" in text:
        return f"{names[0]} names a local AWS that has stopped: unset {names[0]} AWS_ACCESS_KEY_ID"
    if names:
        return f"{names[0]} names that URL. Check it, and the network."
    if "http://127.0.0.1:" in text:
        return f"A local AWS has stopped (plab local status), or `endpoint_url` in {_config_file()} names that URL."
    if "-fips." in text:
        return "It is a FIPS endpoint (AWS_USE_FIPS_ENDPOINT or `use_fips_endpoint`); not every Region has one."
    if not re.search(r"\.amazonaws\.com(\.cn)?[/:\"]|\.api\.aws[/:\"]", text):
        return f"`endpoint_url` in {_config_file()} names that URL. Check it, and the network."
    return "Check the network."
