"""The options of `plab reject`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("reject")
@click.argument("endpoints", nargs=-1, required=True, metavar="[ENDPOINT, CUSTOMER or CONSUMER]...")
@lab_options("reject", asks=True)
def reject(options: Options, *, endpoints: tuple[str, ...]) -> int:
    """Reject pending connections, or cut available ones.

    plab waits until they are rejected. `plab connections` lists the endpoint ids. A rejected endpoint still exists in
    its owner's account and costs its owner money until they delete it. `plab up` never accepts it again.
    """
    from privatelink_lab.commands import reject as command

    return command.reject(options, endpoints=endpoints, ask=confirm)
