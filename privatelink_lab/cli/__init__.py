"""The command line: options in, exit code out. The only package that knows click.

Each command's options stand in the module of its name, the shared ones in `options`. Start-up is light: a command
imports what it uses when it runs.
"""

import click

from privatelink_lab import __version__
from privatelink_lab.cli import (
    accept,
    connections,
    down,
    iam_policy,
    init,
    local,
    reap,
    reject,
    share,
    status,
    up,
    verify,
    why,
)
from privatelink_lab.cli import list as list_

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


SECTIONS = {
    "Build and remove": (init.init, up.up, down.down, list_.list_labs, reap.reap),
    "Customers": (share.share, connections.connections, accept.accept, reject.reject),
    "Understand": (status.status, why.why, verify.verify, iam_policy.iam_policy),
    "Without an account": (local.local,),
}


class _Sections(click.Group):
    """A group whose help lists its commands by what people want."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a list per section."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(str(command.name), command.get_short_help_str(90)) for command in commands])


@click.group(cls=_Sections, context_settings=CONTEXT)
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


for command in (command for commands in SECTIONS.values() for command in commands):
    plab.add_command(command)
