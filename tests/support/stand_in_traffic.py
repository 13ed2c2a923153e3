"""Traffic that a test carries itself: it says what machines write, how their checks end, and who shuts down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privatelink_lab.local.network.link import Ended, NoTraffic
from privatelink_lab.local.network.picture import Door, Picture
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.local.traffic.plan import build_plan
from support.contract_clouds import LocalCloud

SELF = "The test carries the packets itself."


class StandInTraffic(NoTraffic):
    """No packets, but consoles, verdicts and endings as a test wants them; `shown` is the last picture."""

    def __init__(self, why_not: str = SELF) -> None:
        super().__init__(why_not)
        self.writes: Callable[[str], bytes] = lambda machine: b""
        self.findings: dict[str, str] = {}
        self.endings: list[Ended] = []
        self.shown = Picture()

    def show(self, network_plan: Picture) -> None:
        """Kept for the test to look at."""
        self.shown = network_plan

    def health(self, check: str) -> str:
        """Healthy, unless the test has said otherwise."""
        return self.findings.get(check, "healthy")

    def console(self, machine: str) -> bytes:
        """What the test lets the machine write."""
        return self.writes(machine)

    def ended(self) -> list[Ended]:
        """The endings since the last look."""
        endings, self.endings = self.endings, []
        return endings


def stand_in(aws: LocalAws) -> StandInTraffic:
    """The traffic of that AWS from now on; `follow` moves it, no thread does."""
    made = StandInTraffic()
    aws._world.traffic = made
    return made


def follow(aws: LocalAws) -> None:
    """What the ticker does by itself where packets flow."""
    with aws._lock:
        aws._sync.sync_once()


def network_plan(aws: LocalAws) -> Picture:
    """What the network is asked to be now."""
    with aws._lock:
        aws._sync.run_due()
        return build_plan(aws._world)


def endpoint_port(cloud: LocalCloud, endpoint: str, ec2: Any = None) -> Door:
    """The only door of an endpoint."""
    (found,) = (ec2 or cloud.client("ec2")).describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    (interface,) = found["NetworkInterfaceIds"]
    return network_plan(cloud.aws).doors[f"{interface} 80"]


def node_ports(cloud: LocalCloud, vpc: str) -> dict[str, Door]:
    """The doors of the balancers of a VPC, by address."""
    return {port.address: port for port in network_plan(cloud.aws).doors.values() if port.vpc == vpc}
