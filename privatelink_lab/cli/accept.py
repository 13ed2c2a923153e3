"""The options of `plab accept`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("accept")
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT_OR_CONSUMER]...")
@click.option("--all", "everyone", is_flag=True, help="Accept those of all accounts that the config names.")
@lab_options("accept", asks=True)
def accept(options: Options, *, endpoints: tuple[str, ...], everyone: bool) -> int:
    """Accept pending connections to the service.

    plab waits until they are available. Without a name, it lists the pending connections (endpoint, owner account,
    since when, whether it is a consumer of this lab) and asks for each of them. Check the owner: an accepted endpoint
    can reach the service.
    """
    from privatelink_lab.commands import accept as command

    return command.accept(options, endpoints=endpoints, everyone=everyone, ask=confirm)
