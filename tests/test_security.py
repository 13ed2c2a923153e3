"""No secret anywhere but in the request, nothing open to the world, files for their owner only."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud, config_of
from support.command_line import Run

from privatelink_lab.lab import Lab
from privatelink_lab.steps.probe import ProbeTask
from privatelink_lab.steps.probe import user_data as probe_data
from privatelink_lab.steps.web_server import user_data


def test_no_secret_is_printed_or_written(
    at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With -v, also where AWS refuses: no key, secret or token in output, events, state or log."""
    import logging

    role: Any = {"RoleArn": "arn:aws:iam::123456789012:role/session", "RoleSessionName": "session"}
    given = at_cloud.account().sts.assume_role(**role)["Credentials"]
    secrets = [given["SecretAccessKey"], given["AccessKeyId"], given["SessionToken"]]
    for name, secret in zip(("SECRET_ACCESS_KEY", "ACCESS_KEY_ID", "SESSION_TOKEN"), secrets, strict=True):
        monkeypatch.setenv(f"AWS_{name}", secret)
    run("up", "-q")
    written = (tmp_path / ".plab" / "test.json").read_text()
    assert (tmp_path / ".plab" / "test.json").stat().st_mode & 0o777 == 0o600
    at_cloud.fail("Delete*", 403, "UnauthorizedOperation")
    commands = (("up",), ("up", "--json"), ("status", "--json"), ("down", "-y"))
    runs = [run(*words, "-v") for words in commands]
    logging.getLogger("privatelink_lab").setLevel(logging.NOTSET)
    for secret in secrets:
        assert secret not in written + "".join(ran.out + ran.err for ran in runs)


def test_no_secret_is_in_user_data(cloud: Cloud) -> None:
    """What the instances are given names the page, the endpoint and the port."""
    probe = probe_data("name", 80, ProbeTask(1, 1, "run"))
    for text in (user_data("Hello", 80), probe):
        assert not {cloud.aws.secret_access_key, cloud.aws.access_key_id} & set(text.split())
        assert "AWS_" not in text


def test_nothing_is_open_to_the_world(cloud: Cloud) -> None:
    """No inbound rule of the lab names 0.0.0.0/0, or all protocols."""
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "beta"}, provider={"zones": 2}))
    cloud.up(lab)
    tag = [{"Name": "tag:plab:lab", "Values": ["test"]}]
    groups = cloud.account().ec2.describe_security_groups(Filters=tag)["SecurityGroups"]  # type: ignore[arg-type]
    assert len(groups) == 3
    for rule in (rule for group in groups for rule in group["IpPermissions"]):
        assert rule["IpProtocol"] == "tcp"
        assert rule["FromPort"] == rule["ToPort"] == 80
        assert not [block for block in rule["IpRanges"] if block["CidrIp"].endswith("/0")]
        assert rule["Ipv6Ranges"] == []


def test_instances_have_no_public_address_and_want_a_token(cloud: Cloud, lab: Lab) -> None:
    """Private subnets only, IMDSv2 only, an encrypted volume."""
    cloud.up(lab)
    [row] = cloud.account().ec2.describe_instances()["Reservations"]
    instance = row["Instances"][0]
    assert "PublicIpAddress" not in instance
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    volume = instance["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]
    assert cloud.account().ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["Encrypted"]


def test_no_program_is_run_through_a_shell() -> None:
    """In all of our code: no `shell=True`, `os.system` or `eval`."""
    root = Path(__file__).parents[1] / "privatelink_lab"
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"os.system", "os.popen", "eval", "exec"}, path
                assert not [keyword for keyword in node.keywords if keyword.arg == "shell"], path
