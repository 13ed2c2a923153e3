"""A local AWS in this process, on a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from privatelink_lab.local.clock import Clock
from privatelink_lab.local.server import LocalAws

from .labs import Cloud, Lab, make_balancer, network


@pytest.fixture(autouse=True)
def no_aws_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No AWS_* of the machine, its profiles included, reaches a test."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """A fresh local AWS at AWS's own speed; time stands still until `wait`."""
    seconds = [0.0]
    with LocalAws(Clock(1, wall=lambda: seconds[0])) as aws, ExitStack() as stack:
        yield Cloud(aws, seconds, stack)


@pytest.fixture
def lab(cloud: Cloud) -> Lab:
    """A service in front of an empty balancer; no consumer yet."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2, "10.0.0.0/16")
    balancer = make_balancer(cloud.client("elbv2"), subnet)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True)
    return Lab(cloud, vpc, subnet, balancer, made["ServiceConfiguration"])
