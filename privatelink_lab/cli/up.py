"""The options of `plab up`."""

import click

from privatelink_lab import expiry
from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


def _ttl(_: click.Context, __: click.Parameter, value: str | None) -> str:
    if value is not None and not expiry.is_ttl(value):
        raise click.BadParameter(f"it is {expiry.FORM}")
    return value or ""


@click.command("up")
@click.option(
    "--dry-run",
    is_flag=True,
    envvar="PLAB_DRY_RUN",
    help="Show what would be made and what it would cost; make nothing.",
)
@click.option("--replace", metavar="KEY", multiple=True, help="Delete KEY and what stands on it, then build.")
@click.option("--prune", is_flag=True, help="First remove what the config no longer names.")
@click.option(
    "--adopt",
    is_flag=True,
    envvar="PLAB_ADOPT",
    help="Take over a lab that another maker's plab made, and put lost tags back.",
)
@click.option(
    "--ttl",
    metavar="DURATION",
    callback=_ttl,
    help="Mark the lab to expire 90m, 2h or 3d from now; `plab reap` deletes what has expired.",
)
@click.option("--force", is_flag=True, help="With --replace or --prune, also reject connections of other accounts.")
@lab_options("up", asks=True)
def up(
    options: Options, *, dry_run: bool, replace: tuple[str, ...], prune: bool, adopt: bool, force: bool, ttl: str
) -> int:
    """Build, continue or repair the lab.

    plab leaves alone what exists as asked, makes what is missing and repairs what differs. Run it as often as you like.
    It ends with each endpoint's DNS name, the cost per hour, and the next commands. An endpoint with `accept: manual`
    waits for `plab accept`. A rejected endpoint is never accepted again; `--replace CONSUMER/endpoint` makes a new one.
    --replace lists what goes with KEY and asks; connections of other accounts also need --force. What the config no
    longer names stays and is named, but for `access: revoked`; --prune lists it, asks, and removes it.
    """
    from privatelink_lab.commands import up as command

    return command.up(
        options, dry_run=dry_run, replace=replace, prunes=prune, adopt=adopt, force=force, ttl=ttl, ask=confirm
    )
