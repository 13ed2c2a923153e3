"""One AWS account as one caller: its clients, and the calls through them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, cast

import boto3
import botocore.config

from privatelink_lab.aws.client_side_errors import unreadable_credentials
from privatelink_lab.aws.error_translation import refuse_stranger, translated
from privatelink_lab.errors import AwsError, LostAnswer, UsageError
from privatelink_lab.iam_actions import calls
from privatelink_lab.retry_classes import is_unsent

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

# Attempts are explicit because botocore's defaults differ between versions (AWS facts 9).
RETRIES: Any = {"mode": "standard", "total_max_attempts": 4}
ONCE: Any = {"mode": "standard", "total_max_attempts": 1}
# Without a token, a re-send after a lost answer makes a second resource, or is refused for its name (AWS facts 1).
SENT_ONCE = frozenset({"create_vpc", "create_subnet", "create_security_group", "create_vpc_endpoint"})
# The last one has a token, but its 503 lasts and its bucket is small: the loop sends it again, at its own pace.


@dataclass(frozen=True)
class Address:
    """An AWS that answers at its own URL with its own keys (the local server). Without one: AWS itself."""

    url: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class Silence:
    """Since when (`time.monotonic`) a service has given no usable answer, and the last error there."""

    since: float
    error: AwsError


class Account:
    """One AWS account in one region, as one caller: its clients, made when first used.

    Thread-safe. Every call through `ec2`, `elbv2`, `ssm`, `sts` or `pages` raises AwsError or AccountError only.
    """

    def __init__(self, session: boto3.Session, region: str, address: Address | None, role_arn: str | None) -> None:
        self.region = region
        self._session = session
        session.events.register("after-call", self._note_answer)
        self._address = address
        self._role_arn = role_arn
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, bool], Any] = {}
        self._silent: dict[tuple[str, str], Silence] = {}  # by service and URL, and the operation that failed
        self._identity: tuple[str, str] | None = None
        self._dated: tuple[datetime, float] | None = None  # the Date of the last answer, and when it came
        self.ec2 = cast("EC2Client", _TranslatingClient(self, "ec2"))
        self.elbv2 = cast("ElasticLoadBalancingv2Client", _TranslatingClient(self, "elbv2"))
        self.ssm = cast("SSMClient", _TranslatingClient(self, "ssm"))  # public parameters only
        self.sts = cast("STSClient", _TranslatingClient(self, "sts"))

    @property
    def _profile(self) -> str:
        name = self._session.profile_name
        return "" if self._address or name == "default" else name

    @property
    def endpoint(self) -> str:
        """The URL that EC2 is called at; '' for AWS's usual one."""
        url = str(self.client("ec2", once=False).meta.endpoint_url)
        return "" if re.fullmatch(r"https://ec2\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", url) else url

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

    def now(self) -> datetime:
        """The time by AWS: the Date of its last answer, plus what has passed since; this machine's clock has no part.

        Raises AwsError or AccountError if AWS has to be asked first, and does not answer.
        """
        if self._dated is None:
            self.sts.get_caller_identity()
        assert self._dated is not None  # noqa: S101 (every answer of AWS has a Date)
        date, came = self._dated
        return date + timedelta(seconds=time.monotonic() - came)

    def _note_answer(self, parsed: Mapping[str, Any], **_: object) -> None:
        refuse_stranger(parsed)
        date = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        with suppress(TypeError, ValueError):
            self._dated = (parsedate_to_datetime(date).astimezone(UTC), time.monotonic())

    @calls("ec2:DescribeRegions")
    def regions(self) -> list[str]:
        """The names of the Regions that the account can use. Raises AwsError, AccountError."""
        return sorted(row["RegionName"] for row in self.ec2.describe_regions()["Regions"])

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
        with self.heard(client, service, operation, request):
            pages: Iterable[dict[str, Any]] = client.get_paginator(operation).paginate(**request)
            return [row for page in pages for row in page.get(result) or ()]

    def put_tags(self, service: str, id_: str, named: Mapping[str, str]) -> None:
        """Give what has this id or ARN these tags; other tags stay."""
        pairs: list[Any] = [{"Key": name, "Value": value} for name, value in named.items()]
        if service == "elbv2":
            self.elbv2.add_tags(ResourceArns=[id_], Tags=pairs)
        else:
            self.ec2.create_tags(Resources=[id_], Tags=pairs)

    @contextmanager
    def heard(self, client: Any, service: str, operation: str, request: Mapping[str, Any]) -> Iterator[None]:
        """As `translated`; `silent` then has its service and URL if no usable answer came from there."""
        source, began = f"{service} at {client.meta.endpoint_url}", time.monotonic()
        try:
            with translated(service, operation, self.region, self._profile, request):
                yield
        except AwsError as error:
            if isinstance(error, LostAnswer) or is_unsent(error):
                error.source = source
                since = self._silent[source, operation].since if (source, operation) in self._silent else began
                self._silent[source, operation] = Silence(since, error)
            else:
                self._silent.pop((source, operation), None)
            raise
        self._silent.pop((source, operation), None)

    @property
    def silent(self) -> dict[str, Silence]:
        """By service and URL: the longest silence there. One operation can be silent while others are answered."""
        found: dict[str, Silence] = {}
        for (source, _), silence in list(self._silent.items()):
            if source not in found or silence.since < found[source].since:
                found[source] = silence
        return found

    def client(self, service: str, *, once: bool) -> Any:
        """The botocore client of `service`; with `once`, one that never sends a request twice."""
        with self._lock:
            if (service, once) not in self._clients:
                self._clients[service, once] = self._make_client(service, ONCE if once else RETRIES)
            return self._clients[service, once]

    def _make_client(self, service: str, retries: Any) -> Any:
        try:
            with translated(service, "create_client", self.region, self._profile):
                return self._session.client(
                    cast("Any", service),
                    region_name=self.region,
                    endpoint_url=self._address.url if self._address else None,
                    config=client_config(self._address, retries),
                )
        except ValueError as error:
            if "endpoint" not in str(error):  # a credential_process that shlex cannot read
                raise unreadable_credentials(error, self._profile) from None
            hint = "AWS_ENDPOINT_URL, or `endpoint_url` of the profile, looks like http://127.0.0.1:4566"
            raise UsageError(f"{error}.", hint=hint) from None


def client_config(address: Address | None, retries: Any) -> botocore.config.Config:
    """How every client talks: timeouts in seconds, explicit retries, no proxy to a local address.

    A service that hangs is an error within a minute. A call that must not be sent twice has one longer attempt.
    """
    timeout = 30 if retries is ONCE else 12
    proxies: Any = {"proxies": {}} if address else {}
    return botocore.config.Config(
        retries=retries,
        connect_timeout=5,
        read_timeout=timeout,
        max_pool_connections=16,
        user_agent_extra="plab",
        **proxies,
    )


class _TranslatingClient:
    """A client whose calls raise plab's errors, and which sends an unrepeatable create only once."""

    def __init__(self, account: Account, service: str) -> None:
        self._account = account
        self._service = service

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        client = self._account.client(self._service, once=operation in SENT_ONCE)
        method = getattr(client, operation)

        def call(**request: Any) -> Any:
            with self._account.heard(client, self._service, operation, request):
                return method(**request)

        return call
