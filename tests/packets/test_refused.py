"""A host that allows no user namespaces: everything but traffic works, and says why there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from privatelink_lab.local import launch

PLAB = Path(sys.executable).with_name("plab")
FORBIDDING = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'


@pytest.fixture
def folder(tmp_path: Path, traffic: object) -> Iterator[Path]:
    """A folder with a lab in it, on a machine that could carry packets."""
    (tmp_path / "plab.yaml").write_text("lab: mute\nregion: us-east-1\nconsumers: [{name: acme}]\n")
    yield tmp_path
    launch.stop(tmp_path / ".plab")


def plab(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command under a limit of no user namespaces, which ends with the command and its server."""
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDING, "sh", str(PLAB), *words]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )


def test_without_namespaces_all_but_traffic_works(folder: Path) -> None:
    """`up` and `down` do their work; `local status` and `verify` name the step that is refused, and what allows it."""
    assert plab(folder, "local", "start", "--speed", "0").returncode == 0
    status = json.loads(plab(folder, "local", "status", "--json").stdout)
    assert (status["traffic"], "a user namespace" in status["why_not"]) == (False, True)
    assert "sysctl user.max_user_namespaces" in status["why_not"]
    built = plab(folder, "up", "--local", "-q")
    assert built.returncode == 0, built.stderr
    verified = plab(folder, "verify")
    assert verified.returncode == 1
    assert "carries no traffic" in verified.stderr
    assert "sysctl user.max_user_namespaces" in verified.stderr
    shown = plab(folder, "local", "shell", "acme", "true")
    assert (shown.returncode, "sysctl user.max_user_namespaces" in shown.stderr) == (2, True)
    assert plab(folder, "down", "-y").returncode == 0
