"""What plab advises can be typed as it is printed: with `-c FILE`, `--lab NAME` and `--local` where they are needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from privatelink_lab.commands import Options, run_command
from privatelink_lab.commands.advice import as_typed

FILE = Options("up", Path("my lab.yaml"))
PLAIN = Options("up")
CASES = [  # options, whether the lab is local, what is said, what is printed
    (PLAIN, False, "plab up --replace acme/endpoint", "plab up --replace acme/endpoint"),
    (PLAIN, True, "plab up --replace acme/endpoint", "plab up --local --replace acme/endpoint"),
    (PLAIN, True, "plab up --local", "plab up --local"),
    (PLAIN, True, "plab down", "plab down"),
    (PLAIN, False, "plab iam-policy --help", "plab iam-policy --help"),
    (FILE, True, "plab local stop --all", "plab local stop --all"),
    (FILE, False, "plab iam-policy --help", "plab iam-policy --help"),
    (PLAIN, False, "aws ec2 delete-vpc --vpc-id vpc-1", "aws ec2 delete-vpc --vpc-id vpc-1"),
    (PLAIN, True, "aws ec2 a && aws ec2 b", 'eval "$(plab local status)" && aws ec2 a && aws ec2 b'),
    (FILE, True, "aws elbv2 a", "eval \"$(plab local status -c 'my lab.yaml')\" && aws elbv2 a"),
    (
        PLAIN,
        True,
        "aws ec2 a  # as account 222222222222",
        'eval "$(plab local status --account 222222222222)" && aws ec2 a  # as account 222222222222',
    ),
    (PLAIN, True, "aws sso login", "aws sso login"),
    (FILE, False, "Next: plab verify | plab down", "Next: plab verify -c 'my lab.yaml' | plab down -c 'my lab.yaml'"),
    (FILE, True, "plab up --local", "plab up --local -c 'my lab.yaml'"),
    (FILE, True, "`plab local stop`", "`plab local stop -c 'my lab.yaml'`"),
    (FILE, True, "plab down -c other.yaml", "plab down -c other.yaml"),
    (FILE, False, "`plab init FILE` writes one", "`plab init FILE` writes one"),
    (Options("down", lab="old"), False, "plab down, or plab status", "plab down --lab old, or plab status --lab old"),
    (Options("down", lab="old"), False, "plab verify", "plab verify"),
]

ON_AWS = [(said, printed) for _, local, said, printed in CASES if not local]


@pytest.mark.parametrize(("options", "local", "said", "printed"), CASES)
def test_a_command_has_the_options_that_it_needs(options: Options, said: str, printed: str, *, local: bool) -> None:
    """A user copies the command and does not have to think about file, lab and local AWS."""
    assert as_typed(said, options, local=local) == printed
    assert as_typed(printed, options, local=local) == printed


@pytest.mark.parametrize(
    ("said", "printed"), [(said, printed) for options, _, said, printed in CASES if options == PLAIN]
)
def test_every_command_is_completed_where_it_is_printed(
    monkeypatch: pytest.MonkeyPatch, said: str, printed: str
) -> None:
    """The output of a command on a local lab completes whatever has a command, of plab or of the AWS CLI."""
    monkeypatch.setattr(run_command, "is_local", lambda _: (said, printed) not in ON_AWS)
    monkeypatch.setattr(run_command, "has_expired", lambda _: False)
    assert run_command.new_screen(PLAIN).advise(said) == printed
