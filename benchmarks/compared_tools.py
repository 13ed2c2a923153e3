"""The compared tools: plab, a boto3 script, an AWS CLI script and Terraform. All build the same lab."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
PLAB = str(Path(sys.executable).with_name("plab"))
CONFIG = "lab: bench\nregion: us-east-1\nconsumers: [{name: consumer}]\n"
PLUGINS = os.environ.get("PLAB_TERRAFORM_PLUGINS")  # a folder with Terraform's AWS provider, if no registry answers


@dataclass(frozen=True)
class Tool:
    """A tool's commands: `again` is a second `up`, if the tool can do that. `what` describes them.

    `rounds` is how often they are run at speed 0 and paced. `prepare` writes the tool's files into its folder and
    returns why the tool cannot be measured, or ''.
    """

    name: str
    what: str
    up: tuple[str, ...]
    down: tuple[str, ...]
    prepare: Callable[[Path, Mapping[str, str]], str]
    again: tuple[str, ...] = ()
    rounds: tuple[int, int] = (5, 5)
    settings: dict[str, str] = field(default_factory=dict)


def compared_tools(speed: float) -> tuple[Tool, ...]:
    """All tools; the scripts divide their pauses by the server's speed."""
    boto3_script = (sys.executable, str(HERE / "boto3_script.py"))
    shell = ("sh", str(HERE / "awscli.sh"))
    paced = ("state", f"{speed:g}")
    return (
        Tool(
            "plab",
            "`plab up`, `plab up` again, `plab down -y`",
            (PLAB, "up", "-q"),
            (PLAB, "down", "-y", "-q"),
            _prepare_plab,
            again=(PLAB, "up", "-q"),
        ),
        Tool(
            "boto3 script",
            "one call after the other, with botocore's waiters",
            (*boto3_script, "up", *paced),
            (*boto3_script, "down", *paced),
            lambda _, __: "",
        ),
        Tool(
            "AWS CLI script",
            "the same as a shell script",
            (*shell, "up", *paced),
            (*shell, "down", *paced),
            lambda _, __: "" if shutil.which("aws") else "the AWS CLI is not installed",
            rounds=(3, 1),
        ),
        Tool(
            "Terraform",
            "`terraform apply`, `apply` again, `destroy`, with its AWS provider",
            ("terraform", "apply", "-auto-approve", "-no-color"),
            ("terraform", "destroy", "-auto-approve", "-no-color"),
            _prepare_terraform,
            again=("terraform", "apply", "-auto-approve", "-no-color"),
            rounds=(1, 1),
            settings={"CHECKPOINT_DISABLE": "1", "TF_INPUT": "0"},
        ),
    )


def _prepare_plab(folder: Path, _: Mapping[str, str]) -> str:
    (folder / "plab.yaml").write_text(CONFIG, encoding="utf-8")
    return ""


def _prepare_terraform(folder: Path, environment: Mapping[str, str]) -> str:
    if shutil.which("terraform") is None:
        return "Terraform is not installed"
    shutil.copy(HERE / "terraform" / "main.tf", folder)
    source = [f"-plugin-dir={PLUGINS}"] if PLUGINS else []
    command = ["terraform", "init", "-no-color", *source]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    error = next((line for line in done.stderr.splitlines() if "Error" in line), "").strip("│ ")
    return f"`terraform init` failed: {error}" if done.returncode else ""
