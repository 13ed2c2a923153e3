"""`plab verify` as a user or a script meets it; what the probes would have written is given."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of
from support.command_line import Run, write_config
from support.stand_in_traffic import StandInTraffic, stand_in

from privatelink_lab import engine
from privatelink_lab.local.process_identity import ProcessIdentity
from privatelink_lab.resource import Token
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.probe import LINE_PREFIX, ProbeTask, probe
from privatelink_lab.steps.web_server import page

MESSAGE = config_of().provider.web_server.message
KEY = "acme/probe"
ASKED = ProbeTask(requests=10, seconds=120, run="earlier")
SECOND = "  - name: beta\n    accept: auto\n"


def report(*, requests: int = 10, message: str = MESSAGE) -> bytes:
    """What a probe writes on its console when all goes well."""
    row = {
        "address": "10.1.0.4",
        "status": 200,
        "digest": hashlib.sha256(page(message)).hexdigest(),
        "body": message,
        "connect_ms": 1.5,
        "total_ms": 4.25,
    }
    rows = [row, *[row | {"connect_ms": 1.5}] * (requests - 1), {"end": True, "tries": requests}]
    return "".join(f"[   12.5] cloud-init: {LINE_PREFIX} {json.dumps(row)}\r\n" for row in rows).encode()


@pytest.fixture
def traffic(at_cloud: Cloud) -> StandInTraffic:
    """Every probe is well, until the test lets it write something else."""
    made = stand_in(at_cloud.aws)
    made.writes = lambda _: report()
    return made


@pytest.fixture
def lab(at_cloud: Cloud, traffic: StandInTraffic, run: Run) -> Cloud:
    """The lab of the config file, up; the calls until here are forgotten."""
    assert run("up", "-q").code == 0
    at_cloud.calls()
    return at_cloud


def probes(cloud: Cloud) -> list[dict[str, Any]]:
    """The instances that ever bore the probe's tag."""
    filters: Any = [{"Name": "tag:plab:key", "Values": [KEY]}]
    reservations = cloud.account().ec2.describe_instances(Filters=filters)["Reservations"]
    return [dict(instance) for reservation in reservations for instance in reservation["Instances"]]


def states(cloud: Cloud) -> list[str]:
    """The states of all probes."""
    return [instance["State"]["Name"] for instance in probes(cloud)]


def leave_probe(cloud: Cloud) -> None:
    """Leave the probe of a `verify` that is killed after RunInstances."""
    lab = cloud.lab()
    seen = engine.survey(lab, STEPS)
    engine.claim_or_refuse(lab, seen.snapshot, adopt=False)
    resource = probe(lab, "acme", ASKED)
    assert resource.type.create is not None
    resource.type.create(lab, seen.snapshot, resource, Token(lab.config.lab, KEY, 0))
    cloud.let_new_ids_propagate()


def test_a_good_path_is_proved_and_nothing_stays(lab: Cloud, run: Run, tmp_path: Path) -> None:
    """Exit 0 with page and times; the probe is terminated, and AWS and the state are as before."""
    inventory, state = lab.aws.inventory(), (tmp_path / ".plab" / "test.json").read_bytes()
    files = set((tmp_path / ".plab").iterdir())
    ran = run("verify")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        f"acme: 200 from 10.1.0.4: {MESSAGE}",
        "  10 of 10 requests; connect 1.5 ms (max 1.5), total 4.2 ms (max 4.2)",
    ]
    assert lab.changes() == ["RunInstances", "TerminateInstances"]
    assert states(lab) == ["terminated"]
    assert lab.aws.inventory() == inventory
    assert (tmp_path / ".plab" / "test.json").read_bytes() == state
    assert set((tmp_path / ".plab").iterdir()) == files


def test_what_differs_from_the_config_is_proved_as_it_is(lab: Cloud, run: Run) -> None:
    """Somebody has changed the endpoint's policy: it is drifted, packets pass, and the probe says so."""
    ec2 = lab.account().ec2
    [endpoint] = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint["VpcEndpointId"], PolicyDocument='{"Statement": []}')
    lab.let_new_ids_propagate()
    assert run("status", "--exit-code").code == 1
    assert run("verify").code == 0


def test_the_probe_asks_the_endpoints_name_and_ends_itself(lab: Cloud, run: Run) -> None:
    """Its user data has name, port and patience; a shutdown terminates it; it is private and bears the lab's tags."""
    name = run("up", "--json").json[-1]["endpoints"][0]["dns_name"]
    assert run("verify", "--requests", "10", "--timeout", "30").code == 0
    (instance,) = probes(lab)
    ec2 = lab.account().ec2

    def attribute(which: str) -> Any:
        return ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute=which)  # type: ignore[arg-type]

    script = base64.b64decode(attribute("userData")["UserData"]["Value"]).decode()
    assert "shutdown -h +15" in script
    settings = json.loads(base64.b64decode(script.split("python3 - ")[1].split()[0]))
    wanted = {"name": name, "port": 80, "requests": 10, "seconds": 30.0, "run": "", "only_tcp": False}
    assert settings | {"run": ""} == wanted
    behavior = attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]["Value"]
    assert behavior == "terminate"
    assert "PublicIpAddress" not in instance
    assert {"Key": "plab:lab", "Value": "test"} in instance["Tags"]


def test_json_of_a_good_path(lab: Cloud, run: Run) -> None:
    """Events of probe and verdict closed by the summary, with the documented keys; nothing on stderr."""
    ran = run("verify", "--json")
    assert (ran.code, ran.err) == (0, "")
    events = [(row["event"], row.get("action") or row.get("phase")) for row in ran.json if row["event"] != "waiting"]
    assert events == [
        ("started", "create"),
        ("finished", "ready"),
        ("verified", None),
        ("started", "delete"),
        ("finished", "deleted"),
        ("summary", None),
    ]
    verified = next(row for row in ran.json if row["event"] == "verified")
    assert verified == {
        "event": "verified",
        "consumer": "acme",
        "ok": True,
        "addresses": ["10.1.0.4"],
        "status": 200,
        "body": MESSAGE,
        "connect_ms": {"p50": 1.5, "max": 1.5, "each": [1.5] * 10},
        "total_ms": {"p50": 4.25, "max": 4.25, "each": [4.25] * 10},
        "hop": None,
        "detail": "10 of 10 requests",
        "fix": "",
        "also": [],
    }
    assert ran.json[-1] == {
        "event": "summary",
        "command": "verify",
        "exit_code": 0,
        "verified": ["acme"],
        "broken": {},
    }


def test_another_page_is_broken(lab: Cloud, traffic: StandInTraffic, run: Run) -> None:
    """Exit 1, the hop and what came in words and in JSON; the probe is gone all the same."""
    traffic.writes = lambda _: report(message="Goodbye")
    ran = run("verify")
    assert ran.code == 1
    assert ran.out == "acme: BROKEN at the hop server: it answered 200 with 'Goodbye'\n"
    assert ran.err.splitlines()[-2:] == [
        "Error: 1 of 1 consumers do not reach the service.",
        "Hint: plab status",
    ]
    summary = run("verify", "--json").json[-1]
    assert list(summary) == ["event", "command", "exit_code", "error", "verified", "broken"]
    assert (summary["exit_code"], summary["verified"], summary["broken"]) == (1, [], {"acme": "server"})
    assert states(lab) == ["terminated"] * 2


def test_no_probe_starts_while_the_endpoint_waits_for_acceptance(
    at_cloud: Cloud, traffic: StandInTraffic, run: Run, tmp_path: Path
) -> None:
    """One pendingAcceptance, one available: exit 1, hop `acceptance`, and an instance for the other one only."""
    write_config(tmp_path, "manual")
    with (tmp_path / "plab.yaml").open("a") as file:
        file.write(SECOND)
    run("up", "-q")
    at_cloud.calls()
    alone = run("verify", "acme")
    assert alone.code == 1
    assert alone.out == "acme: waits for acceptance -> plab accept acme\n"
    assert alone.err.splitlines()[-1] == "Hint: plab accept acme"
    assert at_cloud.changes() == []
    both = run("verify", "--json").json[-1]
    assert (both["exit_code"], both["verified"], both["broken"]) == (1, ["beta"], {"acme": "acceptance"})
    assert at_cloud.changes() == ["RunInstances", "TerminateInstances"]
    assert run("verify", "beta", "beta").out.count("beta: 200") == 1


def test_an_unknown_consumer_is_bad_usage(lab: Cloud, run: Run) -> None:
    """Exit 2 with the names that there are, before any call."""
    ran = run("verify", "acme", "nonesuch")
    assert ran.code == 2
    assert ran.err.splitlines() == ["Error: The lab has no consumer 'nonesuch'.", "Hint: One of: acme"]
    assert lab.calls() == []


def test_the_probe_of_a_killed_verify_is_listed_and_removed(lab: Cloud, run: Run) -> None:
    """`status` lists it; the next `verify` ends it before it makes its own, which `status` no longer shows."""
    leave_probe(lab)
    rows = {row["key"]: row for row in run("status", "--json").json[0]["resources"]}
    assert (rows[KEY]["step"], rows[KEY]["id"]) == ("probe", probes(lab)[0]["InstanceId"])
    lab.calls()
    assert run("verify").code == 0
    assert lab.changes() == ["TerminateInstances", "RunInstances", "TerminateInstances"]
    assert states(lab) == ["terminated"] * 2
    assert KEY not in {row["key"] for row in run("status", "--json").json[0]["resources"]}


def test_down_removes_the_probe_of_a_killed_verify(lab: Cloud, run: Run) -> None:
    """The receipt counts it, also after the consumer has left the config; nothing is left."""
    leave_probe(lab)
    down = run("down", "-y", "--json").json[-1]
    assert (down["exit_code"], down["deleted"]["probe"], down["left"]) == (0, 1, [])
    assert states(lab) == ["terminated"]
    assert run("down", "-y", "--json").json[-1]["deleted"] == {}


def test_ctrl_c_removes_the_probe(lab: Cloud, traffic: StandInTraffic, run: Run) -> None:
    """SIGINT while the probe is at work: exit 130, and the instance is gone."""
    before = lab.aws.inventory()

    def interrupt_once(_: str) -> bytes:
        traffic.writes = lambda _: b""
        os.kill(os.getpid(), signal.SIGINT)
        return b""

    traffic.writes = interrupt_once
    ran = run("verify", "--json")
    assert (ran.code, ran.json[-1]["exit_code"]) == (130, 130)
    assert "verified" not in [row["event"] for row in ran.json]
    assert lab.changes() == ["RunInstances", "TerminateInstances"]
    assert lab.aws.inventory() == before


def test_a_second_ctrl_c_says_that_a_probe_may_be_left(
    lab: Cloud, traffic: StandInTraffic, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it is removed: exit 130, with what is left and who ends it; the next `down` does."""
    remove = engine.down

    def interrupt(_: str) -> bytes:
        traffic.writes = lambda _: b""
        os.kill(os.getpid(), signal.SIGINT)
        return b""

    def remove_interrupted(*words: Any, **more: Any) -> engine.Removed:
        os.kill(os.getpid(), signal.SIGINT)
        return remove(*words, **more)

    traffic.writes = interrupt
    monkeypatch.setattr(engine, "down", remove_interrupted)
    ran = run("verify")
    assert ran.code == 130
    assert "Stopped; a probe may be left. It ends itself within a quarter of an hour." in ran.err
    assert "Hint: This removes it at once: plab verify" in ran.err
    lab.let_new_ids_propagate()
    assert states(lab) == ["running"]
    monkeypatch.setattr(engine, "down", remove)
    assert run("down", "-y", "--json").json[-1]["deleted"]["probe"] == 1


def test_another_makers_lab_is_not_verified(
    lab: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another maker made the lab of that name, and there is no state of it here: plab puts no probe into their VPC."""
    (tmp_path / ".plab" / "test.json").unlink()
    monkeypatch.setattr("privatelink_lab.lab.getpass.getuser", lambda: "other")
    ran = run("verify")
    assert ran.code == 1
    assert "belongs to " in ran.err
    assert lab.changes() == []


def test_another_consumers_leftover_is_removed_too(
    at_cloud: Cloud, traffic: StandInTraffic, run: Run, tmp_path: Path
) -> None:
    """A `verify` of one consumer also ends the probe that a killed one left with the other."""
    with (tmp_path / "plab.yaml").open("a") as file:
        file.write(SECOND)
    run("up", "-q")
    leave_probe(at_cloud)
    at_cloud.calls()
    assert run("verify", "beta").code == 0
    assert at_cloud.changes() == ["TerminateInstances", "RunInstances", "TerminateInstances"]
    assert states(at_cloud) == ["terminated"]


def test_a_probe_that_cannot_be_started(lab: Cloud, run: Run) -> None:
    """RunInstances refused: exit 1, and the hop says that it is not the path."""
    lab.fail("RunInstances", 403, "UnauthorizedOperation")
    ran = run("verify")
    assert ran.code == 1
    assert ran.out == "acme: BROKEN at the hop probe: acme/probe failed\n"
    assert "Error: acme/probe: RunInstances: " in ran.err
    assert states(lab) == []


def test_a_refused_describe_is_no_broken_hop(lab: Cloud, run: Run) -> None:
    """DescribeVpcEndpoints is refused: `verify` reports AWS's error, not a missing endpoint."""
    lab.fail("DescribeVpcEndpoints", 403, "UnauthorizedOperation")
    ran = run("verify")
    assert ran.code == 1
    assert "BROKEN" not in ran.out
    assert "DescribeVpcEndpoints" in ran.err
    assert lab.changes() == []


def test_without_the_right_to_read_the_console_nothing_is_known(lab: Cloud, run: Run) -> None:
    """`verify` names the right, calls no consumer cut off, and removes the probe; `down` needs no console either."""
    lab.fail("GetConsoleOutput", 403, "UnauthorizedOperation")
    ran = run("verify")
    assert ran.code == 1
    assert "ec2:GetConsoleOutput" in ran.err
    assert "1 of 1 consumers could not be probed, so nothing is known of them." in ran.err
    assert "do not reach the service" not in ran.err
    assert set(states(lab)) <= {"terminated", "shutting-down"}
    leave_probe(lab)
    assert run("down", "-y", "-q").code == 0


def test_a_type_without_nitro_is_read_without_latest(
    at_cloud: Cloud, traffic: StandInTraffic, run: Run, tmp_path: Path
) -> None:
    """GetConsoleOutput with Latest is UnsupportedOperation for a t2: it is asked again without."""
    provider = "region: us-east-1\nprovider: {web_server: {instance_type: t2.micro}}"
    write_config(tmp_path, **{"region: us-east-1": provider})
    run("up", "-q")
    at_cloud.lines.clear()
    assert run("verify").code == 0
    asked = [line.split()[3] for line in at_cloud.lines if "GetConsoleOutput" in line]
    assert asked[-2:] == ["400", "200"]


# Where it lives.


@pytest.fixture
def local(at_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file by which commands find the local AWS of their folder; no endpoint in the environment."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    aws = at_cloud.aws
    data = asdict(ProcessIdentity.own()) | {"url": aws.url, "token": aws.token, "speed": 0.0, "slow": False}
    data |= {"by_up": True, "folder": str(tmp_path)}
    keys = {"access_key_id": aws.access_key_id, "secret_access_key": aws.secret_access_key}
    path = tmp_path / ".plab" / "local.json"
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(json.dumps(data | keys))
    return path


def test_a_local_aws_without_packets_says_why(at_cloud: Cloud, traffic: StandInTraffic, local: Path, run: Run) -> None:
    """Exit 1 with the reason, and no instance for nothing; with packets it goes through."""
    run("up", "--local", "-q")
    traffic.why_not = "No user namespaces."
    at_cloud.calls()
    ran = run("verify")
    assert ran.code == 1
    assert "Error: The local AWS carries no traffic. No user namespaces." in ran.err
    assert at_cloud.changes() == []
    traffic.why_not = ""
    assert run("verify").code == 0


def test_a_local_aws_that_has_gone_proves_nothing(
    at_cloud: Cloud, traffic: StandInTraffic, local: Path, run: Run
) -> None:
    """Exit 1, in words and in JSON: nothing was proved."""
    run("up", "--local", "-q")
    local.unlink()
    assert run("verify", "--json").json == [
        {
            "event": "summary",
            "command": "verify",
            "exit_code": 1,
            "lab": "test",
            "place": "the local AWS, which is not running",
            "verified": [],
            "broken": {},
        }
    ]


# The probe by itself, in virtual time.


def test_a_probe_that_never_ends_is_given_up(cloud: Cloud) -> None:
    """A console that stays empty: the probe fails two minutes after what `--timeout` allows, not in a quarter hour."""
    stand_in(cloud.aws)
    lab = cloud.lab()
    cloud.up(lab)
    resource = probe(lab, "acme", ProbeTask(10, 30, "one"))
    built = engine.create_only(lab, {KEY: resource}, engine.survey(lab, STEPS))
    assert str(built.failed[KEY]) == f"{KEY} is still 'at work' after 3 min."


def test_a_probe_without_its_security_group_is_not_waited_for(cloud: Cloud) -> None:
    """The lab's security group was deleted by hand: `verify` fails at once and starts no probe."""
    stand_in(cloud.aws)
    lab = cloud.lab()
    built = cloud.up(lab)
    replace_group(cloud, id_of(built, "acme/endpoint"), id_of(built, "acme/security-group"))
    seen = engine.survey(lab, STEPS)
    cloud.clock.before_sleep = lab.interrupt
    made = engine.create_only(lab, {KEY: probe(lab, "acme", ASKED)}, seen)
    assert made.exit_code == 1
    assert "RunInstances" not in cloud.calls()[-10:]


def replace_group(cloud: Cloud, endpoint: str, group: str) -> None:
    """Give an endpoint another security group, and delete the one that it had."""
    ec2 = cloud.account().ec2
    vpc = ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["VpcId"]
    other = ec2.create_security_group(GroupName="other", Description="by hand", VpcId=vpc)["GroupId"]
    cloud.let_new_ids_propagate()
    ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSecurityGroupIds=[other], RemoveSecurityGroupIds=[group])
    cloud.let_new_ids_propagate()
    ec2.delete_security_group(GroupId=group)


def test_a_config_that_has_changed_since_is_said(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The port in the config is not the lab's: verify says so, since what it asks for cannot answer."""
    write_config(tmp_path)
    stand_in(at_cloud.aws).writes = lambda _: report()
    run("up", "-q")
    write_config(tmp_path, **{"region: us-east-1": "region: us-east-1\nprovider: {web_server: {port: 8080}}"})
    ran = run("verify")
    assert "provider/target-group has another port: 80, the config says 8080." in ran.err
