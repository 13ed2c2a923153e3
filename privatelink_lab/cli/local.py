"""The options of `plab local start | stop | status | faults | logs | shell`."""

import math
from pathlib import Path

import click

from privatelink_lab.cli.options import JSON
from privatelink_lab.errors import UsageError


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("it must be a finite number")
    return value


def _folder(config: Path | None) -> Path:
    return (config.parent if config else Path()) / ".plab"


FOLDER_OF = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    envvar="PLAB_CONFIG",
    help="The config file. The local AWS belongs to its folder.",
)


@click.group()
def local() -> None:
    """The local AWS: start, stop, status, list, faults, logs, shell.

    It belongs to this folder, and `plab up --local` starts it. It listens on 127.0.0.1 only and accepts only its own
    random keys. The AWS CLI or Terraform can use it with the export lines that `plab local status` prints.
    """


@local.command("start")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, max=1_000_000),
    callback=lambda _, __, value: _finite(value),
    default=20.0,
    envvar="PLAB_SPEED",
    show_default=True,
    help="How many times faster than AWS it is; 0 means without any delay.",
)
@click.option("--slow", is_flag=True, envvar="PLAB_SLOW", help="Take as long as AWS on a bad day.")
@click.option("--seed", type=int, envvar="PLAB_SEED", help="Give the same calls the same ids and delays.")
@FOLDER_OF
@JSON
def local_start(config: Path | None, *, speed: float, slow: bool, seed: int | None, json: bool) -> int:
    """Start the local AWS in the background and print how to use it."""
    from privatelink_lab.commands import local as command

    return command.start(_folder(config), speed=speed, slow=slow, seed=seed, json=json)


@local.command("stop")
@click.option("--all", "everywhere", is_flag=True, help="Stop every local AWS of yours on this machine.")
@FOLDER_OF
def local_stop(config: Path | None, *, everywhere: bool) -> int:
    """Stop the local AWS. Everything in it is lost."""
    from privatelink_lab.commands import local as command

    return command.stop_all() if everywhere else command.stop(_folder(config))


@local.command("list")
@JSON
def local_list(*, json: bool) -> int:
    """List every local AWS of yours on this machine, also those in other folders."""
    from privatelink_lab.commands import local as command

    return command.list_servers(json=json)


@local.command("status")
@click.option("--account", metavar="ACCOUNT_ID", help="With keys of this account: a customer in another folder.")
@FOLDER_OF
@JSON
def local_status(config: Path | None, *, json: bool, account: str | None) -> int:
    """Print the local AWS's address, speed and keys as shell export lines (or JSON)."""
    from privatelink_lab.commands import local as command

    return command.status(_folder(config), json=json, account=account or "")


@local.command("faults")
@click.argument("faults", nargs=-1, metavar="[FAULT]...")
@click.option("--off", is_flag=True, help="Switch all faults off.")
@FOLDER_OF
@JSON
def local_faults(config: Path | None, faults: tuple[str, ...], *, off: bool, json: bool) -> int:
    """Let calls fail as they do on AWS, and print the faults that are on.

    A fault is a kind and its settings: throttle,share=0.3 or error,action=CreateVpc,status=500,code=InternalError.
    The given faults replace those that are on. Without any, nothing changes.

    \b
    rate-limits      AWS's own call limits, per account and region
    throttle         a call is throttled           [action, share, times]
    error            a call is refused             [action, share, times, status, code, message]
    cut-before       no effect, connection cut     [action, share, times]
    cut-after        effect, answer lost           [action, share, times]
    stale            describes show an old state   [action, seconds]
    not-found        new ids are visible late      [seconds]
    unavailable      new services answer 503       [seconds]
    endpoint-expires pending endpoints expire      [seconds]
    instance-fails, balancer-fails, endpoint-fails, target-fails  [share, times]

    `action` is a pattern (Describe*), `share` a part of 1, `seconds` are AWS time.
    """  # noqa: D301  # \b is click's mark for a paragraph that keeps its lines
    from privatelink_lab.commands import local as command

    if faults and off:
        raise UsageError("Faults and --off exclude each other.", hint="plab local faults --help")
    return command.faults(_folder(config), faults, off=off, json=json)


@local.command("shell", context_settings={"allow_interspersed_args": False})
@click.argument("party", metavar="PROVIDER_OR_CONSUMER")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@FOLDER_OF
def local_shell(config: Path | None, *, party: str, command: tuple[str, ...]) -> int:
    """Open a shell, or run one command, inside the VPC of `provider` or of a consumer.

    There $SERVICE is the service's name, and in a consumer's VPC $ENDPOINT is the endpoint's DNS name: it answers once
    the connection is accepted. Only the provider's VPC reaches
    the web server's own address. Put plab's options before PROVIDER_OR_CONSUMER; the rest belongs to the command.
    """
    from privatelink_lab.commands import Options
    from privatelink_lab.commands.local_shell import shell
    from privatelink_lab.commands.run_command import execute

    words = command[1:] if command[:1] == ("--",) else command
    return execute(shell, Options("shell", config, local=True, quiet=True), party=party, words=words)


@local.command("logs")
@FOLDER_OF
def local_logs(config: Path | None) -> int:
    """Print the local AWS's log: one line per call."""
    from privatelink_lab.commands import local as command

    return command.logs(_folder(config))
