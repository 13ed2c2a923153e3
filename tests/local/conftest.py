"""A local AWS in this process, on a clock that only the test moves; or the one that the command line asks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.server.local_aws import LocalAws

from .clouds import Cloud, LocalCloud, MotoCloud, RealCloud
from .labs import Lab, active_balancer, network


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --aws or --moto only contract tests run; on plain moto each must fail, or it would prove nothing."""
    moto = config.getoption("--moto")
    for item in items:
        contract = item.get_closest_marker("contract")
        if contract is None and (moto or config.getoption("--aws")):
            item.add_marker(pytest.mark.skip(reason="no contract test"))
        elif contract and moto and not contract.kwargs.get("moto_too"):
            item.add_marker(pytest.mark.xfail(strict=True, reason="moto does otherwise"))


class Punctual(AwsClock):
    """AWS's own pace, but for what tests of something else would only stumble over."""

    def delay(self, name: str) -> float:
        """As AWS's; new things are seen and ready at once."""
        return 0.0 if name in {"id_visible", "service_ready", "connection_listed"} else super().delay(name)


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """A fresh local AWS at AWS's own speed; time stands still until `wait`."""
    if request.config.getoption("--aws"):
        with RealCloud() as real:
            yield real
    elif request.config.getoption("--moto"):
        with MotoCloud() as moto:
            yield moto
    else:
        seconds = [0.0]
        with LocalAws(Punctual(1, wall=lambda: seconds[0])) as aws, LocalCloud(aws=aws, seconds=seconds) as local:
            yield local


@pytest.fixture
def lab(cloud: Cloud) -> Lab:
    """A service in front of an empty balancer; no consumer yet."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2)
    balancer = active_balancer(cloud, subnet)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True)
    return Lab(cloud, vpc, subnet, balancer, made["ServiceConfiguration"])
