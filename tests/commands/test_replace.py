"""`plab up --replace` says what goes before it goes, and asks."""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config
from support.foreign_account import connect_stranger

from privatelink_lab.engine import Built
from privatelink_lab.resource import Found, Phase

GONE = "0123456789abcdef0"


@pytest.fixture
def names(at_cloud: Cloud, run: Run, tmp_path: Path) -> dict[str, str]:
    """A lab that is up: its service, endpoint and DNS name."""
    provider = "region: us-east-1\nprovider: {service: {allowed_principals: [444455556666]}}"
    write_config(tmp_path, **{"region: us-east-1": provider})
    summary = run("up", "--json").json[-1]
    [endpoint] = summary["endpoints"]
    at_cloud.calls()
    return {"service": summary["service_name"], "id": endpoint["endpoint"], "dns": endpoint["dns_name"]}


def answer(monkeypatch: pytest.MonkeyPatch, *, agrees: bool) -> list[str]:
    """A person at the terminal, who gives this answer to every question; returns the questions."""
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return agrees

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    return asked


def test_it_lists_what_goes_and_asks(
    at_cloud: Cloud, run: Run, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user reads ids, the DNS name that ends and the consumer that is cut, says no, and nothing is changed."""
    asked = answer(monkeypatch, agrees=False)
    ran = run("up", "--replace", "provider/endpoint-service")
    assert asked == ["Delete this, and make it again?"]
    assert (ran.code, at_cloud.changes()) == (1, [])
    assert f"  acme/endpoint  {names['id']}" in ran.err
    assert f"This DNS name ends, and a new one takes its place: {names['dns']}" in ran.err
    assert "The service gets another name" in ran.err
    assert "Until then these consumers do not reach the service: acme" in ran.err
    assert ran.err.splitlines()[-1] == "Nothing was changed."


def test_what_the_provider_has_cuts_every_consumer(
    at_cloud: Cloud, run: Run, names: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target group goes, and with it the listener: no packet passes until it is there again."""
    answer(monkeypatch, agrees=False)
    ran = run("up", "--replace", "provider/target-group")
    assert "Until then these consumers do not reach the service: acme" in ran.err
    assert "DNS name" not in ran.err


def test_in_a_script_it_needs_yes(at_cloud: Cloud, run: Run, names: dict[str, str]) -> None:
    """Without a terminal to ask on, `-y` agrees; the time of the deletion is counted."""
    refused = run("up", "--replace", "acme/endpoint")
    assert (refused.code, at_cloud.changes()) == (2, [])
    ran = run("up", "--replace", "acme/endpoint", "-y", "--json")
    assert ran.code == 0
    assert ran.json[-1]["endpoints"][0]["dns_name"] != names["dns"]
    assert ran.json[-1]["seconds"] > 0


def test_connections_of_other_accounts_need_force(at_cloud: Cloud, run: Run, names: dict[str, str]) -> None:
    """`-y` alone does not cut a stranger's connection; the hint has the command that does, and it works."""
    rows = {row["key"]: row["id"] for row in run("status", "--json").json[0]["resources"]}
    service = Found("", Phase.READY, "", {"service_name": names["service"]})
    subnet = Found(rows["provider/subnet-1"], Phase.READY)
    connect_stranger(at_cloud, Built({}, {"provider/subnet-1": (subnet,), "provider/endpoint-service": (service,)}))
    at_cloud.calls()
    refused = run("up", "--replace", "provider/nlb", "-y")
    assert (refused.code, at_cloud.changes()) == (1, [])
    assert refused.err.splitlines()[-1].endswith("then run: plab up --replace provider/nlb --force -y")
    assert run("up", "--replace", "provider/nlb", "--force", "-y").code == 0


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ("{web_server: {instance_type: t3.mikro}}", "offers t3.mikro in no zone"),
        ("{zones: [use1-az1, use1-az9]}", "us-east-1 has no zone use1-az9"),
        (f"{{vpc: {{id: vpc-{GONE}, subnet_ids: [subnet-{GONE}]}}}}", "does not exist"),
    ],
)
def test_a_dry_run_says_what_cannot_be(at_cloud: Cloud, run: Run, tmp_path: Path, provider: str, said: str) -> None:
    """What only AWS knows to be impossible is said by --dry-run, before anything is made."""
    write_config(tmp_path)
    with (tmp_path / "plab.yaml").open("a") as file:
        file.write(f"provider: {provider}\n")
    ran = run("up", "--dry-run")
    assert ran.code == 1
    assert said in ran.err
    assert at_cloud.changes() == []


def test_a_dry_run_of_what_cannot_be_made_ends_with_1(at_cloud: Cloud, run: Run, names: dict[str, str]) -> None:
    """A key whose drift needs a replacement is `cannot`, and the exit code says so too."""
    config = Path("plab.yaml")
    config.write_text(config.read_text().replace("provider: {", "provider: {web_server: {port: 8080}, "))
    ran = run("up", "--dry-run", "--json")
    assert ran.code == 1
    assert {row["key"] for row in ran.json[-1]["plan"] if row["action"] == "cannot"} == {"provider/target-group"}
    assert at_cloud.changes() == []


def test_it_is_refused_before_anything_goes_where_up_would_refuse_after(
    at_cloud: Cloud, run: Run, names: dict[str, str], tmp_path: Path
) -> None:
    """The VPC can only be replaced: `--replace provider/web-server` deletes nothing, and names both in one command."""
    text = (tmp_path / "plab.yaml").read_text().replace("provider: {", "provider: {vpc: {cidr: 10.7.0.0/16}, ")
    (tmp_path / "plab.yaml").write_text(text)
    at_cloud.let_new_ids_propagate()
    ran = run("up", "-q", "-y", "--replace", "provider/web-server")
    assert ran.code == 1
    assert "provider/vpc is not as asked: CIDR: 10.0.0.0/16, the config says 10.7.0.0/16." in ran.err
    assert "plab up --replace provider/vpc" in ran.err
    assert at_cloud.changes() == []
