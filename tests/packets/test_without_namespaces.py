"""A host without user namespaces: everything but traffic works, and the commands say why there is none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.processes import PLAB
from support.timeouts import PATIENCE

from privatelink_lab.local import launch

FORBIDDING = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'


@pytest.fixture
def folder(tmp_path: Path, agent: object) -> Iterator[Path]:
    """A folder with a lab's config, on a host that allows packets."""
    (tmp_path / "plab.yaml").write_text("lab: mute\nregion: us-east-1\nconsumers: [{name: acme}]\n")
    yield tmp_path
    launch.stop(tmp_path / ".plab")


def plab(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command on a host that allows no user namespaces; the limit holds for the command and its server only."""
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", FORBIDDING, "sh", str(PLAB), *words]
    return subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_without_namespaces_all_but_traffic_works(folder: Path) -> None:
    """`up` and `down` succeed; `local status` and `verify` name the step that is refused, and what would allow it."""
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
    shell = plab(folder, "local", "shell", "acme", "true")
    assert (shell.returncode, "sysctl user.max_user_namespaces" in shell.stderr) == (2, True)
    assert plab(folder, "down", "-y").returncode == 0
