"""The options of `plab down`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import LAB, lab_options
from privatelink_lab.commands import Options


@click.command("down")
@click.option("--force", is_flag=True, help="Also reject connections of other accounts to the service.")
@click.option(
    "--adopt",
    is_flag=True,
    envvar="PLAB_ADOPT",
    help="Delete a lab that another maker's plab made, and what has lost its tags.",
)
@LAB
@lab_options("down", asks=True)
def down(options: Options, *, force: bool, adopt: bool) -> int:
    """Delete the whole lab, and check that nothing is left.

    The lab is what bears its tag. Reused VPCs and subnets stay as they were. plab lists connections of other accounts
    and asks before it cuts them; --yes alone does not cut them. It ends with a receipt, and with exit code 3 when
    something is left. Run it again after any failure.
    """
    from privatelink_lab.commands import down as command

    return command.down(options, force=force, adopt=adopt, ask=confirm)
