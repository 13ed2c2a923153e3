"""`plab --local` for real: a background server, real processes, and what a new user sees without a config file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.timeouts import PATIENCE

PLAB = [sys.executable, "-m", "privatelink_lab"]


class Folder:
    """A scratch folder to run `plab` in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PLAB_"))}

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Stdout of a command that ends with `code`."""
        done = subprocess.run(
            [*PLAB, *arguments],
            cwd=self.path,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def server(self) -> dict[str, Any]:
        """`plab local status --json`."""
        return dict(json.loads(self.run("local", "status", "--json")))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder whose local AWS, at speed 0, is stopped afterwards."""
    made = Folder(tmp_path)
    made.run("local", "start", "--speed", "0")
    yield made
    made.run("local", "stop")


def test_up_local_twice_status_and_down(folder: Folder) -> None:
    """Without config, account or network: up, up again, status, down; the environment's AWS settings do not count."""
    first = folder.run("up", "--local", AWS_PROFILE="nonesuch", HTTP_PROXY="http://127.0.0.1:9")
    assert "The lab privatelink-lab is up in the local AWS" in first
    second = folder.run("up", "--local", "--json")
    assert [line for line in second.splitlines() if '"started"' in line and '"create"' in line] == []
    status = json.loads(folder.run("status", "--json"))
    assert {row["phase"] for row in status["resources"]} == {"ready"}
    folder.run("up", code=2)
    assert "Left: 0." in folder.run("down", "-y")
    assert folder.server()["speed"] == 0, "a server that `local start` started is not stopped by `down`"


def test_a_dry_run_stops_the_server_that_it_started(tmp_path: Path) -> None:
    """`up --local --dry-run` starts the server to read from it, and stops it: it has no resources."""
    made = Folder(tmp_path)
    ran = made.run("up", "--local", "--dry-run")
    assert "Nothing was changed" in ran
    made.run("local", "status", code=1)
    assert not (tmp_path / ".plab" / "local.json").exists()


def test_a_dead_server_means_that_everything_is_gone(folder: Folder) -> None:
    """After a kill of the server: status and down say so and exit 0; up --local starts afresh."""
    folder.run("up", "--local", "-q")
    os.kill(folder.server()["pid"], signal.SIGKILL)
    assert json.loads(folder.run("status", "--json"))["resources"] == []
    folder.run("down", "-y")
    folder.run("local", "start", "--speed", "0")
    assert "is up in the local AWS" in folder.run("up", "--local")


def test_ctrl_c_saves_and_a_second_up_goes_on(tmp_path: Path) -> None:
    """SIGINT in the middle of `up`: exit 130 with the way on; what was made is found by the next one."""
    made = Folder(tmp_path)
    made.run("local", "start", "--speed", "80")
    made.run("local", "faults", "throttle,action=CreateVpcEndpointServiceConfiguration")  # it comes no further
    process = subprocess.Popen(
        [*PLAB, "up", "--local", "--json"], cwd=tmp_path, env=made.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    for line in process.stdout:
        if '"provisioning"' in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stdout.read()
    assert process.wait(timeout=PATIENCE) == 130
    process.stdout.close()
    assert json.loads(rest.splitlines()[-1])["exit_code"] == 130
    made.run("local", "faults", "--off")
    again = made.run("up", "--local", "--json")
    created = [json.loads(line)["key"] for line in again.splitlines() if '"create"' in line]
    assert "provider/vpc" not in created
    assert "provider/endpoint-service" in created
    made.run("down", "-y")
    made.run("local", "stop")


def test_state_and_server_file_are_for_their_owner_only(folder: Folder) -> None:
    """The state, the server's address with its keys, and the log are 0600 in a 0700 folder."""
    folder.run("up", "--local", "-q")
    hidden = folder.path / ".plab"
    assert hidden.stat().st_mode & 0o777 == 0o700
    for name in ("privatelink-lab.json", "local.json", "local.log"):
        assert (hidden / name).stat().st_mode & 0o777 == 0o600, name


CONFIG = "lab: {}\nconsumers: [{{name: acme}}]\n"


def test_the_last_down_in_a_folder_ends_the_server(tmp_path: Path) -> None:
    """Two labs on the local AWS that `up` started: the first `down` says why it goes on, the second one ends it."""
    made = Folder(tmp_path)
    for lab in ("one", "two"):
        (tmp_path / f"{lab}.yaml").write_text(CONFIG.format(lab))
        made.run("up", "--local", "-q", "-c", f"{lab}.yaml")
    first = made.run("down", "-y", "-c", "one.yaml")
    assert "Left: 0." in first
    made.run("local", "status")
    assert "Left: 0." in made.run("down", "-y", "-c", "two.yaml")
    made.run("local", "status", code=1)


def test_a_server_that_dies_under_up_is_said_so(tmp_path: Path) -> None:
    """Kill -9 of the local AWS in the middle of `up`: one sentence within seconds, and the way to begin again."""
    made = Folder(tmp_path)
    made.run("local", "start", "--speed", "20")
    server = made.server()
    with subprocess.Popen(
        [*PLAB, "up", "--local"], cwd=tmp_path, env=made.environment, stderr=subprocess.PIPE, text=True
    ) as up:
        assert up.stderr
        assert any("provider/nlb: creating" in line for line in up.stderr)
        os.kill(server["pid"], signal.SIGKILL)
        said = up.stderr.read()
        assert up.wait(PATIENCE) == 1
    assert "The local AWS has ended under this command, and everything in it with it." in said
    assert "plab up --local" in said


def test_status_during_the_first_up_advises_nothing_that_hurts(tmp_path: Path) -> None:
    """Another terminal asks while `up` works: it sees the lab, and nobody is told to stop the local AWS."""
    made = Folder(tmp_path)
    with subprocess.Popen(
        [*PLAB, "up", "--local"], cwd=tmp_path, env=made.environment, stderr=subprocess.PIPE, text=True
    ) as up:
        assert up.stderr
        assert any("provider/vpc: creating" in line for line in up.stderr)
        seen = subprocess.run(
            [*PLAB, "status"], cwd=tmp_path, env=made.environment, capture_output=True, text=True, check=False
        )
        assert "local stop" not in seen.stdout + seen.stderr
        assert seen.returncode == 0, seen.stderr
        up.stderr.read()
    made.run("down", "-y")


def test_the_place_line_and_the_shell_name_the_folder(folder: Folder) -> None:
    """Nobody takes the local AWS for AWS: its folder is in every place line and in a variable for the prompt."""
    assert f"up in the local AWS ({folder.path})" in folder.run("up", "--local")
    assert f"export PLAB_LOCAL_AWS={folder.path}" in folder.run("local", "status")
    listed = json.loads(folder.run("local", "list", "--json"))["servers"]
    assert str(folder.path) in {server["folder"] for server in listed}
    assert str(folder.path) in folder.run("local", "list")
    folder.run("down", "-y")
