"""The pack: what `plab share` gives a customer, and what `plab init --pack` makes of it."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import boto3
import pytest
import yaml
from support.cloud import Cloud
from support.command_line import Run
from support.customers import build

from privatelink_lab.commands.share import in_hcl, in_shell, pack_text
from privatelink_lab.config import Pack, load_pack
from privatelink_lab.errors import ConfigError

ACME, OTHER = "222222222222", "999999999999"
CONFIG = f"""\
lab: api
region: us-east-1
customers:
  acme: {{accounts: ['{ACME}'], endpoints: 2}}
  later: {{accounts: ['{OTHER}'], accept: manual}}
  oldco: {{accounts: ['666666666666'], access: revoked}}
"""
PACK = Pack.model_validate(
    {
        "schema": 1,
        "service_name": "com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0",
        "region": "us-east-1",
        "supported_regions": ["us-east-1"],
        "zone_ids": ["use1-az1", "use1-az2"],
        "ports": [80],
        "provider_account": "111111111111",
        "customer": "acme",
        "accounts": [ACME],
        "endpoints": 2,
        "acceptance": "by rule",
    }
)


@pytest.fixture
def service(at_cloud: Cloud, run: Run, tmp_path: Path) -> str:
    """The name of a service with customers, whose lab is up."""
    return build(at_cloud, run, tmp_path, CONFIG)


def be(account: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the credentials of the environment are those of this account."""
    role = f"arn:aws:iam::{account}:role/customer"
    session = boto3.session.Session(cloud.aws.access_key_id, cloud.aws.secret_access_key, region_name="us-east-1")
    given = session.client("sts", endpoint_url=cloud.aws.url).assume_role(RoleArn=role, RoleSessionName="me")[
        "Credentials"
    ]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])


def test_pack_has_all_that_the_customer_needs(run: Run, service: str, tmp_path: Path) -> None:
    """The data of the pack is what AWS and the config say, and `load_pack` reads it back."""
    shared = run("share", "acme")
    assert shared.code == 0, shared.err
    (tmp_path / "acme.yaml").write_text(shared.out)
    pack = load_pack(tmp_path / "acme.yaml")
    assert pack == PACK.model_copy(
        update={"service_name": service, "zone_ids": ("use1-az1",), "provider_account": pack.provider_account}
    )
    assert json.loads(run("share", "acme", "--json").out) == yaml.safe_load(shared.out)
    assert run("share", "later", "--json").json[-1]["acceptance"] == "by a person"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("oldco", "The config says of oldco: access: revoked."),
        ("nobody", "The config has no customer 'nobody'."),
    ],
)
def test_who_gets_no_pack(run: Run, service: str, name: str, says: str) -> None:
    """A customer that is revoked or unknown gets none, and the message names what to change."""
    refused = run("share", name)
    assert refused.code == 2
    assert says in refused.err


def test_no_pack_before_the_permission(run: Run, service: str, tmp_path: Path) -> None:
    """A customer that is new in the config may not ask yet: `plab up` comes first."""
    (tmp_path / "plab.yaml").write_text(f"{CONFIG}  fresh: {{accounts: ['777777777777']}}\n")
    refused = run("share", "fresh")
    assert refused.code == 1
    assert "fresh may not ask yet: 777777777777 has no permission." in refused.err
    assert "plab up" in refused.err


def test_comments_are_comments() -> None:
    """Each line that is no data begins with `# `, so the file is one YAML mapping."""
    text = pack_text(PACK)
    assert all(line.startswith("# ") for line in text.splitlines()[len(Pack.model_fields) :])
    assert yaml.safe_load(text) == PACK.model_dump(by_alias=True, mode="json")


@pytest.mark.parametrize(
    ("half", "first"), [("plab", "# plab makes"), ("AWS CLI", "set -eu"), ("Terraform", "variable")]
)
def test_printed_line_takes_a_half_out(tmp_path: Path, half: str, first: str) -> None:
    """The pack's own `sed` line gives a program and nothing else; the shell can read those that are its own."""
    (tmp_path / "acme.yaml").write_text(pack_text(PACK))
    line = next(line for line in pack_text(PACK).splitlines() if "sed -n " in line)
    words = line[line.index("sed -n ") :].replace("Terraform", half)
    took = subprocess.run(["/bin/sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert took.startswith(first)
    assert "---" not in took
    if half != "Terraform":
        subprocess.run(["/bin/sh", "-n"], input=took, text=True, check=True)


def test_pack_of_a_local_lab_has_the_line_that_gives_the_keys(tmp_path: Path) -> None:
    """It is typed in the customer's folder, so it names the vendor's; a lab on AWS has no such line."""
    config = tmp_path / "my lab.yaml"
    line = f"""# eval "$(plab local status --account {ACME} -c '{config}')\""""
    assert line in pack_text(PACK, config)
    assert "local" not in pack_text(PACK)


@pytest.mark.parametrize(
    "hostile",
    [
        "plain",
        "it's",
        "$(reboot)",
        "`reboot`",
        'a"b',
        "a\nb",
        "a\r\nb",
        "\x1b[2J",
        "a\u2028b",
        "${var.x}",
        "%{if true}",
        "\\",
    ],
)
def test_values_are_quoted_for_their_language(hostile: str) -> None:
    """No value ends its line, and none is a command: the shell prints what YAML and Terraform would read."""
    word = in_shell(hostile)
    assert len(word.splitlines()) == 1
    assert len(in_hcl(hostile).splitlines()) == 1
    said = subprocess.run(["/bin/sh", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True)
    assert shlex.split(word) == [said.stdout]
    assert json.loads(in_hcl(hostile).replace("$${", "${").replace("%%{", "%{")) == hostile


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 2}, ":1: schema: "),
        ({"service_name": "x; reboot"}, ":2: service_name: 'x; reboot' does not look like"),
        ({"region": "moon"}, ":3: region: "),
        ({"zone_ids": ["us-east-1a"]}, ":5: zone_ids[0]: 'us-east-1a' does not look like use1-az1"),
        ({"ports": []}, ":6: ports: "),
        ({"ports": [0]}, ":6: ports[0]: "),
        ({"provider_account": "1"}, ":7: provider_account: '1' does not look like"),
        ({"customer": "Acme!"}, ":8: customer: "),
        ({"acceptance": "maybe"}, ":11: acceptance: "),
        ({"more": 1}, ":12: more: is not a known key"),
    ],
)
def test_a_pack_that_is_none(tmp_path: Path, change: dict[str, object], says: str) -> None:
    """Each mistake stands with its file, line and key."""
    data = PACK.model_dump(by_alias=True, mode="json") | change
    file = tmp_path / "pack.yaml"
    file.write_text("".join(f"{name}: {json.dumps(value)}\n" for name, value in data.items()))
    with pytest.raises(ConfigError) as refused:
        load_pack(file)
    assert f"{file}{says}" in str(refused.value)


@pytest.mark.parametrize("text", ["", "- a\n", "5\n", "{", "schema: 1\nschema: 1\n", "\x00"])
def test_a_file_that_is_no_pack(tmp_path: Path, text: str) -> None:
    """An empty file, a list, and what is no YAML are refused in a sentence."""
    (tmp_path / "pack.yaml").write_text(text)
    with pytest.raises(ConfigError):
        load_pack(tmp_path / "pack.yaml")


def test_customer_makes_its_config_of_the_pack(
    at_cloud: Cloud, run: Run, service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With keys of its own the customer gets a config that `up` builds, and the rules admit the endpoint."""
    (tmp_path / "acme.yaml").write_text(run("share", "acme").out)
    file = tmp_path / "mine" / "plab.yaml"
    file.parent.mkdir()
    with monkeypatch.context() as theirs:
        be(ACME, at_cloud, theirs)
        wrote = run("init", str(file), "--pack", "acme.yaml")
        assert wrote.code == 0, wrote.err
        assert f"AWS shows the service to account {ACME}." in wrote.err
        assert "costs about 0.0100 USD/hour" in wrote.err
        built = run("up", "-c", str(file), "--json")
        assert built.code == 0, built.err
        [row] = built.json[-1]["for_provider"]
        assert row["account"] == ACME
        assert run("init", str(file), "--pack", "acme.yaml").code == 2  # it overwrites nothing
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == [row["endpoint"]]


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(
    "case",
    [
        (ACME, {}, 0, f"AWS shows the service to account {ACME}."),
        (OTHER, {}, 0, "which the pack does not name"),
        ("888888888888", {}, 0, "AWS does not show the service to account 888888888888"),
        (ACME, {"provider_account": "777777777777"}, 1, "The pack says that"),
        (ACME, {"zone_ids": ["use1-az9"]}, 1, "is of zones use1-az9; AWS shows zones use1-az1"),
        ("", {}, 0, "The pack is not compared with AWS"),
    ],
)
def test_pack_is_compared_with_aws(
    at_cloud: Cloud,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[str, dict[str, object], int, str],
) -> None:
    """Owner and zones must be those that AWS shows; without credentials, and before the permission, that is said."""
    account, changed, code, says = case
    data = json.loads(run("share", "acme", "--json").out) | changed
    (tmp_path / "acme.yaml").write_text(json.dumps(data))
    if account:
        be(account, at_cloud, monkeypatch)
    else:
        at_cloud.fail("DescribeVpcEndpointServices", 403, "UnauthorizedOperation")
    ran = run("init", "mine.yaml", "--pack", "acme.yaml")
    assert ran.code == code, ran.err
    assert says in ran.err
    assert (tmp_path / "mine.yaml").exists() == (code == 0)


@pytest.mark.parametrize(
    "words",
    [
        ["--pack", "no.yaml"],
        ["--pack", "acme.yaml", "--force"],
        ["--pack", "acme.yaml", "--vpc-id", "vpc-0123456789abcdef0"],
        ["--pack", "acme.yaml", "--vpc-id", "vpc; x", "--subnet-id", "subnet-0123456789abcdef0"],
        ["--vpc-id", "vpc-0123456789abcdef0"],
    ],
)
def test_init_refuses_what_makes_no_config(run: Run, tmp_path: Path, words: list[str]) -> None:
    """Bad words end with exit code 2, and nothing is written."""
    (tmp_path / "acme.yaml").write_text(pack_text(PACK))
    assert run("init", "mine.yaml", *words).code == 2
    assert not (tmp_path / "mine.yaml").exists()
