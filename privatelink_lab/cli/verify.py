"""The options of `plab verify`."""

import click

from privatelink_lab.cli.confirm import confirm
from privatelink_lab.cli.options import lab_options
from privatelink_lab.commands import Options


@click.command("verify")
@click.argument("consumers", nargs=-1, metavar="[CONSUMER]...")
@click.option("--requests", type=click.IntRange(1, 100), default=10, show_default=True, help="How many to send.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 600),
    default=120.0,
    show_default=True,
    help="How many seconds the first answer may take. DNS may need a minute to know a new endpoint.",
)
@lab_options("verify", asks=True)
def verify(options: Options, *, consumers: tuple[str, ...], requests: int, timeout: float) -> int:
    """Prove the path: real requests from inside each consumer's VPC.

    plab starts a small instance in the consumer's subnet, which requests the page at the endpoint's DNS name (or, of a
    server that plab did not make, a TCP connection), and then removes the instance. This works without internet and
    SSM, and costs less than a cent. In a VPC that a customer only lends it asks first. Exit code 0: the web server's
    message came back every time. Otherwise plab names the hop that is broken, as far as AWS shows it.
    """
    from privatelink_lab.commands import verify as command

    return command.verify(options, consumers=consumers, requests=requests, timeout=timeout, ask=confirm)
