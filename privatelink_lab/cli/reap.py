"""The options of `plab reap`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import ALL_REGIONS, lab_options
from privatelink_lab.commands import Options


@click.command("reap")
@ALL_REGIONS
@lab_options("reap", asks=True)
def reap(options: Options, *, all_regions: bool) -> int:
    """Delete every lab whose end has come, whoever made it.

    `plab up --ttl` or `ttl:` in the config gives a lab its end; a lab without one stays. AWS's clock decides, and the
    latest end that a lab's resources name. plab lists what has expired and asks; with --yes it can run by itself. It
    cuts no connections of other accounts and touches nothing that is not a lab's own: it names them. Exit code 3:
    something is left. 1: a lab could not be read or deleted.
    """
    from privatelink_lab.commands import reap as command

    return command.reap(options, all_regions=all_regions, ask=confirm)
