"""`python -m privatelink_lab` is `plab`."""

from privatelink_lab.cli.main import run

run()
