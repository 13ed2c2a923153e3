"""The way to AWS fails before AWS answers: a user reads what failed, and a step that fits. Never "a defect of plab"."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import botocore.exceptions
import pytest
from support.timeouts import PATIENCE

from privatelink_lab import aws
from privatelink_lab.aws.client_side_errors import client_side_error
from privatelink_lab.errors import AccountError, PlabError

ROLE = "role_arn = arn:aws:iam::123456789012:role/x"
SSO = "sso_account_id = 123456789012\nsso_role_name = R"
LOGIN = "aws sso login --profile mine"
BY_HAND = "by hand, and see what it prints"
PROFILES = {  # what the profile says, words of the sentence, words of the step
    "a program that prints no JSON": ("credential_process = echo hello", "printed no JSON", BY_HAND),
    "a program that prints other JSON": ("credential_process = echo {}", "Unsupported version", BY_HAND),
    "a program that fails": ("credential_process = sh -c 'echo boom >&2; exit 3'", "boom", BY_HAND),
    "a program that is not there": ("credential_process = /no/such/program get", "/no/such/program, which", "CONFIG"),
    "a program with half a quote": ("credential_process = sh -c 'x", "is no command: No closing quotation", "CONFIG"),
    "a missing token file": (f"{ROLE}\nweb_identity_token_file = /no/such/token", "/no/such/token, which", "CONFIG"),
    "SSO without a login": (f"sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\n{SSO}", "", LOGIN),
    "an SSO session that is not there": (f"sso_session = s\n{SSO}", "sso-session does not exist", "CONFIG"),
    "a source profile that is not there": (f"{ROLE}\nsource_profile = nope", '"nope"', "CONFIG"),
    "a profile that is its own source": (f"{ROLE}\nsource_profile = mine", "", "CONFIG"),
    "a role without a source": (ROLE, "missing: source_profile", "CONFIG"),
    "an unknown source": (f"{ROLE}\ncredential_source = Moon", '"Moon"', "CONFIG"),
    "an endpoint that is no URL": ("endpoint_url = nonsense", "Invalid endpoint: nonsense", "`endpoint_url` of"),
}
FAILURES = {  # what botocore raises, the environment, words of the step
    "no network": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://ec2.eu-west-1.amazonaws.com/"),
        {},
        "Check the network.",
    ),
    "a FIPS endpoint": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts-fips.eu-west-1.amazonaws.com/"),
        {},
        "It is a FIPS endpoint",
    ),
    "an endpoint of the environment": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://aws.corp.example/"),
        {"AWS_ENDPOINT_URL_EC2": "https://aws.corp.example"},
        "AWS_ENDPOINT_URL_EC2 names that URL.",
    ),
    "a local AWS that has stopped": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/"),
        {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
        "unset AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID",
    ),
    "an endpoint of the profile": (
        botocore.exceptions.EndpointConnectionError(endpoint_url="https://aws.corp.example/"),
        {},
        "`endpoint_url` in CONFIG names that URL.",
    ),
    "a proxy that is not there": (
        botocore.exceptions.ProxyConnectionError(proxy_url="http://proxy.corp:3128"),
        {"HTTPS_PROXY": "http://proxy.corp:3128", "HTTP_PROXY": "http://other:1"},
        "HTTPS_PROXY names that proxy",
    ),
    "a proxy that opens TLS": (
        botocore.exceptions.SSLError(endpoint_url="https://x/", error=OSError("self-signed certificate")),
        {},
        "set AWS_CA_BUNDLE",
    ),
    "a bundle that is not there": (
        botocore.exceptions.SSLError(endpoint_url="https://x/", error=OSError("No such file or directory")),
        {"AWS_CA_BUNDLE": "/no/such/bundle.pem"},
        "AWS_CA_BUNDLE names /no/such/bundle.pem, which does not exist.",
    ),
    "a bundle without certificates": (
        botocore.exceptions.SSLError(endpoint_url="https://x/", error=OSError("no certificate or crl found")),
        {"AWS_CA_BUNDLE": os.devnull},
        f"AWS_CA_BUNDLE names {os.devnull}, which has no certificate.",
    ),
    "a bundle without this certificate": (
        botocore.exceptions.SSLError(
            endpoint_url="https://x/", error=OSError("unable to get local issuer certificate")
        ),
        {"REQUESTS_CA_BUNDLE": os.devnull},
        "The certificate of what answers is not in",
    ),
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The AWS configuration of a user with nothing in the environment."""
    for name in [
        name for name in os.environ if name.startswith("AWS_") or name.lower().endswith(("_proxy", "_ca_bundle"))
    ]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "config"
    path.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return path


@pytest.mark.parametrize(("profile", "says", "step"), PROFILES.values(), ids=PROFILES.keys())
def test_a_profile_that_gives_no_credentials(config: Path, profile: str, says: str, step: str) -> None:
    """The sentence names what is wrong in the profile, on one line; the step is what ends it."""
    config.write_text(f"[profile mine]\n{profile}\n")
    with pytest.raises(PlabError) as caught:
        _ = aws.connect(profile="mine", role_arn=None, region="us-east-1").id
    assert says in caught.value.message
    assert "\n" not in caught.value.message
    assert step.replace("CONFIG", f"Correct {config}") in caught.value.hint


def test_a_token_file_of_the_environment(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pod's token is not there: the step names the variable, not a file that does not exist."""
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/no/such/token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/x")
    with pytest.raises(AccountError) as caught:
        _ = aws.connect(profile=None, role_arn=None, region="us-east-1").id
    assert caught.value.hint == "Correct AWS_WEB_IDENTITY_TOKEN_FILE."


@pytest.mark.parametrize(("error", "environment", "step"), FAILURES.values(), ids=FAILURES.keys())
def test_no_connection(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: botocore.exceptions.BotoCoreError,
    environment: dict[str, str],
    step: str,
) -> None:
    """The step names what led there: a variable, the profile, or nothing but the network."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert step.replace("CONFIG", str(config)) in client_side_error("DescribeVpcs", error).hint


def test_an_endpoint_of_the_profile_is_no_secret(config: Path) -> None:
    """What is not AWS's own address is named; its own is not."""
    config.write_text("[profile mine]\nendpoint_url = https://aws.corp.example\n")
    assert aws.connect(profile="mine", role_arn=None, region="us-east-1").endpoint == "https://aws.corp.example"
    config.write_text("[profile mine]\n")
    assert aws.connect(profile="mine", role_arn=None, region="us-east-1").endpoint == ""


ASKS = """\
from privatelink_lab import aws
from privatelink_lab.errors import AccountError
try:
    aws.connect(profile="mine", role_arn=None, region="us-east-1").id
except AccountError as error:
    print(error)
"""
MFA = f"""\
[profile base]
aws_access_key_id = a
aws_secret_access_key = b
[profile mine]
{ROLE}
source_profile = base
mfa_serial = arn:aws:iam::123456789012:mfa/me
"""


def test_an_mfa_code_is_not_asked_where_nobody_answers(config: Path) -> None:
    """In a script without a terminal: one sentence, no question and no warning of Python's getpass."""
    config.write_text(MFA)
    ran = subprocess.run(
        [sys.executable, "-c", ASKS],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=PATIENCE,
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("The credentials need an MFA code, and there is no terminal to ask on.\n", "")


def test_an_mfa_code_is_asked_on_the_terminal(config: Path) -> None:
    """On a terminal botocore's question appears there, also where stdin is something else."""
    config.write_text(MFA)
    child, terminal = pty.fork()
    if child == 0:
        os.close(0)
        os.open(os.devnull, os.O_RDONLY)
        os.execv(sys.executable, [sys.executable, "-c", ASKS])  # noqa: S606 (the child of pty.fork)
    try:
        shown = b""
        while b"MFA code" not in shown:
            shown += os.read(terminal, 1024)
    finally:
        os.close(terminal)
        os.waitpid(child, 0)
    assert b"Enter MFA code for arn:aws:iam::123456789012:mfa/me" in shown
