"""The receipt of `down` ends with a step that can help: not with the same command where that gives the same."""

from __future__ import annotations

import pytest
from support.cloud import Cloud
from support.command_line import Run

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
