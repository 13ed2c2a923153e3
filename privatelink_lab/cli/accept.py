"""The options of `plab accept`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("accept")
@click.argument("names", nargs=-1, metavar="[ENDPOINT, CUSTOMER or CONSUMER]...")
@click.option("--all", "everyone", is_flag=True, help="Accept those of all accounts that the config names.")
@click.option("--rules", is_flag=True, help="Accept what the customers' rules admit, without a question.")
@click.option("--watch", type=click.IntRange(1, 86_400), metavar="SECONDS", help="The same again and again.")
@lab_options("accept", asks=True)
def accept(options: Options, *, names: tuple[str, ...], everyone: bool, rules: bool, watch: int | None) -> int:
    """Accept pending connections to the service.

    plab waits until they are available. Without a name, it lists the pending connections (endpoint, owner account,
    since when, what the rules say) and asks for each of them. Check the owner: an accepted endpoint can reach the
    service. A customer's name accepts what the rules admit, and what is manual; anything else takes its endpoint id.
    """
    from privatelink_lab.commands import accept as command

    return command.accept(options, names=names, everyone=everyone, rules=rules, watch=watch, ask=confirm)
