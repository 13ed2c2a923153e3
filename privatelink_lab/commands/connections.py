"""`plab connections`: which endpoints are connected to the service."""

from __future__ import annotations

from privatelink_lab.commands import Options, accept_reject, json_report
from privatelink_lab.commands.run_command import Execution

COLUMNS = ("endpoint", "owner", "state", "consumer", "region", "since")


def connections(options: Options) -> int:
    """List the connections; see `plab connections --help`."""
    with Execution(options) as execution:
        data = json_report.connections(accept_reject.connections(execution.lab))
        rows = data["connections"]
        if options.json:
            execution.screen.data(data)
        elif not rows:
            execution.screen.say("There are no connections.")
        else:
            cells = ([str(row[column] or "-") for column in COLUMNS] for row in rows)
            heads = ["MADE" if column == "since" else column.upper() for column in COLUMNS]
            execution.screen.table(heads, cells)
        return 0
