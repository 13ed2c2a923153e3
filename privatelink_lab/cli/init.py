"""The options of `plab init`."""

from pathlib import Path

import click


@click.command("init")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("plab.yaml"))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, *, force: bool) -> None:
    """Write a commented config to FILE (default: plab.yaml).

    The file documents every key with its default. Change `lab` and `region`, then run `plab up`. An editor that has the
    YAML language server checks and completes the file, by a JSON schema that plab writes to .plab beside it.
    """
    from privatelink_lab.commands import Options
    from privatelink_lab.commands import init as command

    click.echo(command.init(Options("init", None if file == Path("plab.yaml") else file), file, force=force), err=True)
