"""The options that several commands share: --config, --local, --json, --quiet, --verbose, --yes and --lab."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from privatelink_lab.errors import UsageError

CONFIG = click.option(
    "-c",
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="PLAB_CONFIG",
    help="The config file (default: plab.yaml). The state lies in .plab beside it.",
)
LOCAL = click.option("--local", is_flag=True, envvar="PLAB_LOCAL", help="Use a local AWS: no account, no cost.")
JSON = click.option("--json", is_flag=True, envvar="PLAB_JSON", help="Print JSON on stdout and nothing else.")
QUIET = click.option("-q", "--quiet", is_flag=True, envvar="PLAB_QUIET", help="Print the result and errors only.")
VERBOSE = click.option(
    "-v", "--verbose", is_flag=True, envvar="PLAB_VERBOSE", help="Name each AWS call, and print tracebacks."
)
YES = click.option("-y", "--yes", is_flag=True, envvar="PLAB_YES", help="Do not ask for confirmation.")
ALL_REGIONS = click.option("--all-regions", is_flag=True, help="Look into every Region that the account can use.")
LAB = click.option("--lab", metavar="NAME", help="Find the lab of this name by its tags, without a config.")


def lab_options(command: str, *, asks: bool = False) -> Callable[[Any], Any]:
    """The options of every command that works on a lab; `command` is its name in JSON, `asks` adds --yes."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
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
            from privatelink_lab.commands import Options
            from privatelink_lab.commands.run_command import execute

            if config and lab:
                raise UsageError("--config and --lab exclude each other.", hint="The config names its lab.")
            region = (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")) if lab else None
            return execute(function, Options(command, config, local, json, quiet, verbose, yes, lab, region), **rest)

        for option in reversed((CONFIG, LOCAL, JSON, QUIET, VERBOSE, *((YES,) if asks else ()))):
            run = option(run)
        return run

    return decorate
