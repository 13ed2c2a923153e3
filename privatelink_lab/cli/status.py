"""The options of `plab status`."""

import click

from privatelink_lab.cli.options import LAB, lab_options
from privatelink_lab.commands import Options


@click.command("status")
@click.option("--timeline", is_flag=True, help="Show instead how long the last up or down took, and why.")
@click.option("--exit-code", is_flag=True, help="End with 1 when anything is neither ready nor held.")
@LAB
@lab_options("status")
def status(options: Options, *, timeline: bool, exit_code: bool) -> int:
    """Show what exists, in which state, and what it costs per hour.

    plab asks AWS once and changes nothing. It also lists what bears the lab's tag but is not in the config. With
    --timeline it does not ask AWS: it shows when each resource of the last run began and ended, and what it waited for.

    \b
    ready       it is as asked
    held        plab's part is done; another person decides
    pending     AWS is at work; deleting: also
    missing     it does not exist; plab up makes it
    drifted     it exists, but not as asked; plab up changes it, or says why not
    failed      AWS says that it will not come up
    untagged    it is the lab's, and has lost the lab's tags: plab up --adopt
    suspect     it bears the lab's tag, and plab did not make it
    incomplete  it bears only some of the lab's tags
    unknown     AWS did not show it
    there       it exists; without a config plab cannot say more
    """  # noqa: D301  # \b is click's mark for a paragraph that keeps its lines
    from privatelink_lab.commands import status as command

    return command.timeline(options) if timeline else command.status(options, exit_code=exit_code)
