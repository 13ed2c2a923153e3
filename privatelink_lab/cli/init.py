"""The options of `plab init`."""

from pathlib import Path

import click

from privatelink_lab.errors import UsageError


@click.command("init")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("plab.yaml"))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
@click.option(
    "--pack",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="PACK",
    help="Write the customer's side from PACK, a file that `plab share CUSTOMER` has printed.",
)
@click.option("--vpc-id", metavar="ID", help="With --pack: the endpoint goes into this VPC of yours.")
@click.option(
    "--subnet-id", "subnet_ids", multiple=True, metavar="ID", help="With --vpc-id: its subnets, one per zone."
)
def init(file: Path, *, force: bool, pack: Path | None, vpc_id: str | None, subnet_ids: tuple[str, ...]) -> None:
    """Write a commented config to FILE (default: plab.yaml).

    The file documents every key with its default. Change `lab` and `region`, then run `plab up`. An editor that has the
    YAML language server checks and completes the file, by a JSON schema that plab writes to .plab beside it.

    With --pack the config is a customer's: an endpoint to the service of the pack, in a VPC that plab makes, or in
    yours. Where there are credentials, plab compares the pack with what AWS shows. It never overwrites a config.
    """
    from privatelink_lab.commands import Options
    from privatelink_lab.commands import init as command

    options = Options("init", None if file == Path("plab.yaml") else file)
    if pack:
        if force:
            raise UsageError("--pack and --force exclude each other.", hint="plab init OTHER.yaml --pack PACK")
        command.init_from_pack(options, file, pack, vpc_id or "", subnet_ids)
    elif vpc_id or subnet_ids:
        raise UsageError("--vpc-id and --subnet-id are for --pack.", hint="plab init --pack PACK --vpc-id ID")
    else:
        click.echo(command.init(options, file, force=force), err=True)
