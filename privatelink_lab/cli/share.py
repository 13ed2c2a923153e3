"""The options of `plab share`."""

import click

from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("share")
@click.argument("customer")
@lab_options("share")
def share(options: Options, *, customer: str) -> int:
    """Print the pack of CUSTOMER: all that it needs to ask for a connection.

    It is a YAML file. Its data is for `plab init --pack`. Its comments are the same as a program for the AWS CLI and
    for Terraform, with the customer's own VPC and subnets as variables. No secret is in it.
    """
    from privatelink_lab.commands import share as command

    return command.share(options, customer)
