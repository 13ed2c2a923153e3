"""Questions to the person at the terminal."""

import sys

import click

from privatelink_lab.errors import Interrupted, UsageError


def confirm(question: str, *, instead: str = "--yes") -> bool:
    """Ask on the terminal; raises UsageError where there is none, so that plab does nothing without consent."""
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", hint=f"Use {instead} to agree; nothing was changed.")
    try:
        return click.confirm(question, default=False, err=True)
    except click.Abort:  # Ctrl-C or Ctrl-D
        click.echo(err=True)
        raise Interrupted("Nothing was changed.") from None
