"""The options of `plab status`."""

import click

from privatelink_lab.cli.options import LAB, lab_options
from privatelink_lab.commands import Options


@click.command("status")
@click.option("--timeline", is_flag=True, help="Show instead how long the last up or down took, and why.")
@LAB
@lab_options("status")
def status(options: Options, *, timeline: bool) -> int:
    """Show what exists, in which state, and what it costs per hour.

    plab asks AWS once and changes nothing. It also lists what bears the lab's tag but is not in the config. With
    --timeline it does not ask AWS: it shows when each resource of the last run began and ended, and what it waited for.
    """
    from privatelink_lab.commands import status as command

    return command.timeline(options) if timeline else command.status(options)
