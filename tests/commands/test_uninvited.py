"""Accounts that the config names, or does not name: who is admitted by `--all`, and of whom `up` says nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config
from support.foreign_account import STRANGER, connect_stranger

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.steps import STEPS

ACCOUNT = STRANGER.split(":")[4]
PRINCIPALS = "lab: test\nprovider: {{service: {{allowed_principals: [{}]}}}}"


@pytest.fixture
def endpoint(at_cloud: Cloud, run: Run, tmp_path: Path) -> str:
    """The endpoint of a stranger, whose account the config allowed, and who was accepted."""
    write_config(tmp_path, **{"lab: test": PRINCIPALS.format(f"'{ACCOUNT}'")})
    run("up", "-q")
    found = {
        key: found for key, found in engine.survey(at_cloud.lab(), STEPS).found.items() if key.startswith("provider/")
    }
    id_ = connect_stranger(at_cloud, Built({}, done=found))
    assert run("accept", id_, "-y").code == 0
    return id_


def test_who_may_still_ask_is_not_named(at_cloud: Cloud, run: Run, tmp_path: Path, endpoint: str) -> None:
    """Another principal leaves, or everybody may ask: `up` says nothing of that endpoint."""
    write_config(tmp_path, **{"lab: test": PRINCIPALS.format(f"'111122223333', '{STRANGER}'")})
    assert run("up", "--json").json[-1]["uninvited"] == {}
    write_config(tmp_path, **{"lab: test": PRINCIPALS.format("'*'")})
    assert run("up", "--json").json[-1]["uninvited"] == {}


def test_all_admits_only_accounts_that_the_config_names(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`*` lets an account ask; `accept --all` skips it and says how to admit it. A named principal is admitted."""
    write_config(tmp_path, "manual", **{"lab: test": PRINCIPALS.format("'*'")})
    run("up", "-q")
    found = {key: found for key, found in engine.survey(at_cloud.lab(), STEPS).found.items() if "provider/" in key}
    stranger = connect_stranger(at_cloud, Built({}, done=found))
    ran = run("accept", "--all", "-y")
    assert ran.code == 0
    assert stranger not in ran.out
    text = f"Skipped: {stranger} of account {ACCOUNT}, which the config does not name."
    assert f"{text} To admit it: plab accept {stranger}" in ran.err
    assert run("accept", "--all", "-y", "--json").json[-1]["skipped"] == {stranger: ACCOUNT}
    write_config(tmp_path, "manual", **{"lab: test": PRINCIPALS.format(f"'{ACCOUNT}'")})
    run("up", "-q")
    assert run("accept", "--all", "-y", "--json").json[-1]["accepted"] == [stranger]
