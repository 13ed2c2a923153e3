"""AgentClient without packets: the test sets console output, health check results, and ends of machines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privatelink_lab.local.network.agent_client import InstanceEnded, NoAgent
from privatelink_lab.local.network.plan import ListeningPort, NetworkPlan
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.local.traffic.build_plan import build_plan
from support.contract_aws import LocalCloud

SELF = "The test carries the packets itself."


class StandInTraffic(NoAgent):
    """No packets, but consoles, health and ends as a test sets them; `last_plan` is the last plan."""

    def __init__(self, why_not: str = SELF) -> None:
        super().__init__(why_not)
        self.writes: Callable[[str], bytes] = lambda machine: b""
        self.findings: dict[str, str] = {}
        self.endings: list[InstanceEnded] = []
        self.last_plan = NetworkPlan()

    def apply(self, network_plan: NetworkPlan) -> None:
        """Keep the plan for the test."""
        self.last_plan = network_plan

    def health(self, check: str) -> str:
        """The health that the test has set; healthy by default."""
        return self.findings.get(check, "healthy")

    def console(self, machine: str) -> bytes:
        """The console output that the test has set."""
        return self.writes(machine)

    def take_ended(self) -> list[InstanceEnded]:
        """The ends since the last call."""
        endings, self.endings = self.endings, []
        return endings


def stand_in(aws: LocalAws) -> StandInTraffic:
    """Replace the traffic of a local AWS; only `sync_once` moves it, no thread."""
    made = StandInTraffic()
    aws._world.traffic = made
    return made


def sync_once(aws: LocalAws) -> None:
    """Do what NetworkSync does in its thread where packets flow."""
    with aws._lock:
        aws._sync.sync_once()


def network_plan(aws: LocalAws) -> NetworkPlan:
    """The plan of the network of now."""
    with aws._lock:
        aws._sync.run_due()
        return build_plan(aws._world)


def endpoint_port(cloud: LocalCloud, endpoint: str, ec2: Any = None) -> ListeningPort:
    """The only port of an endpoint."""
    (found,) = (ec2 or cloud.client("ec2")).describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    (interface,) = found["NetworkInterfaceIds"]
    return network_plan(cloud.aws).ports[f"{interface} 80"]


def node_ports(cloud: LocalCloud, vpc: str) -> dict[str, ListeningPort]:
    """The ports of the load balancers in a VPC, by address."""
    return {port.address: port for port in network_plan(cloud.aws).ports.values() if port.vpc == vpc}
