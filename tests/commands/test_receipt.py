"""The receipt of `down` ends with a step that can help: not with the same command where that gives the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config

NEXT = {  # what AWS answers to DeleteSubnet -> the step
    "OperationNotPermitted": "plab status",
    "UnauthorizedOperation": "what the hints above say, then plab down",
    "InsufficientInstanceCapacity": "what the hints above say, then plab down",
}


@pytest.mark.parametrize(("code", "step"), NEXT.items())
def test_the_step_fits_the_refusal(at_cloud: Cloud, run: Run, code: str, step: str) -> None:
    """A refusal without a known step: look at it. With one: do that first."""
    assert run("up", "-q").code == 0
    at_cloud.fail("DeleteSubnet", 403, code)
    ran = run("down", "-y")
    assert ran.code == 3
    assert ran.out.splitlines()[-1] == f"What is left may still cost money. Next: {step}"
    assert "could not be deleted.\nHint: plab down" not in ran.err
    at_cloud.heal()
    assert run("down", "-y").code == 0


def test_an_account_whose_role_is_refused(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The connection from there is listed, and cut with --force alone; the receipt names what may be left there."""
    beta = "  - {name: beta, role_arn: 'arn:aws:iam::222222222222:role/lab'}\n"
    write_config(tmp_path)
    with (tmp_path / "plab.yaml").open("a", encoding="utf-8") as file:
        file.write(beta)
    assert run("up", "-q").code == 0
    at_cloud.fail("AssumeRole", 403, "AccessDenied")
    at_cloud.calls()
    ran = run("down", "-y")
    assert (ran.code, at_cloud.changes()) == (1, [])
    assert "of account 222222222222 is available; it is beta's, and plab cannot delete it" in ran.err
    assert "Hint: Tell their owners, then run: plab down --force" in ran.err
    left = run("down", "-y", "--force", "--json").json[-1]["left"]
    kinds = {row["key"]: (row["id"] or "").split("-")[0] for row in left}
    assert kinds.pop("account 222222222222") == ""
    assert kinds == {"beta/vpc": "vpc", "beta/subnet-1": "subnet", "beta/security-group": "sg", "beta/endpoint": "vpce"}
    at_cloud.heal()
    assert run("down", "-y").code == 0
