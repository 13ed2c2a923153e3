"""One carrier for the tests of a worker; where the system allows none, they are skipped, or fail with --traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.planned_network import Scene

from privatelink_lab.local.network.agent_client import NoTraffic, Traffic


@pytest.fixture(scope="session")
def traffic(request: pytest.FixtureRequest) -> Iterator[Traffic]:
    """The network."""
    found = Traffic().wait()
    if isinstance(found, NoTraffic):
        (pytest.fail if request.config.getoption("--traffic") else pytest.skip)(found.why_not)
    yield found
    found.stop()


@pytest.fixture
def scene(traffic: Traffic) -> Scene:
    """A provider and a consumer with the same addresses, and nobody in them yet."""
    return Scene(traffic)
