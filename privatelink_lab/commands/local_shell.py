"""`plab local shell`: a shell inside a VPC of the local AWS."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab import engine
from privatelink_lab.commands import Options, json_report
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.config import PROVIDER
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.local import control_client, launch
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._existing import port
from privatelink_lab.steps._vpc import subnet_ids
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.endpoint_service import KEY as SERVICE

NO_ICMP = "PrivateLink carries TCP and no ICMP, so ping gets no answer."
TRY = " Try: curl http://$ENDPOINT:{}/"


def shell(options: Options, *, party: str, words: Sequence[str]) -> int:
    """Become a shell, or the command of these words, in a party's first subnet. It does not return."""
    with Execution(options) as execution:
        lab = execution.lab
        if not lab.names(party):
            known = ", ".join([PROVIDER, *(consumer.name for consumer in lab.config.consumers)])
            raise UsageError(f"The lab has no {party!r}.", hint=f"One of: {known}")
        snapshot = engine.take_snapshot(lab, engine.planned(lab, STEPS))
        subnets = subnet_ids(lab, snapshot, party)
        if not subnets:
            raise PlabError(f"{party} has no subnet yet.", hint="plab up --local")
        assert execution.session.server is not None  # noqa: S101  # Options say local=True, so that there is a server, or NoLab was raised
        process = launch.process_in(control_client.visit(execution.session.server, subnets[0]))
        names = {
            "SERVICE": json_report.shown(snapshot, SERVICE, "service_name"),
            "ENDPOINT": json_report.shown(snapshot, endpoint_key(party), "dns_name"),
        }
        if not words:
            execution.screen.warn(NO_ICMP + (TRY.format(port(lab)) if names["ENDPOINT"] else ""))
    launch.enter(process, words, {name: value for name, value in names.items() if value})
