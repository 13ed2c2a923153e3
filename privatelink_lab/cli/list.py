"""The options of `plab list`."""

import click

from privatelink_lab.cli.options import ALL_REGIONS, lab_options
from privatelink_lab.commands import Options


@click.command("list")
@ALL_REGIONS
@lab_options("list")
def list_labs(options: Options, *, all_regions: bool) -> int:
    """List every lab of the account: maker, age, end, and what it costs.

    A lab is found by its tags, whoever made it, in the account and Region of the config, or else of your AWS
    credentials. A local AWS that runs in this folder comes first. Consumers in other accounts are counted where this
    folder's config or state names them. Nothing is changed.
    """
    from privatelink_lab.commands import list as command

    return command.list_labs(options, all_regions=all_regions)
