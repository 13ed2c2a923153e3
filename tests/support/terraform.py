"""Terraform as a stranger's client of the local AWS: only with --terraform, and where it is installed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.inventory import InventoriedAws

PLUGINS = os.environ.get("PLAB_TERRAFORM_PLUGINS")  # read here: no test sees PLAB_ variables
NO_PROVIDER = ("Failed to query available provider packages", "Failed to install provider")


@dataclass
class Terraform:
    """A folder with the lab's configuration, and the environment that leads it to a local AWS."""

    folder: Path
    environment: dict[str, str]

    def run(self, *words: str, seconds: float) -> tuple[int, str]:
        """The exit code and the output of a Terraform command; after the timeout it is killed with its plugins."""
        process = subprocess.Popen(
            ["terraform", *words, "-no-color"],  # noqa: S607  # the user's own, from PATH
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        with process:
            try:
                output, _ = process.communicate(timeout=seconds)
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
        return process.returncode, output

    def output(self, name: str) -> str:
        """An output of the configuration, as JSON."""
        code, text = self.run("output", "-json", name, seconds=60)
        assert code == 0, text
        return text

    def do(self, *words: str, seconds: float) -> None:
        """Run a command that must succeed."""
        code, output = self.run(*words, seconds=seconds)
        assert code == 0, output


def prepare(request: pytest.FixtureRequest, aws: InventoriedAws, folder: Path) -> Terraform:
    """Terraform with its provider in the folder of a configuration; skips the test where they are missing."""
    if not request.config.getoption("--terraform"):
        pytest.skip("takes two minutes: say --terraform")
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    made = Terraform(folder, environment(aws))
    code, output = made.run("init", *([f"-plugin-dir={PLUGINS}"] if PLUGINS else []), seconds=300)
    if code and any(text in output for text in NO_PROVIDER):
        pytest.skip(f"terraform init cannot get the provider: {output}")
    assert code == 0, output
    return made


def environment(aws: InventoriedAws) -> dict[str, str]:
    """The variables that `plab local start` prints, and the machine's own except those for AWS or Terraform."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    return kept | {
        "AWS_ENDPOINT_URL": aws.url,
        "AWS_ACCESS_KEY_ID": aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "CHECKPOINT_DISABLE": "1",
        "TF_INPUT": "0",
    }
