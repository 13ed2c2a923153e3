"""The program: from the words of the command line to the exit code, also for what goes wrong."""

import gc
import io
import os
import sys

import click

from privatelink_lab.cli import plab
from privatelink_lab.errors import PlabError

GARBAGE = 500_000  # new objects until the collector runs; a run makes a third of that, mostly models that stay


def run() -> None:
    """The program `plab`: the command line in a process of its own, where garbage collection would only cost time."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # what a terminal cannot show must not end a command
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
