"""The options of `plab why`."""

from pathlib import Path

import click

from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("why")
@click.argument("target", required=False, metavar="[CONSUMER | CUSTOMER | ACCOUNT_ID | ENDPOINT_ID | SERVICE_ID]")
@click.option("--save", type=FILE, help="Write what AWS showed into FILE, to be judged elsewhere. It holds no secret.")
@click.option("--from", "sources", type=FILE, multiple=True, help="Judge saved FILEs of one side or both, without AWS.")
@click.option("--region", metavar="REGION", help="The Region of a CUSTOMER or ACCOUNT_ID, if it is not the service's.")
@lab_options("why")
def why(
    options: Options, *, target: str | None, save: Path | None, sources: tuple[Path, ...], region: str | None
) -> int:
    """Say why a customer gets no answer: the first broken hop, and the command that repairs it.

    plab only describes: it sends no packet and changes nothing. Without a name it shows every customer that gets no
    answer. An endpoint or a service that plab did not make needs neither lab nor config. Exit code 1: a cause was
    found. docs/why.md explains each cause.
    """
    from privatelink_lab.commands import why as command

    return command.why(options, target=target or "", save=save, sources=sources, region=region or "")
