"""`plab connections`: which endpoints are connected to the service."""

from __future__ import annotations

from privatelink_lab import engine
from privatelink_lab.commands import Options, accept_reject, json_report
from privatelink_lab.commands.run_command import Execution
from privatelink_lab.steps import STEPS

COLUMNS = ("endpoint", "owner", "state", "consumer", "region", "since")


def connections(options: Options) -> int:
    """List the connections; see `plab connections --help`."""
    with Execution(options) as execution:
        snapshot = engine.take_snapshot(execution.lab, engine.planned(execution.lab, STEPS))
        data = json_report.connections(accept_reject.in_snapshot(execution.lab, snapshot), snapshot)
        rows = data["connections"]
        if options.json:
            execution.screen.data(data)
        elif not rows:
            execution.screen.say("There are no connections.")
        else:
            cells = ([str(row[column] or "-") for column in COLUMNS] for row in rows)
            heads = ["MADE" if column == "since" else column.upper() for column in COLUMNS]
            execution.screen.table(heads, cells, optional=("MADE", "REGION"))
        if not options.json and data["service_name"]:
            execution.screen.out(f"service: {data['service_name']}")
            for row in rows:
                if row["dns_name"]:
                    execution.screen.out(f"{row['consumer']}: {row['dns_name']}")
        return 0
