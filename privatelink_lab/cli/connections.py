"""The options of `plab connections`."""

import click

from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("connections")
@lab_options("connections")
def connections(options: Options) -> int:
    """List the connections to the service.

    Each has its endpoint, owner account, state, consumer and age; then come the names to connect to.
    """
    from privatelink_lab.commands import connections as command

    return command.connections(options)
