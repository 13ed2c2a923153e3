"""The options of `plab iam-policy`."""

import json
from pathlib import Path

import click

from privatelink_lab.cli.options import CONFIG


@click.command("iam-policy")
@click.argument("side", type=click.Choice(["provider", "consumer", "verify", "why", "reap", "acceptor"]))
@CONFIG
def iam_policy(side: str, *, config: Path | None) -> None:
    """Print the IAM policy that one side needs, as JSON.

    `provider` is for the account of the service, `consumer` for the account of a consumer, and `verify` for what
    `plab verify` needs in a consumer's account on top of `consumer`. `why` and `reap` are for these commands,
    `acceptor` for `plab accept --rules` alone. No call goes out. What deletes is allowed for what bears the tag of the
    config's lab (`reap`: of any lab), and for nothing else.
    """
    from privatelink_lab.commands import Options
    from privatelink_lab.commands import iam_policy as command
    from privatelink_lab.commands.lab_session import lab_name

    click.echo(json.dumps(command.policy(side, lab_name(Options("iam-policy", config))), indent=2))
