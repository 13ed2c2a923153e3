"""A local AWS in this process, on a clock that only the test moves; or the AWS that the command line selects."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.aws_resources import ServiceLab, active_balancer, network
from support.contract_aws import ContractCloud, LocalCloud, MotoCloud, PunctualClock, RealCloud
from support.inventory import InventoriedAws


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --aws or --moto only contract tests run; on plain moto they must fail, otherwise they prove nothing."""
    moto = config.getoption("--moto")
    for item in items:
        contract = item.get_closest_marker("contract")
        if contract is None and (moto or config.getoption("--aws")):
            item.add_marker(pytest.mark.skip(reason="no contract test"))
        elif contract and moto and not contract.kwargs.get("moto_too"):
            item.add_marker(pytest.mark.xfail(strict=True, reason="moto does otherwise"))


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Iterator[ContractCloud]:
    """A fresh local AWS at AWS's own speed; time stands still until `wait`."""
    if request.config.getoption("--aws"):
        with RealCloud() as real:
            yield real
    elif request.config.getoption("--moto"):
        with MotoCloud() as moto:
            yield moto
    else:
        seconds = [0.0]
        with (
            InventoriedAws(PunctualClock(1, wall=lambda: seconds[0])) as aws,
            LocalCloud(aws=aws, seconds=seconds) as local,
        ):
            yield local


@pytest.fixture
def lab(cloud: ContractCloud) -> ServiceLab:
    """A service with an empty load balancer; no consumer yet."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2)
    balancer = active_balancer(cloud, subnet)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer], AcceptanceRequired=True)
    return ServiceLab(cloud, vpc, subnet, balancer, made["ServiceConfiguration"])
