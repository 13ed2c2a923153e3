"""`plab local`: its options."""

from __future__ import annotations

import math
from pathlib import Path

import click

from privatelink_lab.errors import UsageError


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("a number is wanted")
    return value


def _folder(config: Path | None) -> Path:
    return (config.parent if config else Path()) / ".plab"


CONFIG_OF_LOCAL = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="PLAB_CONFIG",
    help="The config file whose folder it serves.",
)
JSON_OF_LOCAL = click.option("--json", is_flag=True, envvar="PLAB_JSON", help="Print JSON on stdout and nothing else.")


@click.group()
def local() -> None:
    """The local AWS of this folder: start, stop, status, faults, logs, shell.

    `plab up --local` starts it by itself. It listens on 127.0.0.1 only and answers only to its own random keys; the AWS
    CLI or Terraform can use it with the export lines that `plab local status` prints.
    """


@local.command("start")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1_000_000),
    callback=lambda _, __, value: _finite(value),
    default=20.0,
    envvar="PLAB_SPEED",
    show_default=True,
    help="How many times faster than AWS things happen; 0 is at once.",
)
@click.option("--slow", is_flag=True, envvar="PLAB_SLOW", help="Take as long as AWS on its bad days.")
@click.option("--seed", type=int, envvar="PLAB_SEED", help="Give out the same ids and delays for the same calls.")
@CONFIG_OF_LOCAL
@JSON_OF_LOCAL
def local_start(config: Path | None, *, speed: float, slow: bool, seed: int | None, json: bool) -> int:
    """Start the local AWS in the background and print how to use it."""
    from privatelink_lab.commands import local as command

    return command.start(_folder(config), speed=speed, slow=slow, seed=seed, json=json)


@local.command("stop")
@CONFIG_OF_LOCAL
def local_stop(config: Path | None) -> int:
    """Stop the local AWS; everything in it is gone with it."""
    from privatelink_lab.commands import local as command

    return command.stop(_folder(config))


@local.command("status")
@CONFIG_OF_LOCAL
@JSON_OF_LOCAL
def local_status(config: Path | None, *, json: bool) -> int:
    """Print the local AWS's address, speed and keys as shell export lines (or JSON)."""
    from privatelink_lab.commands import local as command

    return command.status(_folder(config), json=json)


@local.command("faults")
@click.argument("faults", nargs=-1, metavar="[FAULT]...")
@click.option("--off", is_flag=True, help="Switch all faults off.")
@CONFIG_OF_LOCAL
@JSON_OF_LOCAL
def local_faults(config: Path | None, faults: tuple[str, ...], *, off: bool, json: bool) -> int:
    """Let things go wrong as they do on AWS; print what is on.

    A fault is a kind and its settings: throttle,share=0.3 or error,action=CreateVpc,status=500,code=InternalError.
    Exactly those that are given are on from then on; without any, nothing is changed.

    \b
    buckets          AWS's own call limits, per account and region
    throttle         refused for load              [action, share, times]
    error            refused                       [action, share, times, status, code]
    cut-before       connection cut, no effect     [action, share, times]
    cut-after        effect, but a lost answer     [action, share, times]
    stale            describes repeat themselves   [action, seconds]
    not-found        new ids are seen late         [seconds]
    unavailable      new services take nobody yet  [seconds]
    endpoint-expires a request nobody accepts      [seconds]
    instance-fails, balancer-fails, endpoint-fails, target-fails  [share, times]

    `action` is a pattern (Describe*), `share` a part of 1, `seconds` are AWS time.
    """  # noqa: D301  # \b is click's mark for a paragraph that keeps its lines
    from privatelink_lab.commands import local as command

    if faults and off:
        raise UsageError("Faults and --off exclude each other.", hint="see `plab local faults --help`")
    return command.faults(_folder(config), faults, off=off, json=json)


@local.command("shell", context_settings={"allow_interspersed_args": False})
@click.argument("party", metavar="PROVIDER_OR_CONSUMER")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@CONFIG_OF_LOCAL
def local_shell(config: Path | None, *, party: str, command: tuple[str, ...]) -> int:
    """Open a shell, or run one command, inside the VPC of `provider` or of a consumer.

    The endpoint's DNS name answers there, once the connection is accepted; the web server's own address does not,
    except to the provider. Options stand before PROVIDER_OR_CONSUMER, all that follows is the command's.
    """
    from privatelink_lab.commands.shell import shell
    from privatelink_lab.commands.work import guarded
    from privatelink_lab.session import Options

    words = command[1:] if command[:1] == ("--",) else command
    return guarded(shell, Options("shell", config, local=True, quiet=True), party=party, words=words)


@local.command("logs")
@CONFIG_OF_LOCAL
def local_logs(config: Path | None) -> int:
    """Print the local AWS's log: one line per call."""
    from privatelink_lab.commands import local as command

    return command.logs(_folder(config))
