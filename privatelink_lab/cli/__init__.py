"""The command line: options in, exit code out. The only package that knows click.

Start-up is kept light: a command imports what it needs when it runs.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from privatelink_lab import __version__
from privatelink_lab.cli.local import local
from privatelink_lab.errors import Interrupted, PlabError, UsageError

if TYPE_CHECKING:
    from privatelink_lab.session import Options

GARBAGE = 500_000  # new objects before the collector looks; a run makes a third of that, mostly models that stay
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def run() -> None:
    """The program `plab`: the command line in a process of its own, which has better to do than to collect garbage."""
    gc.set_threshold(GARBAGE)  # while models load there is none, and looking for it took a third of the time
    try:
        main()
    finally:
        gc.freeze()  # the same at the end: the system takes it all back at once


def main() -> None:
    """Run the command line; ends with the documented exit code."""
    try:
        code = plab.main(standalone_mode=False, prog_name="plab")
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = 130
    except PlabError as error:
        click.echo(error.as_text(), err=True)
        code = error.exit_code
    except BrokenPipeError:  # the reader has left (`plab status | head -1`): there is nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        click.echo(PlabError(f"{error.filename or 'The file'}: {error.strerror or error}.").as_text(), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


BY_NAME = click.option("--lab", metavar="NAME", help="The lab of that name, found by its tags alone: without a config.")


def lab_options(name: str, *, asks: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The options of every command that works on a lab; `name` is its name in JSON, `asks` adds --yes."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def run(
            *,
            config: Path | None,
            local: bool,
            json: bool,
            quiet: bool,
            verbose: bool,
            yes: bool = False,
            lab: str | None = None,
            **rest: Any,
        ) -> Any:
            from privatelink_lab.commands.work import guarded
            from privatelink_lab.session import Options

            if config and lab:
                raise UsageError("--config and --lab exclude each other.", hint="The config names its lab.")
            return guarded(command, Options(name, config, local, json, quiet, verbose, yes, lab), **rest)

        for option in reversed(_common(asks=asks)):
            run = option(run)
        return run

    return decorate


def _common(*, asks: bool) -> list[Callable[[Any], Any]]:
    options: list[Callable[[Any], Any]] = [
        click.option(
            "-c",
            "--config",
            type=click.Path(dir_okay=False, path_type=Path),
            envvar="PLAB_CONFIG",
            help="The config file (default: plab.yaml). State lies in .plab beside it.",
        ),
        click.option("--local", is_flag=True, envvar="PLAB_LOCAL", help="Work on a local AWS: no account, no cost."),
        click.option("--json", is_flag=True, envvar="PLAB_JSON", help="Print JSON on stdout and nothing else."),
        click.option("-q", "--quiet", is_flag=True, envvar="PLAB_QUIET", help="No progress, only the result."),
        click.option(
            "-v", "--verbose", is_flag=True, envvar="PLAB_VERBOSE", help="Name each AWS call; show tracebacks."
        ),
    ]
    if asks:
        options.append(click.option("-y", "--yes", is_flag=True, envvar="PLAB_YES", help="Do not ask."))
    return options


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="plab")
def plab() -> None:
    """Build, share and remove an AWS PrivateLink service and its customers.

    A web server behind an internal load balancer becomes an endpoint service; each consumer's VPC reaches it through an
    interface endpoint that the provider accepts: no peering, no internet, and overlapping addresses do not matter.

    \b
    Try it without an account:   plab up --local
    On AWS (it costs money):     plab init, plab up, and when done: plab down

    Exit codes: 0 done, 1 failed, 2 bad usage or config, 3 something is left after down, 130 interrupted.
    """  # noqa: D301 (click's mark for "keep these lines" is a backspace character)


@plab.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=Path("plab.yaml"))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, *, force: bool) -> None:
    """Write a commented config to FILE (default: plab.yaml).

    It documents every key with its default. Change `lab` and `region`, then run `plab up`.
    """
    from privatelink_lab.commands import init as command

    command.write_example(file, force=force)
    named = "" if file == Path("plab.yaml") else f" -c {file}"
    click.echo(f"Wrote {file}. Next: plab up --dry-run{named}", err=True)


@plab.command()
@click.option("--dry-run", is_flag=True, envvar="PLAB_DRY_RUN", help="Only look: what would be made, at what cost.")
@click.option(
    "--replace", "replace", metavar="KEY", multiple=True, help="Delete KEY and what stands on it, then build."
)
@click.option("--adopt", is_flag=True, envvar="PLAB_ADOPT", help="Take over a lab that somebody else's plab made.")
@lab_options("up")
def up(options: Options, *, dry_run: bool, replace: tuple[str, ...], adopt: bool) -> int:
    """Build, continue or repair the lab.

    What exists is left alone, what is missing is made, what drifted is mended; run it as often as you like. It ends
    with each endpoint's DNS name, the cost per hour, and the next commands. An endpoint with `accept: manual` waits for
    `plab accept`; a rejected one is never re-admitted (`--replace CONSUMER/endpoint` asks again).
    """
    from privatelink_lab.commands import up as command

    return command.up(options, dry_run=dry_run, replace=replace, adopt=adopt)


@plab.command()
@click.option("--force", is_flag=True, help="Also reject connections of other accounts to the service.")
@click.option("--adopt", is_flag=True, envvar="PLAB_ADOPT", help="Delete a lab that somebody else's plab made.")
@BY_NAME
@lab_options("down", asks=True)
def down(options: Options, *, force: bool, adopt: bool) -> int:
    """Delete everything that bears the lab's tag, in reverse, and prove it.

    Reused VPCs and subnets stay as they were. Connections of other accounts are listed, and it asks about them; --yes
    alone refuses. It ends with a receipt; exit code 3 when something is left. Run it again after any failure: it looks
    first.
    """
    from privatelink_lab.commands import down as command

    return command.down(options, force=force, adopt=adopt, ask=confirm)


@plab.command()
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT_ID]...")
@click.option("--all", "everyone", is_flag=True, help="Admit every pending connection that is listed.")
@lab_options("accept", asks=True)
def accept(options: Options, *, endpoints: tuple[str, ...], everyone: bool) -> int:
    """Admit pending connections to the service, and wait until they are available.

    Without ids it lists who is pending (endpoint, owner account, since when, whether it is a consumer of this lab) and
    asks for each. Check the owner: whoever is admitted can reach the service.
    """
    from privatelink_lab.commands import connections as command

    return command.accept(options, endpoints=endpoints, everyone=everyone, ask=confirm)


@plab.command()
@click.argument("endpoints", nargs=-1, required=True, metavar="ENDPOINT_ID...")
@lab_options("reject", asks=True)
def reject(options: Options, *, endpoints: tuple[str, ...]) -> int:
    """Refuse pending connections, or cut available ones, and wait until they are rejected.

    The endpoint stays with its owner, who pays for it until he deletes it. `plab up` never re-admits it.
    """
    from privatelink_lab.commands import connections as command

    return command.reject(options, endpoints=endpoints, ask=confirm)


@plab.command()
@lab_options("connections")
def connections(options: Options) -> int:
    """List who is connected to the service: endpoint, owner, state, consumer, since when."""
    from privatelink_lab.commands import connections as command

    return command.connections(options)


@plab.command()
@click.option("--timeline", is_flag=True, help="Instead: how long the last up or down took, and why.")
@BY_NAME
@lab_options("status")
def status(options: Options, *, timeline: bool) -> int:
    """Show what exists, in which state, and what it costs per hour.

    One look at AWS; nothing is changed. What bears the lab's tag but is not in the config is listed too. With
    --timeline AWS is not asked: it shows when each thing of the last run began and ended, and what it waited for.
    """
    from privatelink_lab.commands import status as command

    return command.timeline(options) if timeline else command.status(options)


@plab.command()
@click.argument("consumers", nargs=-1, metavar="[CONSUMER]...")
@click.option("--requests", type=click.IntRange(1, 100), default=10, show_default=True, help="How many to send.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=120.0,
    show_default=True,
    help="Seconds that the first answer may take; DNS can trail an endpoint by a minute.",
)
@lab_options("verify")
def verify(options: Options, *, consumers: tuple[str, ...], requests: int, timeout: float) -> int:
    """Prove the path: HTTP requests from inside each consumer's VPC.

    A small instance is started in the consumer's subnet, asks the endpoint's DNS name for the page, and is removed; it
    needs no internet and no SSM, and costs less than a cent. Exit code 0 only if the web server's message came back
    every time; otherwise it says which hop is broken as far as AWS can tell.
    """
    from privatelink_lab.commands import verify as command

    return command.verify(options, consumers=consumers, requests=requests, timeout=timeout)


plab.add_command(local)


def confirm(question: str, *, instead: str = "--yes") -> bool:
    """Ask on the terminal; raises UsageError without one, so that nothing is done unasked."""
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", hint=f"Say {instead} if you mean it; nothing was touched.")
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:  # Ctrl-C or Ctrl-D
        click.echo(err=True)
        raise Interrupted("Nothing was touched.") from None
