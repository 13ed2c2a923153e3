"""The AWS of a contract test: the local one in this process, plain moto (--moto), or the real one (--aws)."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from privatelink_lab.local.api.clock import AwsClock
from support.delete_leftovers import Leftovers
from support.inventory import InventoriedAws

CONSUMER = "222233334444"
REGION = "us-east-1"
STEP = 5.0  # seconds between two calls
AMI = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


@dataclass
class ContractCloud:
    """An AWS, and clients that are closed at the end of the test."""

    stack: ExitStack = field(default_factory=ExitStack)
    clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stack.close()

    @property
    def endpoint_url(self) -> str | None:
        """Its address; None for the real AWS."""
        return None

    @property
    def own_key(self) -> str:
        """A key that is different for every life of this AWS."""
        return ""

    def keys(self) -> dict[str, str]:
        """Its user's keys, as boto3 names them; empty for the machine's own."""
        return {}

    def role(self) -> str:
        """A role in another account."""
        return f"arn:aws:iam::{CONSUMER}:role/lab"

    def wait(self, seconds: float) -> None:
        """Let that many seconds of AWS time pass."""

    def until(self, read: Callable[[], Any], *wanted: Any, within: float = 900) -> Any:
        """Call `read` until it returns one of `wanted`; fails after `within` seconds of AWS time."""
        for _ in range(int(within / STEP)):
            if (seen := read()) in wanted:
                return seen
            self.wait(STEP)
        pytest.fail(f"still {read()} after {within} s, not {wanted}")

    @property
    def account(self) -> str:
        """The provider's account id."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def consumer(self) -> str:
        """The other account's id."""
        return self.role().split(":")[4]

    @property
    def ami(self) -> str:
        """The Amazon Linux image of today."""
        return str(self.client("ssm").get_parameter(Name=AMI)["Parameter"]["Value"])

    def client(self, service: str, account: str = "", region: str = REGION) -> Any:
        """A boto3 client of its user, or of another account's role (`account` says any but ""); made once."""
        which = (service, account, region, self.own_key)
        if which not in self.clients:
            self.clients[which] = self._connect(service, account, region)
        return self.clients[which]

    def _connect(self, service: str, account: str, region: str) -> Any:
        keys: dict[str, Any] = self.assume(self._role_in(account)) if account else self.keys()
        config = Config(retries={"total_max_attempts": 1})
        session: Any = boto3  # its stubs want the service's name as a literal
        client = session.client(service, endpoint_url=self.endpoint_url, region_name=region, config=config, **keys)
        self.stack.callback(client.close)
        return client

    def _role_in(self, account: str) -> str:
        return f"arn:aws:iam::{account}:role/lab"

    def assume(self, role: str) -> dict[str, str]:
        """Keys of a role, from AssumeRole."""
        given = self.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }


@dataclass
class LocalCloud(ContractCloud):
    """The local AWS; its clock stands still until `wait`."""

    aws: InventoriedAws = field(kw_only=True)
    seconds: list[float] = field(default_factory=lambda: [0.0])

    @property
    def endpoint_url(self) -> str:
        """Its address."""
        return self.aws.url

    @property
    def own_key(self) -> str:
        """The access key id: a new start has a new one."""
        return self.aws.access_key_id

    def wait(self, seconds: float) -> None:
        """Move the clock."""
        self.seconds[0] += seconds

    def keys(self) -> dict[str, str]:
        """The server's own keys."""
        return {
            "aws_access_key_id": self.aws.access_key_id,
            "aws_secret_access_key": self.aws.secret_access_key,
        }


@dataclass
class MotoCloud(ContractCloud):
    """Plain moto: the contract tests must fail on it, otherwise they prove nothing."""

    def __enter__(self) -> Self:
        self.stack.enter_context(mock_aws())
        return self


@dataclass
class RealCloud(ContractCloud):
    """AWS, with the machine's credentials; PLAB_CONTRACT_ROLE_ARN is a role in a second account.

    What a test makes is deleted after it. Calls are slowed down, since new ids are not visible at
    once.
    """

    leftovers: Leftovers = field(default_factory=Leftovers)

    def __exit__(self, *exc: object) -> None:
        self.leftovers.delete()
        super().__exit__(*exc)

    def role(self) -> str:
        """The second account's role; skips the test where none is given."""
        if "PLAB_CONTRACT_ROLE_ARN" not in os.environ:
            pytest.skip("PLAB_CONTRACT_ROLE_ARN names no role in a second account")
        return os.environ["PLAB_CONTRACT_ROLE_ARN"]

    def _role_in(self, account: str) -> str:
        return self.role()

    def wait(self, seconds: float) -> None:
        """Wait."""
        self.leftovers.clock.sleep(seconds)

    def _connect(self, service: str, account: str, region: str) -> Any:
        client = super()._connect(service, account, region)
        self.leftovers.watch(client)
        return client


class PunctualClock(AwsClock):
    """A clock at AWS's own speed, without the delays of new resources."""

    def delay(self, name: str) -> float:
        """AWS's delay; 0 until new resources are visible and ready."""
        return 0.0 if name in {"id_visible", "service_ready", "connection_listed"} else super().delay(name)
