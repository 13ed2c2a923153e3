"""The command line as a user or a script sees it: exit codes, stdout and stderr, errors, JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config
from support.foreign_account import STRANGER, connect_stranger

from privatelink_lab.cli import SECTIONS, plab
from privatelink_lab.engine import Built
from privatelink_lab.resource import Found, Phase


def test_up_status_connections_down(at_cloud: Cloud, run: Run) -> None:
    """The main job by AWS_ENDPOINT_URL: up twice, status, connections, down with its receipt, and nothing left."""
    before = at_cloud.aws.inventory()
    up = run("up")
    assert up.code == 0
    assert "The lab test is up in account 123456789012, region us-east-1" in up.out
    assert ".vpce.amazonaws.com" in up.out
    assert "about 0.0438 USD/hour" in up.out
    assert "as arn:aws:" in up.err
    assert run("up").code == 0
    status = run("status")
    assert "provider/nlb" in status.out
    assert "active" in status.out
    connections = run("connections", "--json").json[0]["connections"]
    assert [(row["state"], row["consumer"]) for row in connections] == [("available", "acme")]
    down = run("down", "-y")
    assert down.code == 0
    assert "Left: 0." in down.out
    assert "It cost about 0.0438 USD/hour at list prices" in down.out
    assert at_cloud.aws.inventory() == before
    again = run("down", "-y")
    assert (again.code, "Deleted: nothing." in again.out) == (0, True)
    assert "There is no such lab" in run("status").out


def test_status_asks_once_per_kind(at_cloud: Cloud, run: Run) -> None:
    """One describe for each kind and parent, and two for tags: of the balancer and of its target group."""
    run("up")
    at_cloud.calls()
    assert run("status").code == 0
    calls = at_cloud.calls()
    assert calls.count("DescribeTags") == 2
    assert len(calls) == len(set(calls)) + 1
    assert not [call for call in calls if not call.startswith(("Describe", "Get"))]


def test_manual_accept_reject_and_replace(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The provider accepts, rejects and replaces by hand; a script sees these exit codes."""
    write_config(tmp_path, "manual")
    up = run("up")
    assert up.code == 0
    assert "waits for `plab accept`" in up.out
    assert "Nothing was changed" in run("up", "--dry-run").out
    accepted = run("accept", "--all", "-y")
    assert accepted.code == 0
    assert accepted.out.startswith("Accepted: vpce-")
    endpoint = accepted.out.split()[1]
    assert run("accept", "--all", "-y").err.splitlines()[-1] == "Nothing is pending."
    assert run("reject", endpoint, "-y").code == 0
    after = run("up")
    assert after.code == 0
    assert f"{endpoint} of acme was rejected, and stays so. To ask again: plab up --replace acme/endpoint" in after.out
    assert "plab accept" not in after.out
    status = run("status", "--exit-code")
    assert status.code == 0
    assert "-> plab up --replace acme/endpoint" in status.out
    refused = run("accept", endpoint, "-y")
    assert (refused.code, "cannot be accepted any more" in refused.err) == (2, True)
    again = run("up", "-y", "--replace", "acme/endpoint")
    assert again.code == 0
    assert "pendingAcceptance" in again.out
    assert endpoint not in again.out


@pytest.mark.parametrize("command", [("down",), ("accept", "--all"), ("accept",), ("reject", "ID")])
def test_without_a_terminal_or_yes_nothing_is_changed(
    at_cloud: Cloud, run: Run, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """down, accept and reject need -y in a script: exit 2 and no mutating call."""
    write_config(tmp_path, "manual")
    run("up")
    endpoint = run("connections", "--json").json[0]["connections"][0]["endpoint"]
    at_cloud.calls()
    ran = run(*[endpoint if word == "ID" else word for word in command])
    assert ran.code == 2
    assert "There is no terminal to ask on" in ran.err
    assert at_cloud.changes() == []


def test_yes_alone_accepts_no_endpoint(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`accept -y` without ids or --all does not say which endpoints to accept: exit 2."""
    write_config(tmp_path, "manual")
    run("up")
    ran = run("accept", "-y")
    assert (ran.code, "does not say which endpoints to accept" in ran.err) == (2, True)


def test_json_of_up_is_events_closed_by_one_summary(at_cloud: Cloud, run: Run) -> None:
    """`up --json` prints only JSON lines on stdout, and nothing on stderr."""
    ran = run("up", "--json")
    assert ran.err == ""
    events = [line["event"] for line in ran.json]
    assert events.count("summary") == 1
    assert events[-1] == "summary"
    summary = ran.json[-1]
    assert list(summary) == [
        "event",
        "command",
        "exit_code",
        "lab",
        "place",
        "service_name",
        "endpoints",
        "usd_per_hour",
        "expires",
        "not_in_config",
        "principals_not_in_config",
        "uninvited",
        "seconds",
        "failed",
        "not_tried",
        "suspect",
        "incomplete",
        "for_provider",
        "next",
    ]
    assert list(summary["endpoints"][0]) == ["consumer", "endpoint", "state", "dns_name"]
    assert {event for event in events if event != "waiting"} == {"started", "finished", "summary"}


def test_json_of_the_other_commands(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The keys of status, connections, accept, reject, down and the dry run are a contract."""
    write_config(tmp_path, "manual")
    plan = run("up", "--dry-run", "--json").json[-1]
    assert list(plan) == ["event", "command", "exit_code", "lab", "place", "plan", "usd_per_hour"]
    assert {row["action"] for row in plan["plan"]} == {"make"}
    run("up", "-q")
    status = run("status", "--json").json[0]
    surplus = ["not_in_config", "principals_not_in_config", "uninvited"]
    first = ["lab", "place", "usd_per_hour", "since", "usd_so_far", "expires", "resources"]
    assert list(status) == [*first, *surplus, "for_provider"]
    assert list(status["resources"][0]) == ["key", "step", "id", "phase", "detail", "shows"]
    shown = {row["key"]: list(row["shows"]) for row in status["resources"] if row["shows"]}
    assert shown == {"provider/endpoint-service": ["service_name"], "acme/endpoint": ["dns_name"]}
    rows = run("connections", "--json").json[0]["connections"]
    first = ["endpoint", "owner", "state", "consumer", "region", "since", "dns_name"]
    assert list(rows[0]) == [*first, "customer", "reason", "detail", "admitted_by", "admitted_at", "rule"]
    accepted = run("accept", rows[0]["endpoint"], "-y", "--json").json
    assert [line["event"] for line in accepted][-2:] == ["accepted", "summary"]
    assert accepted[-1]["accepted"] == [rows[0]["endpoint"]]
    rejected = run("reject", rows[0]["endpoint"], "-y", "--json").json
    assert rejected[-1] == {"event": "summary", "command": "reject", "exit_code": 0, "rejected": [rows[0]["endpoint"]]}
    down = run("down", "-y", "--json").json[-1]
    assert list(down) == [
        "event",
        "command",
        "exit_code",
        "lab",
        "place",
        "deleted",
        "left",
        "incomplete",
        "stopped_usd_per_hour",
        "usd_so_far",
    ]


def test_a_failure_in_json_carries_the_error(at_cloud: Cloud, run: Run) -> None:
    """A refused create is a `failed` event with AWS's code, request id and a hint; the summary repeats the first."""
    at_cloud.fail("CreateLoadBalancer", 403, "AccessDenied")
    ran = run("up", "--json")
    failed = [line for line in ran.json if line["event"] == "failed"]
    assert [line["key"] for line in failed] == ["provider/nlb"]
    error = failed[0]["error"]
    assert list(error) == ["code", "message", "request_id", "hint"]
    assert error["code"] == "AccessDenied"
    assert error["request_id"]
    assert "elasticloadbalancing:CreateLoadBalancer" in error["hint"]
    assert ran.json[-1]["error"] == error
    assert (ran.code, ran.json[-1]["exit_code"]) == (1, 1)
    assert ran.json[-1]["not_tried"]


def test_no_permission_names_the_action(at_cloud: Cloud, run: Run) -> None:
    """UnauthorizedOperation: exit 1, one sentence with code and request id, and the action to allow."""
    at_cloud.fail("CreateVpc", 403, "UnauthorizedOperation")
    ran = run("up", "-q")
    assert ran.code == 1
    assert "CreateVpc" in ran.err
    assert "UnauthorizedOperation, request " in ran.err
    assert "Hint: Allow the action ec2:CreateVpc" in ran.err


def test_expired_credentials_are_one_sentence(at_cloud: Cloud, run: Run) -> None:
    """ExpiredToken at the first call: exit 1, a sentence and how to renew them."""
    at_cloud.fail("GetCallerIdentity", 403, "ExpiredToken")
    ran = run("up")
    assert ran.code == 1
    assert ran.err.splitlines() == [
        "Error: The AWS credentials have expired: A fault that was asked for: GetCallerIdentity (ExpiredToken).",
        "Hint: Renew them, e.g. `aws sso login`.",
    ]


def test_no_credentials_profile_or_region(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No credentials and an unknown profile exit with 1, no region with 2: one sentence and one hint."""
    write_config(tmp_path)
    none = run("up")
    assert (none.code, len(none.err.splitlines())) == (1, 2)
    assert "There are no usable AWS credentials" in none.err
    monkeypatch.setenv("AWS_PROFILE", "nonesuch")
    unknown = run("up")
    assert (unknown.code, len(unknown.err.splitlines())) == (1, 2)
    assert "nonesuch" in unknown.err
    monkeypatch.delenv("AWS_PROFILE")
    write_config(tmp_path, **{"region: us-east-1\n": ""})
    no_region = run("up")
    assert no_region.code == 2
    assert no_region.err.splitlines()[0] == "Error: There is no AWS region."


def test_a_bad_config_is_reported_before_any_call(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """Every mistake at once with file and line, exit 2, and no call went out."""
    write_config(tmp_path, **{"lab: test": "lab: Test!", "name: acme": "name: provider"})
    at_cloud.calls()
    ran = run("up")
    assert ran.code == 2
    assert "plab.yaml:1: lab:" in ran.err
    assert "plab.yaml:4: consumers[0].name:" in ran.err
    assert at_cloud.calls() == []
    as_json = run("up", "--json")
    assert (as_json.code, as_json.json[0]["exit_code"], as_json.err) == (2, 2, "")


def test_no_config_names_both_ways_on(run: Run) -> None:
    """Without a file: exit 2, and the hint names `plab init` and `plab up --local`."""
    ran = run("up")
    assert ran.code == 2
    assert "plab init" in ran.err
    assert "plab up --local" in ran.err
    assert run("up", "-c", "missing.yaml").code == 2


def test_init_writes_a_config_that_loads_and_never_overwrites(run: Run, tmp_path: Path, at_cloud: Cloud) -> None:
    """`plab init` writes the commented example; a second one refuses without --force."""
    (tmp_path / "plab.yaml").unlink()
    assert run("init").code == 0
    assert run("up", "--dry-run").code == 0
    assert run("init").code == 2
    assert run("init", "--force").code == 0


def test_an_unknown_replace_key_names_the_known_ones(at_cloud: Cloud, run: Run) -> None:
    """`--replace` of something else: exit 2 and the keys that can be replaced."""
    run("up")
    at_cloud.calls()
    ran = run("up", "--replace", "acme/acceptance")
    assert ran.code == 2
    assert "acme/endpoint" in ran.err
    assert at_cloud.changes() == []


def test_another_account_than_the_states_is_refused(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """A state of one account and credentials of another: exit 1, both named, nothing called."""
    run("up")
    write_config(tmp_path, **{"region: us-east-1": "region: us-east-1\nprovider: {profile: other}"})
    (tmp_path / "credentials").write_text("[other]\naws_access_key_id = x\naws_secret_access_key = y\n")
    assert run("up").code == 1
    write_config(tmp_path, **{"region: us-east-1": "region: eu-west-1"})
    at_cloud.calls()
    ran = run("up")
    assert ran.code == 1
    assert "region us-east-1" in ran.err
    assert "region eu-west-1" in ran.err
    assert at_cloud.changes() == []


def test_a_foreign_connection_holds_down_until_forced(
    at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`down -y` lists other accounts' connections and refuses, `down` asks, `--force` rejects and deletes."""
    provider = "region: us-east-1\nprovider: {service: {allowed_principals: [444455556666]}}"
    write_config(tmp_path, **{"region: us-east-1": provider})
    summary = run("up", "--json").json[-1]
    status = {row["key"]: row["id"] for row in run("status", "--json").json[0]["resources"]}
    subnet = Found(status["provider/subnet-1"], Phase.READY)
    service = Found("", Phase.READY, "", {"service_name": summary["service_name"]})
    built = Built({}, {"provider/subnet-1": (subnet,), "provider/endpoint-service": (service,)})
    stranger = connect_stranger(at_cloud, built)
    at_cloud.calls()
    ran = run("down", "-y")
    assert ran.code == 1
    assert f"{stranger} of account 444455556666" in ran.err
    assert "plab down --force" in ran.err
    assert at_cloud.changes() == []
    assert STRANGER.split(":")[4] == "444455556666"
    without_terminal = run("down")
    assert (without_terminal.code, "Use --force to agree" in without_terminal.err) == (2, True)
    assert at_cloud.changes() == []
    for answers in ((False,), (True, False)):  # to the question about the others, and to the one about the lab
        asked = iter(answers)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("privatelink_lab.cli.down.confirm", lambda _, asked=asked, **__: next(asked))
        refused = run("down")
        assert refused.code == 1
        assert f"{stranger} of account 444455556666" in refused.err
        assert "Nothing was changed." in refused.err
        assert next(asked, None) is None
        assert at_cloud.changes() == []
    forced = run("down", "-y", "--force")
    assert forced.code == 0
    assert "1 foreign connection" in forced.out


def test_what_cannot_be_deleted_is_left_with_exit_3(at_cloud: Cloud, run: Run) -> None:
    """A refused delete: the rest goes, the receipt names what is left, exit 3; the next `down` finishes."""
    run("up")
    at_cloud.fail("TerminateInstances", 403, "UnauthorizedOperation")
    ran = run("down", "-y")
    assert ran.code == 3
    assert "Left: 4: provider/web-server (i-" in ran.out
    assert "provider/web-server: TerminateInstances" in ran.err
    assert "Error: provider/vpc stays, because provider/web-server could not be deleted." in ran.err
    at_cloud.heal()
    assert run("down", "-y").code == 0


def test_local_does_not_hide_a_lab_on_aws(at_cloud: Cloud, run: Run) -> None:
    """`down --local` of a lab that lives on AWS is bad usage, never "everything is gone"."""
    run("up")
    for command in (("down", "-y"), ("status",), ("up",)):
        ran = run(*command, "--local")
        assert ran.code == 2
        assert "not on the local AWS" in ran.err


@pytest.mark.parametrize("command", [("up",), ("down", "-y"), ("status",), ("connections",), ("status", "--lab", "x")])
def test_a_local_aws_in_this_folder_is_not_overlooked(run: Run, tmp_path: Path, command: tuple[str, ...]) -> None:
    """Its lab's state is lost, or the lab has another name now: plab does not go to AWS instead; exit 2, no call."""
    write_config(tmp_path)
    (tmp_path / ".plab").mkdir()
    (tmp_path / ".plab" / "local.json").write_text("{}")
    ran = run(*command)
    assert (ran.code, "A local AWS runs in this folder" in ran.err, "--local" in ran.err) == (2, True, True)


def test_where_a_local_lab_was_there_is_nothing_to_do(run: Run, tmp_path: Path) -> None:
    """A second `down`, or `status`, in a folder without a config: exit 0; a bare `up` does not go to AWS."""
    (tmp_path / ".plab").mkdir()
    place = {"region": "us-east-1", "account": "123456789012", "server": "token", "folder": "/lab"}
    (tmp_path / ".plab" / "privatelink-lab.last.json").write_text(json.dumps({"place": place}))
    for command in (("down", "-y"), ("status",)):
        ran = run(*command)
        assert (ran.code, "No local AWS runs in this folder, so no lab is there" in ran.err) == (0, True)
    refused = run("up")
    assert (refused.code, "There is no config file" in refused.err) == (2, True)


def test_every_command_has_a_section_in_the_help(run: Run) -> None:
    """`plab --help` groups the commands by what people want, and leaves none out."""
    ran = run("--help")
    assert re.findall(r"^(\w[\w ]+):$", ran.out, re.MULTILINE)[-4:] == list(SECTIONS)
    for name in plab.commands:
        assert re.search(rf"^  {name}  ", ran.out, re.MULTILINE), name


def test_a_mistyped_command_is_told_which_one_was_meant(run: Run) -> None:
    """`plab statu` names `status`."""
    ran = run("statu")
    assert ran.code == 2
    assert "'status'" in ran.err


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "utf-8"])
def test_what_stdout_cannot_encode_ends_no_command(tmp_path: Path, encoding: str) -> None:
    """A Chinese file name on a terminal without Unicode is printed with escapes; the command has worked."""
    command = [sys.executable, "-m", "privatelink_lab", "init", "你好.yaml"]
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert b"Wrote " in ran.stderr
    assert [path.name for path in tmp_path.glob("*.yaml")] == ["你好.yaml"]
