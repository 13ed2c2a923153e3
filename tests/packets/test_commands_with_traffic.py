"""The whole story, as a user runs it: commands, a server of its own, real packets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.patience import PATIENCE, until
from support.planned_network import SILENCE
from support.processes import alive, descendants, parent

from privatelink_lab.aws import Address, connect
from privatelink_lab.local import client, launch
from privatelink_lab.local.network import system_calls as kernel

SPEED = "200"
PLAB = Path(sys.executable).with_name("plab")
GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode())"
HOLD = f"""
import socket, sys
there = socket.create_connection((sys.argv[1], 80), {PATIENCE})
print("open", flush=True)
try:
    print(there.recv(1), flush=True)
except ConnectionResetError:
    print("cut", flush=True)
"""
CONFIG = """
lab: story
region: us-east-1
consumers:
  - name: one
    vpc: {cidr: 10.0.0.0/16}
  - name: two
    vpc: {cidr: 10.0.0.0/16}
    accept: manual
"""


@dataclass
class User:
    """Somebody with a folder, who types `plab`."""

    folder: Path

    def plab(self, *words: str, code: int = 0) -> str:
        """What a command prints on stdout; it must end with this exit code."""
        done = self.start(*words)
        out, err = done.communicate(timeout=PATIENCE)
        assert done.returncode == code, f"{words}: {done.returncode}\n{out}\n{err}"
        return out

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that runs."""
        pipe = subprocess.PIPE
        return subprocess.Popen(
            [PLAB, *words], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )

    def data(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """The JSON objects that a command prints."""
        return [json.loads(line) for line in self.plab(*words, "--json", code=code).splitlines()]

    def get(self, party: str, name: str, within: float = PATIENCE) -> str:
        """The page that a party gets from an address within these seconds; 'TimeoutError' or the like for none."""
        words = ["local", "shell", party, "python3", "-c", GET, f"http://{name}/", str(within)]
        done = self.start(*words)
        out, err = done.communicate(timeout=PATIENCE)
        return out.strip() if done.returncode == 0 else err.strip().splitlines()[-1]


@pytest.fixture
def user(tmp_path: Path, traffic: object) -> Iterator[User]:
    """A user whose local AWS is fast, and ends with the test."""
    (tmp_path / "plab.yaml").write_text(CONFIG)
    found = User(tmp_path)
    found.plab("local", "start", "--speed", SPEED)
    yield found
    launch.stop(tmp_path / ".plab")


def test_traffic_flows_only_after_acceptance(user: User) -> None:
    """Three VPCs with the same addresses: silence, acceptance, the page, rejection, a cut; and the other goes on."""
    built = user.data("up", "--local")[-1]
    names = {each["consumer"]: each["dns_name"] for each in built["endpoints"]}
    assert user.get("two", names["two"], SILENCE).endswith("timed out>")
    assert user.get("one", names["one"]) == "Hello World from provider VPC"
    assert user.get("two", names["one"], SILENCE) != "Hello World from provider VPC"
    assert user.plab("local", "shell", "provider", "hostname").startswith("ip-10-0-0-")

    first = user.data("verify", code=1)
    assert [(each["consumer"], each["ok"], each["hop"]) for each in first if each["event"] == "verified"] == [
        ("two", False, "endpoint"),
        ("one", True, None),
    ]
    user.plab("accept", "--all", "-y")
    rows = [each for each in user.data("verify") if each["event"] == "verified"]
    assert [each["body"] for each in rows] == ["Hello World from provider VPC"] * 2
    assert {address.rpartition(".")[0] for each in rows for address in each["addresses"]} == {"10.0.0"}

    held = user.start("local", "shell", "two", "python3", "-c", HOLD, names["two"])
    assert held.stdout is not None
    assert held.stdout.readline() == "open\n"
    [endpoint] = [each["endpoint"] for each in user.data("connections")[0]["connections"] if each["consumer"] == "two"]
    user.plab("reject", "-y", endpoint)
    assert held.communicate(timeout=PATIENCE)[0] == "cut\n"
    assert user.get("two", names["two"], SILENCE).endswith("timed out>")
    assert user.get("one", names["one"]) == "Hello World from provider VPC"

    server = client.running(user.folder / ".plab")
    assert server is not None
    everybody = descendants(server.pid)
    assert len(everybody) > 4
    user.plab("down", "-y")
    user.plab("local", "stop")
    until(lambda: not alive(everybody), "end of every process")
    assert sorted(each.name for each in (user.folder / ".plab").iterdir()) == ["local.log", "story.last.json"]


def test_a_broken_hop_is_named(user: User) -> None:
    """Without the rule of the web server's group the page stays away, and `verify` says whose rule it is."""
    user.plab("up", "--local", "-q")
    server = client.running(user.folder / ".plab")
    assert server is not None
    address = Address(server.url, server.access_key_id, server.secret_access_key)
    ec2 = connect(profile=None, role_arn=None, region="us-east-1", address=address).ec2
    tag: list[Any] = [{"Name": "tag:plab:key", "Values": ["provider/security-group"]}]
    [group] = ec2.describe_security_groups(Filters=tag)["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    verified = user.data("verify", "one", "--timeout", "1", code=1)
    found = next(each for each in verified if each["event"] == "verified")
    assert (found["ok"], found["hop"]) == (False, "target security group")


def test_a_killed_server_takes_everything_along(user: User) -> None:
    """After kill -9 of the server no process of it is left, nothing is mounted, and `down` says that all is gone."""
    user.plab("up", "--local", "-q")
    server = client.running(user.folder / ".plab")
    assert server is not None
    everybody, mounts = descendants(server.pid), Path("/proc/self/mounts").read_text()
    assert "plab" not in mounts
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not alive(everybody), "end of every process")
    assert Path("/proc/self/mounts").read_text() == mounts
    assert "exit_code" in user.data("down", "-y")[-1]
    assert not client.server_path(user.folder / ".plab").exists()


def test_a_shell_is_no_more_than_an_instance(user: User) -> None:
    """What an instance gave up a shell has not either, nor the caller's open files; off means off until a new visit."""
    user.plab("up", "--local", "-q")
    words = "mount -o remount,rw /usr 2>/dev/null && echo REMOUNTED; ls /proc/self/fd; grep CapBnd /proc/self/status"
    with (user.folder / "secret").open("w+") as secret:
        command = [str(PLAB), "local", "shell", "one", "--", "sh", "-c", words]
        shell = subprocess.run(
            command,
            cwd=user.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
            pass_fds=[secret.fileno()],
        )
    *descriptors, _, bounding = shell.stdout.split()
    assert [each for each in descriptors if each.isdigit()] == descriptors
    assert len(descriptors) == 4  # three and the one that `ls` reads the folder by
    assert not int(bounding, 16) & sum(1 << each for each in kernel.GIVEN_UP.values())
    user.start("local", "shell", "one", "poweroff").communicate(timeout=PATIENCE)

    def visits_again() -> bool:
        visit = user.start("local", "shell", "one", "true")
        visit.communicate(timeout=PATIENCE)
        return visit.returncode == 0

    until(visits_again, "visit after a power-off")


def test_the_local_aws_ends_with_its_network(user: User) -> None:
    """The carrier is killed (out of memory, say): the log says so, and the next command what to do."""
    user.plab("up", "--local", "-q")
    server = client.running(user.folder / ".plab")
    assert server is not None
    carrier = next(each for each in descendants(server.pid) - {server.pid} if parent(each) == server.pid)
    os.kill(carrier, signal.SIGKILL)
    until(lambda: not alive({server.pid}), "end of the server")
    assert "the network has ended" in client.log_path(user.folder / ".plab").read_text()
    done = user.start("status")
    assert done.communicate(timeout=PATIENCE)[1].endswith("everything that was in it is gone. Next: plab up --local\n")


def test_an_interrupted_verify_leaves_no_probe(user: User) -> None:
    """Ctrl-C while the probe waits: it is removed before the command ends with 130."""
    user.plab("up", "--local", "-q")
    user.plab("local", "faults", "stale,action=GetConsoleOutput,seconds=80000")
    running = user.start("verify", "one")
    assert running.stderr is not None
    for line in running.stderr:
        if "probe: at work" in line or "probe: running" in line:
            break
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=PATIENCE)
    assert running.returncode == 130
    assert not [each for each in user.data("status")[0]["resources"] if each["key"] == "one/probe"]
