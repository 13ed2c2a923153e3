"""The command line: options in, exit code out. The only package that knows click.

Each command's options stand in the module of its name, the shared ones in `options`. Start-up is light: a command
imports what it uses when it runs.
"""

import gc
import os
import sys

import click

from privatelink_lab import __version__
from privatelink_lab.cli import accept, connections, down, init, local, reject, status, up, verify
from privatelink_lab.errors import PlabError

GARBAGE = 500_000  # new objects until the collector runs; a run makes a third of that, mostly models that stay
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def run() -> None:
    """The program `plab`: the command line in a process of its own, where garbage collection would only cost time."""
    gc.set_threshold(GARBAGE)  # loading botocore's models makes no garbage; looking for it took a third of the time
    try:
        main()
    finally:
        gc.freeze()  # the process ends now, and the system takes all memory back at once


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
    except BrokenPipeError:  # the reader has left (`plab status | head -1`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        click.echo(PlabError(f"{error.filename or 'The file'}: {error.strerror or error}.").as_text(), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="plab")
def plab() -> None:
    """Build, share and remove an AWS PrivateLink service and its customers.

    A web server behind an internal load balancer becomes an endpoint service. Each consumer's VPC reaches it through an
    interface endpoint that the provider accepts: no peering, no internet, and addresses may overlap.

    \b
    Try it without an account:   plab up --local
    On AWS (it costs money):     plab init, plab up, and at the end: plab down

    Exit codes: 0 done, 1 failed, 2 bad usage or config, 3 something is left after down, 130 interrupted.
    """  # noqa: D301 (click's mark for "keep these lines" is a backspace character)


for command in (
    init.init,
    up.up,
    down.down,
    accept.accept,
    reject.reject,
    connections.connections,
    status.status,
    verify.verify,
    local.local,
):
    plab.add_command(command)
