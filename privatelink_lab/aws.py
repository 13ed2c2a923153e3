"""The one door to boto3: accounts, clients, error translation, and reading `Unsuccessful`.

Everything that leaves here speaks plab's errors; no other module imports boto3 or botocore.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.loaders
import botocore.parsers
import botocore.session

from privatelink_lab.errors import AccountError, AwsError, LostAnswer, UsageError

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# Attempts are explicit because botocore's defaults differ between versions (facts sheet section 7).
RETRIES: Any = {"mode": "standard", "total_max_attempts": 4}
ONCE: Any = {"mode": "standard", "total_max_attempts": 1}
# These take neither a token nor a unique name: a re-send after a lost answer makes a second resource.
SENT_ONCE = frozenset({"create_vpc", "create_subnet", "create_security_group"})

REGION = ("region", ["AWS_REGION", "AWS_DEFAULT_REGION"], None, None)  # as the AWS CLI; botocore knows the latter only
LOOK_AGAIN = "Run the command again: it looks first."

log = logging.getLogger(__name__)

EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
UNKNOWN_KEYS = frozenset(
    {"InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException", "SignatureDoesNotMatch"}
)
IAM_PREFIXES = {"elbv2": "elasticloadbalancing"}
DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True)
class Address:
    """An AWS that answers at its own URL with its own keys (the local server). Without one: AWS itself."""

    url: str
    access_key_id: str
    secret_access_key: str


_models = functools.cache(botocore.loaders.create_loader)  # one for all sessions: service models are read once


def _bare_session() -> botocore.session.Session:
    """A botocore session that reads neither AWS_PROFILE nor the shared files."""
    nothing: dict[str, Any] = {"profile": None, "config_file": "", "credentials_file": "", "ca_bundle": None}
    session = botocore.session.Session(session_vars={name: (None, [], value, None) for name, value in nothing.items()})
    session.register_component("data_loader", _models())
    return session


@functools.cache
def known_regions() -> tuple[str, ...]:
    """The names of all regions with EC2 that the installed botocore knows, in every partition."""
    session = _bare_session()
    partitions = session.get_available_partitions()
    return tuple(sorted({r for p in partitions for r in session.get_available_regions("ec2", p)}))


class Account:
    """One AWS account in one region, as one caller: its clients, made when first used.

    Thread-safe. Every call through `ec2`, `elbv2`, `ssm`, `sts` or `pages` raises AwsError or AccountError only.
    """

    def __init__(self, session: boto3.Session, region: str, address: Address | None, role_arn: str | None) -> None:
        self.region = region
        self._session = session
        self._address = address
        self._role_arn = role_arn
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, bool], Any] = {}
        self._identity: tuple[str, str] | None = None

    @property
    def ec2(self) -> EC2Client:
        """The EC2 client."""
        return cast("EC2Client", _Door(self, "ec2"))

    @property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        """The ELBv2 client."""
        return cast("ElasticLoadBalancingv2Client", _Door(self, "elbv2"))

    @property
    def ssm(self) -> SSMClient:
        """The SSM client (public parameters only)."""
        return cast("SSMClient", _Door(self, "ssm"))

    @property
    def sts(self) -> STSClient:
        """The STS client."""
        return cast("STSClient", _Door(self, "sts"))

    @property
    def id(self) -> str:
        """The account id, 12 digits. A role names it; otherwise STS is asked once."""
        return self._who()[0]

    @property
    def arn(self) -> str:
        """Who calls: the role to assume, or the caller's ARN."""
        return self._who()[1]

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`: the first part of this account's ARNs."""
        return self.arn.split(":")[1]

    def _who(self) -> tuple[str, str]:
        if self._role_arn:
            return self._role_arn.split(":")[4], self._role_arn
        with self._lock:
            if self._identity is None:
                who = self.sts.get_caller_identity()
                self._identity = (who["Account"], who["Arn"])
            return self._identity

    def pages(self, service: str, operation: str, result: str, **request: Any) -> list[dict[str, Any]]:
        """All rows under `result` of a describe, over all pages."""
        client = self.client(service, once=False)
        with _translated(service, operation):
            pages: Iterable[dict[str, Any]] = client.get_paginator(operation).paginate(**request)
            return [row for page in pages for row in page.get(result) or ()]

    def client(self, service: str, *, once: bool) -> Any:
        """The botocore client of `service`; with `once`, one that never sends a request twice."""
        with self._lock:
            if (service, once) not in self._clients:
                self._clients[service, once] = self._make_client(service, ONCE if once else RETRIES)
            return self._clients[service, once]

    def _make_client(self, service: str, retries: Any) -> Any:
        try:
            with _translated(service, "create_client"):
                return self._session.client(
                    cast("Any", service),
                    region_name=self.region,
                    endpoint_url=self._address.url if self._address else None,
                    config=_client_config(self._address, retries),
                )
        except ValueError as error:  # botocore on an endpoint URL that is none
            raise UsageError(f"{error}.", hint="Check AWS_ENDPOINT_URL: it looks like http://127.0.0.1:4566") from None


def _client_config(address: Address | None, retries: Any) -> botocore.config.Config:
    proxies: Any = {"proxies": {}} if address else {}
    return botocore.config.Config(
        retries=retries, connect_timeout=5, read_timeout=30, max_pool_connections=16, user_agent_extra="plab", **proxies
    )


class _Door:
    """A client whose calls raise plab's errors, and which sends an unrepeatable create only once."""

    def __init__(self, account: Account, service: str) -> None:
        self._account = account
        self._service = service

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        method = getattr(self._account.client(self._service, once=operation in SENT_ONCE), operation)

        def call(**request: Any) -> Any:
            with _translated(self._service, operation):
                return method(**request)

        return call


@contextmanager
def _translated(service: str, operation: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
        log.debug("%s %s %.0f ms", service, _api_name(operation), 1000 * (time.monotonic() - began))
    except botocore.exceptions.ClientError as error:
        raise _refused(service, error) from None
    except botocore.exceptions.BotoCoreError as error:
        raise _broken(_api_name(operation), error) from None
    except botocore.parsers.ResponseParserError as error:  # cut short, or a page of something between us and AWS
        text = "The answer cannot be read: it is cut short, or not from AWS"
        raise LostAnswer(text, code=type(error).__name__, operation=_api_name(operation), hint=LOOK_AGAIN) from None


def _api_name(operation: str) -> str:
    return "".join(part.capitalize() for part in operation.split("_"))


def _refused(service: str, error: botocore.exceptions.ClientError) -> AwsError | AccountError:
    answer, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code, operation = answer.get("Code") or "Unknown", error.operation_name
    message = re.sub(r"\s*Encoded authorization failure message:.*", "", answer.get("Message", ""), flags=re.DOTALL)
    if not answer.get("Code"):  # a proxy's page
        text = f"The answer is not from AWS (HTTP {meta.get('HTTPStatusCode')})"
        return LostAnswer(text, code=code, operation=operation, hint=LOOK_AGAIN)
    if code in EXPIRED:
        return AccountError(f"The AWS credentials have expired ({code}).", hint="Renew them, e.g. `aws sso login`.")
    if code in UNKNOWN_KEYS:
        return AccountError(
            f"AWS does not know these credentials ({code}).", hint="Check `aws sts get-caller-identity`."
        )
    hint = ""
    if code in DENIED:
        prefix = "sts" if operation == "AssumeRole" else IAM_PREFIXES.get(service, service)  # any call may assume first
        hint = f"Allow the action {prefix}:{operation} to this caller; README lists every action that plab needs."
    return AwsError(
        message.rstrip(".") or code,
        code=code,
        operation=operation,
        request_id=meta.get("RequestId"),
        status=meta.get("HTTPStatusCode", 0),
        hint=hint,
    )


_NO_CREDENTIALS = (
    botocore.exceptions.NoCredentialsError,
    botocore.exceptions.PartialCredentialsError,
    botocore.exceptions.CredentialRetrievalError,
    botocore.exceptions.TokenRetrievalError,
    botocore.exceptions.SSOError,
    botocore.exceptions.ProfileNotFound,
    botocore.exceptions.InvalidConfigError,
    botocore.exceptions.ConfigParseError,
)
# The connection was never made, so the call had no effect.
_NOT_SENT = (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectTimeoutError)


def _broken(operation: str, error: botocore.exceptions.BotoCoreError) -> AwsError | AccountError:
    text = str(error).rstrip(".")
    if isinstance(error, _NO_CREDENTIALS):
        hint = "Set AWS_PROFILE, or a profile in the config, or log in (`aws configure`, `aws sso login`)."
        return AccountError(f"There are no usable AWS credentials: {text}.", hint=hint)
    kind = type(error).__name__
    if isinstance(error, _NOT_SENT):
        return AwsError(text, code=kind, operation=operation, hint="Check the network and AWS_ENDPOINT_URL.")
    if isinstance(error, botocore.exceptions.HTTPClientError):
        return LostAnswer(text, code=kind, operation=operation, hint=LOOK_AGAIN)
    return AwsError(text, code=kind, operation=operation)


def unsuccessful(response: Mapping[str, Any], operation: str) -> dict[str, AwsError]:
    """The failures inside an HTTP 200, by resource id; empty when all went well.

    PrivateLink's bulk calls answer 200 and put refusals into `Unsuccessful` (facts sheet section 0.5).
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


def raise_unsuccessful(response: Mapping[str, Any], operation: str) -> None:
    """Raise the first failure inside an HTTP 200, if there is one."""
    for failure in unsuccessful(response, operation).values():
        raise failure


def each(ids: Iterable[str], call: Callable[[str], object]) -> dict[str, AwsError]:
    """`call(id)` for every id; the failures by id, so that one refusal does not stop the others."""
    failures = {}
    for id_ in ids:
        try:
            call(id_)
        except AwsError as error:
            failures[id_] = error
    return failures


def connect(
    *, profile: str | None, role_arn: str | None, region: str | None, address: Address | None = None
) -> Account:
    """The account that these credentials reach; no call goes out before the account is used.

    With an `address`, the environment's profiles, proxies and CA bundles do not count, and a profile stands for an
    account of its own there. Raises AccountError (unknown profile) or UsageError (no region).
    """
    if address and profile and not role_arn:
        role_arn = _account_for(profile)
    session = _session(profile, address)
    region = region or (session.get_config_variable("region") if not address else "us-east-1")
    if not region:
        hint = "Put `region:` into the config, or set AWS_REGION."
        raise UsageError("There is no AWS region.", hint=hint)
    if role_arn:
        _assume(session, role_arn, region, address)
    return Account(boto3.Session(botocore_session=session), region, address, role_arn)


def _session(profile: str | None, address: Address | None) -> botocore.session.Session:
    if address:
        session = _bare_session()
        session.set_credentials(address.access_key_id, address.secret_access_key)
        return session
    with _translated("session", "load_profile"):
        session = botocore.session.Session(session_vars={"region": REGION}, profile=profile)
        session.register_component("data_loader", _models(session.get_config_variable("data_path")))
        session.get_scoped_config()  # an unknown profile is said now, not at the first call
        return session


def _account_for(profile: str) -> str:
    digits = int(hashlib.sha256(profile.encode()).hexdigest(), 16) % 10**11
    name = re.sub(r"[^\w+=,.@-]", "-", profile)
    return f"arn:aws:iam::2{digits:011d}:role/{name}"


def _assume(session: botocore.session.Session, role_arn: str, region: str, address: Address | None) -> None:
    """Replace the session's credentials by those of the role, fetched at the first call and renewed in time."""
    with _translated("sts", "assume_role"):
        credentials = session.get_credentials()
    if credentials is None:
        raise _broken("AssumeRole", botocore.exceptions.NoCredentialsError())
    create_sts = functools.partial(
        session.create_client,
        region_name=region,
        endpoint_url=address.url if address else None,
        config=_client_config(address, RETRIES),
    )
    fetcher = botocore.credentials.AssumeRoleCredentialFetcher(
        create_sts, credentials, role_arn, extra_args={"RoleSessionName": "plab"}
    )
    # botocore has no public setter for renewable credentials; its own assume-role provider does the same.
    cast("Any", session)._credentials = botocore.credentials.DeferredRefreshableCredentials(  # noqa: SLF001
        fetcher.fetch_credentials, "assume-role"
    )
