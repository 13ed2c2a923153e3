"""One agent for all tests of a worker. Without namespaces the tests are skipped; with --traffic they fail then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.planned_network import PlannedNetwork

from privatelink_lab.local.network.agent_client import AgentClient, NoAgent


@pytest.fixture(scope="session")
def agent(request: pytest.FixtureRequest) -> Iterator[AgentClient]:
    """The agent, which is ready."""
    found = AgentClient().wait()
    if isinstance(found, NoAgent):
        (pytest.fail if request.config.getoption("--traffic") else pytest.skip)(found.why_not)
    yield found
    found.stop()


@pytest.fixture
def network(agent: AgentClient) -> PlannedNetwork:
    """An empty plan for a provider and consumers with the same addresses."""
    return PlannedNetwork(agent)
