"""`plab list` and `plab reap`: the labs of an account by their tags, and the end of those whose end has come."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config
from support.foreign_account import STRANGER, connect_stranger
from support.labs import Labs

from privatelink_lab import engine, tags
from privatelink_lab.commands import Options
from privatelink_lab.commands.reap import reap
from privatelink_lab.engine import Built
from privatelink_lab.errors import Interrupted
from privatelink_lab.lab import Lab
from privatelink_lab.local.server.http import HttpConnection
from privatelink_lab.steps import STEPS

PAST, FUTURE = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"


@pytest.fixture
def labs(at_cloud: Cloud) -> Labs:
    """Three labs of two makers, of which this machine knows nothing: mine and theirs have expired."""
    labs = Labs(at_cloud)
    labs.build("mine", "ann", PAST)
    labs.build("theirs", "bob", PAST)
    labs.build("kept", "bob", FUTURE)
    return labs


def test_list_shows_every_lab(labs: Labs, run: Run) -> None:
    """Whose, how old, until when, at what cost; and the sum of what each holds."""
    rows = {row["lab"]: row for row in run("list", "--json").json[0]["labs"]}
    assert {name: (row["makers"][0].partition("@")[0], row["expired"]) for name, row in rows.items()} == {
        "mine": ("ann", True),
        "theirs": ("bob", True),
        "kept": ("bob", False),
    }
    assert {row["expires"] for row in rows.values()} == {PAST, FUTURE}
    assert all(row["usd_per_hour"] > 0.04 and row["usd_so_far"] >= 0.01 for row in rows.values())
    assert all(row["resources"] == labs.resources(name) for name, row in rows.items())
    printed = run("list").out
    assert "Expired: mine, theirs. To delete what has expired: plab reap" in printed
    assert "USD/HOUR" in printed


def test_list_changes_nothing_and_reads_each_kind_once(labs: Labs, at_cloud: Cloud, run: Run) -> None:
    """Three labs cost no more describes of a kind than one; health, listeners and the like are asked for each."""
    at_cloud.calls()
    run("list")
    calls = at_cloud.calls()
    assert at_cloud.changes() == []
    shared = {"DescribeVpcs", "DescribeSubnets", "DescribeInstances", "DescribeVpcEndpoints", "DescribeLoadBalancers"}
    assert {calls.count(name) for name in shared} == {1}
    assert labs.names() == ["kept", "mine", "theirs"]


def test_reap_deletes_what_has_expired_and_nothing_else(labs: Labs, run: Run) -> None:
    """Also labs of another maker; a receipt for each. Other people's things stay, those with copied tags too."""
    bystanders = labs.put_bystanders("theirs")
    kept = labs.inventory("kept")
    ran = run("reap", "-y", "--json")
    summary = ran.json[-1]
    assert {row["lab"]: bool(row["left"]) for row in summary["labs"]} == {"mine": False, "theirs": True}
    assert ran.code == 3  # the suspect one is named, and holds nothing
    assert bystanders.copied in str(summary["labs"][1]["left"])
    assert bystanders.exist()
    assert labs.inventory("kept") == kept
    assert labs.names() == ["kept", "theirs"]
    assert labs.inventory("theirs") == sorted([bystanders.named, bystanders.copied])
    assert [row["lab"] for row in run("list", "--json").json[0]["labs"]] == ["kept", "theirs"]


def test_reap_asks(labs: Labs, run: Run) -> None:
    """Without a terminal and without --yes nothing is deleted; the question names what would go."""
    ran = run("reap")
    assert ran.code == 2
    assert "Use --yes to agree; nothing was changed." in ran.err
    questions: list[str] = []

    def no(question: str, *, instead: str = "--yes") -> bool:
        questions.append(question)
        return not instead

    assert reap(Options("reap"), all_regions=False, ask=no) == 1
    assert questions == ["Delete these 2 labs?"]
    assert labs.names() == ["kept", "mine", "theirs"]


@pytest.mark.parametrize("end", [FUTURE, "", "soon"])
def test_one_resource_that_has_not_expired_keeps_the_lab(labs: Labs, run: Run, end: str) -> None:
    """The latest end counts; a resource without an end, or with a text that is none, is in use."""
    labs.end("mine", end, kinds=("vpc",))
    assert run("reap", "-y").code == 0
    assert labs.names() == ["kept", "mine"]


def test_an_end_that_moves_before_the_deletion_keeps_the_lab(
    labs: Labs, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its maker runs `up --ttl` while the question stands: the lab is read again, and stays."""
    run("list")

    def move(question: str, *, instead: str = "--yes") -> bool:
        labs.end("mine", FUTURE)
        return bool(question and instead)

    assert reap(Options("reap"), all_regions=False, ask=move) == 0
    assert labs.names() == ["kept", "mine"]
    assert "mine in us-east-1 is kept: its end has moved" in capsys.readouterr().err


def test_what_cannot_be_read_has_not_expired(labs: Labs, at_cloud: Cloud, run: Run) -> None:
    """A describe that AWS refuses keeps every lab, exit 1, and says so."""
    at_cloud.fail("DescribeSubnets", 403, "UnauthorizedOperation")
    ran = run("reap", "-y")
    listed = run("list", "--json").json[0]
    at_cloud.heal()
    assert ran.code == 1
    assert "UnauthorizedOperation" in ran.err
    assert "subnet in us-east-1" in listed["unread"]
    assert all(row["usd_per_hour"] is not None or row["unread"] for row in listed["labs"])
    assert labs.names() == ["kept", "mine", "theirs"]


@pytest.mark.parametrize(("days", "left"), [(-400, ["kept", "mine", "theirs"]), (400_000, [])])
def test_the_clock_of_aws_decides(
    labs: Labs, run: Run, monkeypatch: pytest.MonkeyPatch, days: int, left: list[str]
) -> None:
    """The Date of AWS's answers, not this machine's clock: a laptop whose clock is wrong deletes nothing early."""
    date = (datetime.now(UTC) + timedelta(days=days)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    monkeypatch.setattr(HttpConnection, "date_time_string", lambda *_: date)
    assert run("reap", "-y").code == 0
    assert labs.names() == left


def test_connections_of_other_accounts_stay(labs: Labs, at_cloud: Cloud, run: Run) -> None:
    """A customer of another account is named and keeps its path; the lab's own consumer goes. Exit 3."""
    built = labs.build("shared", "ann", PAST, allowed_principals=[STRANGER.split(":")[4]])
    endpoint = connect_stranger(at_cloud, built)
    ran = run("reap", "-y")
    assert ran.code == 3
    assert endpoint in ran.err
    assert "nobody has agreed to cut them" in ran.err
    assert "plab down --lab shared --adopt --force" in ran.err
    assert labs.names() == ["kept", "shared"]
    assert {"provider/nlb", "provider/web-server"} <= labs.keys("shared")
    assert not any(key.startswith("acme/") for key in labs.keys("shared"))


def test_all_regions(labs: Labs, run: Run) -> None:
    """A lab that was forgotten in another Region is listed with it, and its advice names that Region."""
    labs.build("far", "ann", PAST, region="eu-west-1")
    assert "far" not in run("list").out
    rows = {row["lab"]: row for row in run("list", "--all-regions", "--json").json[0]["labs"]}
    assert rows["far"]["region"] == "eu-west-1"
    assert rows["far"]["usd_per_hour"] is None
    labs.put_bystanders("far", region="eu-west-1")
    ran = run("reap", "-y", "--all-regions")
    assert ran.code == 3
    assert "AWS_REGION=eu-west-1 plab down --lab far" in ran.out
    assert labs.names() == ["far", "kept"]


def test_what_no_lab_can_be_called(labs: Labs, at_cloud: Cloud, run: Run) -> None:
    """Anybody who may tag can write a name: it is named, and stops nothing."""
    vpc = at_cloud.account().ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    at_cloud.let_new_ids_propagate()
    at_cloud.account().ec2.create_tags(Resources=[vpc], Tags=[{"Key": tags.LAB, "Value": "No Name"}])
    ran = run("list")
    assert "cannot be the name of a lab" in ran.err
    assert labs.names() == ["No Name", "kept", "mine", "theirs"]


def test_without_any_lab(at_cloud: Cloud, run: Run) -> None:
    """Nothing is an answer too, with exit code 0."""
    assert run("list").out == "There is no lab: nothing here bears a lab's tag.\n"
    assert run("list", "--json").json == [{"labs": [], "unread": {}}]
    assert run("reap", "-y").out == "There is no lab.\n"
    assert run("reap", "-y", "--json").json[-1]["labs"] == []
    assert at_cloud.changes() == []


@pytest.mark.parametrize(("cuts", "hint"), [(True, "plab down"), (False, "plab reap")])
def test_an_interrupted_reap_advises_reap(cloud: Cloud, lab: Lab, built: Built, *, cuts: bool, hint: str) -> None:
    """`down` would take the lab of this folder's config, which lives; `reap` goes on with what has expired."""
    lab.interrupt()
    with pytest.raises(Interrupted) as stopped:
        engine.down(lab, STEPS, engine.survey(lab, STEPS, to_delete=True), cuts=cuts)
    assert stopped.value.hint == f"Run it again: {hint}"
    assert cloud.changes() == []


def test_the_regions_that_were_searched_are_advised(labs: Labs, run: Run) -> None:
    """What `list --all-regions` shows as expired, the advised command finds."""
    labs.build("far", "ann", PAST, region="eu-west-1")
    assert "To delete what has expired: plab reap --all-regions" in run("list", "--all-regions").out


def test_a_ttl_is_for_a_lab_that_begins(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`ttl:` that comes later ends nothing: `up` says that the lab has no end, and how to give it one."""
    run("up", "-q")
    write_config(tmp_path, **{"region: us-east-1": "region: us-east-1\nttl: 1m"})
    ran = run("up", "-q")
    assert ran.code == 0
    assert "this one has no end. To give it one: plab up --ttl 8h" in ran.out
    assert run("status", "--json").json[0]["expires"] is None
    assert run("up", "-q", "--ttl", "2h").out.count("end        the lab expires in 2 h") == 1


@pytest.mark.parametrize("words", [("--dry-run",), ("--replace", "provider/nlb", "-y")])
def test_an_expired_lab_is_refused_before_anything_goes(
    at_cloud: Cloud, run: Run, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Neither a dry run nor a replacement begins with what `up` would refuse; `status` advises what works."""
    write_config(tmp_path, **{"region: us-east-1": "region: us-east-1\nttl: 1m"})
    run("up", "-q")
    Labs(at_cloud).end("test", PAST)
    state = tmp_path / ".plab" / "test.json"
    state.write_text(re.sub(r'"expires": "[^"]*"', f'"expires": "{PAST}"', state.read_text()))
    at_cloud.calls()
    ran = run("up", *words)
    assert ran.code == 1
    assert "may be reaped" in ran.err
    assert at_cloud.changes() == []
    at_cloud.account().elbv2.delete_listener(ListenerArn=json.loads(state.read_text())["ids"]["provider/nlb/listener"])
    at_cloud.let_new_ids_propagate()
    assert "-> plab up --ttl 2h" in run("status").out
    assert run("up", "-q", "--ttl", "2h").code == 0
