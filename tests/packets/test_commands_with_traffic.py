"""plab's commands with real packets: a user runs them, with a local AWS in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.planned_network import SILENCE
from support.processes import PLAB, alive, descendants, parent, start_plab
from support.timeouts import PATIENCE, until

from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.local import control_client, launch
from privatelink_lab.local.network import system_calls

SPEED = "200"
GET = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=float(sys.argv[2])).read().decode())"
HOLD = f"""
import socket, sys
connection = socket.create_connection((sys.argv[1], 80), {PATIENCE})
print("open", flush=True)
try:
    print(connection.recv(1), flush=True)
except ConnectionResetError:
    print("reset", flush=True)
"""
CONFIG = """
lab: traffic
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
    """A user who runs `plab` in a folder."""

    folder: Path

    def plab(self, *words: str, code: int = 0) -> str:
        """What a command prints on stdout; it must end with this exit code."""
        process = self.start(*words)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return out

    def start(self, *words: str) -> subprocess.Popen[str]:
        """A command that runs."""
        return start_plab(self.folder, *words)

    def data(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """The JSON objects that a command prints."""
        return [json.loads(line) for line in self.plab(*words, "--json", code=code).splitlines()]

    def get(self, party: str, name: str, within: float = PATIENCE) -> str:
        """The page that a party gets from an address within this number of seconds, or the error when it gets none."""
        words = ["local", "shell", party, "python3", "-c", GET, f"http://{name}/", str(within)]
        process = self.start(*words)
        out, err = process.communicate(timeout=PATIENCE)
        return out.strip() if process.returncode == 0 else err.strip().splitlines()[-1]


@pytest.fixture
def user(tmp_path: Path, agent: object) -> Iterator[User]:
    """A user with a fast local AWS, which ends with the test."""
    (tmp_path / "plab.yaml").write_text(CONFIG)
    found = User(tmp_path)
    found.plab("local", "start", "--speed", SPEED)
    yield found
    launch.stop(tmp_path / ".plab")


def test_traffic_flows_only_after_acceptance(user: User) -> None:
    """Three VPCs with the same addresses: no page before acceptance and after rejection, which resets connections.

    The other consumer's page is served all the time.
    """
    built = user.data("up", "--local")[-1]
    names = {endpoint["consumer"]: endpoint["dns_name"] for endpoint in built["endpoints"]}
    assert user.get("two", names["two"], SILENCE).endswith("timed out>")
    assert user.get("one", names["one"]) == "Hello World from provider VPC"
    assert user.get("two", names["one"], SILENCE) != "Hello World from provider VPC"
    assert user.plab("local", "shell", "provider", "hostname").startswith("ip-10-0-0-")
    shown = user.plab("local", "shell", "one", "sh", "-c", "echo $ENDPOINT $SERVICE").split()
    assert shown == [names["one"], built["service_name"]]

    first = user.data("verify", code=1)
    assert [(row["consumer"], row["ok"], row["hop"]) for row in first if row["event"] == "verified"] == [
        ("two", False, "acceptance"),
        ("one", True, None),
    ]
    user.plab("accept", "--all", "-y")
    rows = [row for row in user.data("verify") if row["event"] == "verified"]
    assert [row["body"] for row in rows] == ["Hello World from provider VPC"] * 2
    assert {address.rpartition(".")[0] for row in rows for address in row["addresses"]} == {"10.0.0"}

    held = user.start("local", "shell", "two", "python3", "-c", HOLD, names["two"])
    assert held.stdout is not None
    assert held.stdout.readline() == "open\n"
    rows = user.data("connections")[0]["connections"]
    [endpoint] = [row["endpoint"] for row in rows if row["consumer"] == "two"]
    user.plab("reject", "-y", endpoint)
    assert held.communicate(timeout=PATIENCE)[0] == "reset\n"
    assert user.get("two", names["two"], SILENCE).endswith("timed out>")
    assert user.get("one", names["one"]) == "Hello World from provider VPC"

    server = control_client.running(user.folder / ".plab")
    assert server is not None
    processes = descendants(server.pid)
    assert len(processes) > 4
    user.plab("down", "-y")
    user.plab("local", "stop")
    until(lambda: not alive(processes), "end of every process")
    assert sorted(path.name for path in (user.folder / ".plab").iterdir()) == ["local.log", "traffic.last.json"]


def test_a_broken_hop_is_named(user: User) -> None:
    """Without the rule in the web server's group `why` and `verify` name it; the advised command brings it back."""
    user.plab("up", "--local", "-q")
    server = control_client.running(user.folder / ".plab")
    assert server is not None
    address = Address(server.url, server.access_key_id, server.secret_access_key)
    ec2 = connect(profile=None, role_arn=None, region="us-east-1", address=address).ec2
    tag: list[Any] = [{"Name": "tag:plab:key", "Values": ["provider/security-group"]}]
    [group] = ec2.describe_security_groups(Filters=tag)["SecurityGroups"]
    ec2.revoke_security_group_ingress(GroupId=group["GroupId"], IpPermissions=group["IpPermissions"])
    verified = user.data("verify", "one", "--timeout", "1", code=1)
    found = next(row for row in verified if row["event"] == "verified")
    assert (found["ok"], found["hop"]) == (False, "target")
    [broken] = user.data("why", "one", code=1)[0]["paths"]
    assert (broken["code"], broken["fix"]) == ("target-group-closed", "plab up --local")
    user.plab("up", "--local", "-q")
    user.plab("why", "one")
    user.plab("verify", "one")


def put_in_its_place(account: Account, script: str) -> None:
    """Another server with this user data is the target, in place of the lab's."""
    tag: list[Any] = [{"Name": "tag:plab:key", "Values": ["provider/web-server"]}]
    [found] = account.ec2.describe_instances(Filters=tag)["Reservations"]
    old = found["Instances"][0]
    made = account.ec2.run_instances(
        ImageId=old["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=old["SubnetId"],
        SecurityGroupIds=[group["GroupId"] for group in old["SecurityGroups"]],
        UserData=script,
    )["Instances"][0]["InstanceId"]

    def state() -> str:
        by_id: list[Any] = [{"Name": "instance-id", "Values": [made]}]  # which is no error for a new id
        rows = account.ec2.describe_instances(Filters=by_id)["Reservations"]
        return str(rows[0]["Instances"][0]["State"]["Name"]) if rows else ""

    until(lambda: state() == "running", "the other server")
    [group] = account.elbv2.describe_target_groups()["TargetGroups"]
    arn = group["TargetGroupArn"]
    account.elbv2.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": old["InstanceId"]}])
    account.elbv2.register_targets(TargetGroupArn=arn, Targets=[{"Id": made}])

    def health() -> list[str]:
        rows = account.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        return [str(row["TargetHealth"]["State"]) for row in rows]

    until(lambda: health() == ["unhealthy"], "the failure of its health checks")


LOCALHOST = "#!/bin/bash\npython3 -u -m http.server 80 --bind 127.0.0.1 > /dev/console 2>&1\n"


def test_what_only_a_probe_sees(user: User) -> None:
    """A server on 127.0.0.1 is named by its console, a ping that gets no answer beside the page that does."""
    user.plab("up", "--local", "-q")
    [well] = [row for row in user.data("verify", "one") if row["event"] == "verified"]
    assert [text.partition(":")[0] for text in well["also"]] == ["ping-is-no-test"]
    server = control_client.running(user.folder / ".plab")
    assert server is not None
    address = Address(server.url, server.access_key_id, server.secret_access_key)
    account = connect(profile=None, role_arn=None, region="us-east-1", address=address)
    put_in_its_place(account, LOCALHOST)
    [silent] = [row for row in user.data("verify", "one", "--timeout", "3", code=1) if row["event"] == "verified"]
    assert (silent["hop"], silent["detail"].partition(":")[0]) == ("server", "server-on-localhost")


def test_after_a_killed_server_nothing_is_left(user: User) -> None:
    """After kill -9 of the server none of its processes and mounts are left, and `down` reports that all is gone."""
    user.plab("up", "--local", "-q")
    server = control_client.running(user.folder / ".plab")
    assert server is not None
    processes, mounts = descendants(server.pid), Path("/proc/self/mounts").read_text()
    assert "plab" not in mounts
    os.kill(server.pid, signal.SIGKILL)
    until(lambda: not alive(processes), "end of every process")
    assert Path("/proc/self/mounts").read_text() == mounts
    assert "exit_code" in user.data("down", "-y")[-1]
    assert control_client.running(user.folder / ".plab") is None


def test_a_shell_is_no_more_than_an_instance(user: User) -> None:
    """A shell lacks the capabilities that an instance lacks, and the caller's open files; it can start again."""
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
    assert [text for text in descriptors if text.isdigit()] == descriptors
    assert len(descriptors) == 4  # three, and the one by which `ls` reads the folder
    assert not int(bounding, 16) & sum(1 << number for number in system_calls.DROPPED_CAPABILITIES.values())
    user.start("local", "shell", "one", "poweroff").communicate(timeout=PATIENCE)

    def opens_again() -> bool:
        shell = user.start("local", "shell", "one", "true")
        shell.communicate(timeout=PATIENCE)
        return shell.returncode == 0

    until(opens_again, "shell after a power-off")


def test_the_local_aws_ends_with_its_agent(user: User) -> None:
    """The agent is killed (out of memory, say): the log says so, and the next command says what to do."""
    user.plab("up", "--local", "-q")
    server = control_client.running(user.folder / ".plab")
    assert server is not None
    agent = next(pid for pid in descendants(server.pid) - {server.pid} if parent(pid) == server.pid)
    os.kill(agent, signal.SIGKILL)
    until(lambda: not alive({server.pid}), "end of the server")
    assert "the network has ended" in control_client.log_path(user.folder / ".plab").read_text()
    status = user.start("status")
    assert status.communicate(timeout=PATIENCE)[1].endswith("so no lab is there. Next: plab up --local\n")


def test_an_interrupted_verify_leaves_no_probe(user: User) -> None:
    """After Ctrl-C while the probe runs, the probe is removed before the command ends with 130."""
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
    assert not [row for row in user.data("status")[0]["resources"] if row["key"] == "one/probe"]
