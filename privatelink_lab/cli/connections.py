"""The options of `plab connections`."""

import click

from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("connections")
@click.argument("names", nargs=-1, metavar="[ENDPOINT, CUSTOMER or CONSUMER]...")
@click.option("--state", "states", multiple=True, metavar="STATE", help="Only those in this state: pendingAcceptance.")
@lab_options("connections")
def connections(options: Options, *, names: tuple[str, ...], states: tuple[str, ...]) -> int:
    """List the connections to the service, and what the rules say of each.

    The verdict says who admitted it and by what rule, or what `plab accept --rules` would do and why. What is
    available and should not be comes first. The names to connect to come last.
    """
    from privatelink_lab.commands import connections as command

    return command.connections(options, names=names, states=states)
