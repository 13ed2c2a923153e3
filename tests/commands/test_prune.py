"""What the config no longer names stays and is named by `up` and `status`; `up --prune` lists it, asks, removes it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest
from support.cloud import Cloud
from support.command_line import Run
from support.customers import ask

FAR, ACME, OLDCO, BYHAND = "777777777777", "222222222222", "555555555555", "666666666666"
CONFIG = f"""\
lab: test
region: us-east-1
provider:
  service: {{allowed_principals: ['{BYHAND}']}}
customers:
  acme: {{accounts: ['{ACME}']}}
  oldco: {{accounts: ['{OLDCO}']}}
consumers:
  - name: near
  - name: far
    profile: far
"""
PROFILE = (
    f"[profile far]\nrole_arn = arn:aws:iam::{FAR}:role/far\ncredential_source = Environment\nregion = us-east-1\n"
)
OF_OLDCO = f"  oldco: {{accounts: ['{OLDCO}']}}\n"
OF_NEAR = "  - name: near\n"
OF_FAR = "  - name: far\n    profile: far\n"
OF_BYHAND = f"allowed_principals: ['{BYHAND}']"
BUILT = ["security-group", "subnet-1", "vpc", "endpoint"]
RESOURCES = {"DeleteVpcEndpoints", "DeleteSecurityGroup", "DeleteSubnet", "DeleteVpc"}
PERMISSION, CONNECTION = "ModifyVpcEndpointServicePermissions", "RejectVpcEndpointConnections"


def arn(account: str) -> str:
    """The principal of an account."""
    return f"arn:aws:iam::{account}:root"


@dataclass
class World:
    """A lab that is up with two consumers and two customers, each with a connection that is accepted."""

    cloud: Cloud
    run: Run
    config: Path
    service: str
    connected: dict[str, str]  # by account: the endpoint of a customer

    def lose(self, *lines: str) -> None:
        """Take these words out of the config."""
        text = self.config.read_text()
        for line in lines:
            assert line in text
            text = text.replace(line, "" if line.startswith("  ") else "allowed_principals: []")
        self.config.write_text(text)
        self.cloud.let_new_ids_propagate()
        self.cloud.calls()

    def principals(self) -> set[str]:
        """The accounts that may ask."""
        ec2, id_ = self.cloud.account().ec2, self.service.rpartition(".")[2]
        rows = ec2.describe_vpc_endpoint_service_permissions(ServiceId=id_)["AllowedPrincipals"]
        return {row["Principal"].split(":")[4] if ":" in row["Principal"] else row["Principal"] for row in rows}

    def allow(self, principal: str) -> None:
        """Let a principal ask, by hand."""
        ec2, id_ = self.cloud.account().ec2, self.service.rpartition(".")[2]
        ec2.modify_vpc_endpoint_service_permissions(ServiceId=id_, AddAllowedPrincipals=[principal])

    def states(self) -> dict[str, str]:
        """The state of each customer's connection, by its account."""
        rows = self.cloud.account().ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
        by_id = {row["VpcEndpointId"]: row["VpcEndpointState"] for row in rows}
        return {account: by_id[id_] for account, id_ in self.connected.items()}

    def named(self) -> dict[str, Any]:
        """What `up` names, and `status` as well; `up` changes nothing of it."""
        built, seen = self.run("up", "--json").json[-1], self.run("status", "--json").json[0]
        assert self.cloud.changes() == []
        found = {name: built[name] for name in ("not_in_config", "principals_not_in_config", "uninvited")}
        assert found == {name: seen[name] for name in found}
        assert ("plab up --prune" in built["next"]) == any(found.values())
        return found


@pytest.fixture
def world(at_cloud: Cloud, run: Run, tmp_path: Path) -> World:
    """The lab, and what the config names of it."""
    config = tmp_path / "plab.yaml"
    config.write_text(CONFIG)
    (tmp_path / "no-config").write_text(PROFILE)  # where AWS_CONFIG_FILE points
    built = run("up", "--json")
    assert built.code == 0, built.err
    at_cloud.let_new_ids_propagate()
    service = str(built.json[-1]["service_name"])
    connected = {account: ask(at_cloud, service, account) for account in (ACME, OLDCO)}
    assert run("accept", *connected.values(), "-y", "-q").code == 0
    at_cloud.calls()
    return World(at_cloud, run, config, service, connected)


@dataclass(frozen=True)
class Case:
    """What the config loses, what is named then, and the changes of `--prune` before it deletes."""

    lost: tuple[str, ...]
    keys: tuple[str, ...] = ()
    principals: tuple[str, ...] = ()
    cut: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


CASES = {
    "a consumer of the provider's own account": Case((OF_NEAR,), ("near",)),
    "a consumer of another account": Case((OF_FAR,), ("far",), (FAR,), changes=(PERMISSION,)),
    "a principal": Case((OF_BYHAND,), (), (BYHAND,), changes=(PERMISSION,)),
    "a customer": Case((OF_OLDCO,), (), (OLDCO,), (OLDCO,), changes=(PERMISSION, CONNECTION)),
    "all of it": Case(
        (OF_FAR, OF_BYHAND, OF_OLDCO),
        ("far",),
        (OLDCO, BYHAND, FAR),
        (OLDCO,),
        changes=(PERMISSION, CONNECTION),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_stays_and_is_named_until_it_is_pruned(world: World, case: Case) -> None:
    """`up` keeps and names it; `--prune` lists it and asks; the next `--prune` finds nothing; the rest is as it was."""
    world.lose(*case.lost)
    keys = [f"{party}/{name}" for party in case.keys for name in BUILT]
    assert world.named() == {
        "not_in_config": sorted(keys),
        "principals_not_in_config": [arn(account) for account in case.principals],
        "uninvited": {world.connected[account]: account for account in case.cut},
    }
    plan = world.run("up", "--prune", "--dry-run", "--json").json[-1]["plan"]
    assert {row["key"] for row in plan if row["action"] == "delete"} == set(keys)
    updated = {row["key"].rpartition("/")[2]: row["detail"] for row in plan if row["action"] == "update"}
    assert all(arn(account) in updated["permissions"] for account in case.principals)
    assert all(world.connected[account] in updated["revocation"] for account in case.cut)
    assert len(updated) == bool(case.principals) + bool(case.cut)
    refused = world.run("up", "--prune")
    assert refused.code == 2
    assert all(f"  {key}  " in refused.err for key in keys)
    assert all(f"  permission of {arn(account)}" in refused.err for account in case.principals)
    assert all(f"  {world.connected[a]} of account {a} is available" in refused.err for a in case.cut)
    unforced = world.run("up", "--prune", "-y", "-q") if case.cut else None
    assert unforced is None or (unforced.code, "plab up --prune --force" in unforced.err) == (1, True)
    assert world.cloud.changes() == []
    assert world.run("up", "--prune", "-y", "-q", *(["--force"] if case.cut else [])).code == 0
    others, resources = _changes(world)
    assert others == list(case.changes)
    assert resources == (RESOURCES if case.keys else set())
    assert world.principals() == {ACME, OLDCO, BYHAND, FAR} - {*case.principals}
    assert world.states() == {a: "rejected" if a in case.cut else "available" for a in (ACME, OLDCO)}
    again = world.run("up", "--prune")
    assert (again.code, "Nothing is to be pruned." in again.err) == (0, True)
    assert not any(world.named().values())


def _changes(world: World) -> tuple[list[str], set[str]]:
    """The changes before the first deletion in order, and those from there on."""
    done = world.cloud.changes()
    at = next((at for at, action in enumerate(done) if action in RESOURCES), len(done))
    return done[:at], set(done[at:])


def test_up_and_status_say_what_stays(world: World) -> None:
    """One line for each sort of thing, and the command that removes it; the permission's row says it too."""
    world.lose(OF_NEAR, OF_OLDCO)
    lines = [
        "Not in the config any more, and still there: near/endpoint, near/security-group, near/subnet-1, near/vpc.",
        f"Not in the config, and may still ask: {arn(OLDCO)}.",
        f"Not in the config, and still connected: {world.connected[OLDCO]} of account {OLDCO}.",
        "Remove it: plab up --prune",
    ]
    built, seen = world.run("up").out, world.run("status").out
    assert "\n".join(lines) in built
    assert "\n".join(lines) in seen
    assert "| plab up --prune |" in built
    assert f"4 principals; not in the config: {arn(OLDCO)}, which plab leaves alone" in " ".join(seen.split())


def test_a_lab_by_name_compares_nothing(world: World) -> None:
    """Without a config nothing can be said to be missing in it."""
    seen = world.run("status", "--lab", "test", "--json").json[0]
    assert (seen["not_in_config"], seen["principals_not_in_config"], seen["uninvited"]) == ([], [], {})
    assert "not in the config" not in str(seen["resources"])


@pytest.mark.parametrize(
    ("answers", "asked", "code"),
    [([False], 1, 1), ([True, False], 2, 1), ([True, True], 2, 0)],
    ids=["not the connections", "not the rest", "yes"],
)
def test_a_person_is_asked(
    world: World, monkeypatch: pytest.MonkeyPatch, answers: list[bool], asked: int, code: int
) -> None:
    """First whether the owners know that they are cut, then about all of it; a no changes nothing."""
    questions: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        questions.append(question)
        return answers[len(questions) - 1]

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    world.lose(OF_OLDCO)
    ran = world.run("up", "--prune")
    assert (ran.code, len(questions)) == (code, asked)
    assert (world.cloud.changes() == []) is bool(code)
    assert ("Nothing was changed." in ran.err) is bool(code)


def _others_keep_it(world: World) -> None:
    """A customer has the account of the consumer that goes: it keeps its permission."""
    world.config.write_text(CONFIG.replace(f"['{ACME}']", f"['{ACME}', '{FAR}']").replace(OF_FAR, ""))


def _everybody_may_ask(world: World) -> None:
    """`*` lets every account ask: who is connected is invited."""
    world.config.write_text(CONFIG.replace(f"['{BYHAND}']", f"['*', '{BYHAND}']").replace(OF_OLDCO, ""))


@pytest.mark.parametrize(
    ("change", "left"), [(_others_keep_it, {ACME, OLDCO, BYHAND, FAR}), (_everybody_may_ask, {ACME, BYHAND, FAR, "*"})]
)
def test_whom_the_config_still_names_is_not_cut(world: World, change: Callable[[World], None], left: set[str]) -> None:
    """The account stands elsewhere in the config, or everybody may ask: no connection is rejected."""
    change(world)
    world.cloud.let_new_ids_propagate()
    world.cloud.calls()
    assert world.run("up", "--prune", "-y", "-q").code == 0
    assert CONNECTION not in world.cloud.changes()
    assert world.principals() == left
    assert set(world.states().values()) == {"available"}


@pytest.mark.parametrize("action", [PERMISSION, CONNECTION, "DeleteVpcEndpoints", "DeleteVpc"])
def test_it_goes_on_where_it_was_stopped(world: World, action: str) -> None:
    """AWS refuses one of its calls: nothing is built; the next run removes the rest."""
    world.lose(OF_FAR, OF_OLDCO)
    world.cloud.fail(action, 403, "UnauthorizedOperation")
    ran = world.run("up", "--prune", "-y", "-q", "--force")
    assert ran.code == 1
    assert "UnauthorizedOperation" in ran.err
    others, resources = _changes(world)
    assert CONNECTION not in others or action != PERMISSION
    assert not resources or action in RESOURCES
    world.cloud.heal()
    assert world.run("up", "--prune", "-y", "-q", "--force").code == 0
    world.cloud.calls()
    assert not any(world.named().values())
    assert world.principals() == {ACME, BYHAND}
    assert world.states() == {ACME: "available", OLDCO: "rejected"}


def test_an_account_that_is_not_reached_may_be_anyones(world: World) -> None:
    """A consumer's role is refused, so its account is unknown: no permission and no connection goes, nor is named."""
    world.lose(OF_NEAR, OF_OLDCO)
    world.cloud.fail("AssumeRole", 403, "AccessDenied")
    ran = world.run("up", "--prune", "-y", "--force")
    assert ran.code == 1  # up cannot build that consumer
    assert "The account of far is unknown, so no permission and no connection is pruned" in ran.err
    assert _changes(world) == ([], RESOURCES)
    assert world.states() == {ACME: "available", OLDCO: "available"}
    assert world.principals() == {ACME, OLDCO, BYHAND, FAR}


def test_what_cannot_be_reached_stays_and_is_named(world: World) -> None:
    """The role of a consumer that left is refused: it loses permission and connection; its resources go later."""
    world.lose(OF_FAR)
    world.cloud.fail("AssumeRole", 403, "AccessDenied")
    ran = world.run("up", "--prune", "-y", "--force")
    assert ran.code == 0
    assert "Could not be read, and stays: far" in ran.err
    assert world.cloud.changes() == [PERMISSION, CONNECTION]
    world.cloud.heal()
    assert world.run("up", "--prune", "-y", "-q").code == 0
    assert _changes(world) == ([], RESOURCES)


def test_the_credentials_of_who_is_gone_may_go_too(world: World) -> None:
    """A consumer is pruned, and then its role is deleted: no later command asks for it."""
    world.lose(OF_FAR)
    assert world.run("up", "--prune", "-y", "-q").code == 0
    world.cloud.fail("AssumeRole", 403, "AccessDenied")
    assert "unknown" not in world.run("status").out
    assert "Nothing is to be pruned." in world.run("up", "--prune").err
    world.cloud.heal()


def test_who_was_never_in_the_config_is_pruned_too(world: World) -> None:
    """A hand has allowed `*`, and a stranger was admitted by its id: both are named, and go together."""
    world.allow("*")
    endpoint = ask(world.cloud, world.service, "888888888888")
    assert world.run("accept", endpoint, "-y", "-q").code == 0
    world.cloud.calls()
    found = world.named()
    assert (found["principals_not_in_config"], found["uninvited"]) == (["*"], {endpoint: "888888888888"})
    assert world.run("up", "--prune", "-y", "-q", "--force").code == 0
    assert world.cloud.changes() == [PERMISSION, CONNECTION]
    assert world.principals() == {ACME, OLDCO, BYHAND, FAR}


def test_what_is_revoked_needs_no_prune(world: World) -> None:
    """`up` cuts it at once, and names what still lets the account ask; --prune takes that away."""
    world.allow("*")
    world.config.write_text(CONFIG.replace(f"['{OLDCO}']", f"['{OLDCO}'], access: revoked"))
    world.cloud.calls()
    ran = world.run("up")
    assert (ran.code, world.cloud.changes()) == (0, [PERMISSION, CONNECTION])
    assert "1 account stays out; * still lets them ask" in ran.err
    assert "Not in the config, and may still ask: *." in ran.out
    assert "still connected" not in ran.out
    assert world.run("up", "--prune", "-y", "-q").code == 0
    assert world.cloud.changes() == [PERMISSION]
    assert "lets them ask" not in world.run("up").err


def test_it_is_not_replaced_at_the_same_time(world: World) -> None:
    """`--prune` and `--replace` in one run have two questions: exit 2, and nothing is changed."""
    ran = world.run("up", "--prune", "--replace", "near/endpoint")
    assert (ran.code, world.cloud.changes()) == (2, [])
