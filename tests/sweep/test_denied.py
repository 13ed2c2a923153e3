"""A right is missing: every command ends, says which, and forgets nothing; what can be deleted is deleted."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from support.cloud import Cloud, config_of, duplicates
from support.proxied_lab import Count
from support.stand_in_traffic import stand_in

from privatelink_lab import engine
from privatelink_lab.aws import account
from privatelink_lab.commands.iam_policy import policy
from privatelink_lab.engine import Built
from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab
from privatelink_lab.local.control_client import parse_fault
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.probe import LINE_PREFIX, ProbeTask, probe

NO_CALLS = {"CreateTags", "AddTags", "CreateServiceLinkedRole"}
ACTIONS = sorted(
    {
        action.partition(":")[2]
        for side in ("provider", "consumer", "verify")
        for statement in policy(side, "test")["Statement"]
        for action in statement["Action"]
    }
    - NO_CALLS
)
# Without these reads plab cannot know what exists, so it deletes less; without a delete, that stays.
SEARCHES = {
    "DescribeInstances",
    "DescribeLoadBalancers",
    "DescribeSecurityGroups",
    "DescribeSubnets",
    "DescribeTags",
    "DescribeTargetGroups",
    "DescribeVpcEndpointServiceConfigurations",
    "DescribeVpcEndpoints",
    "DescribeVpcs",
}
MOST_SECONDS = 3_600  # of AWS's time, for one command
CONFIG = config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})
TASK = ProbeTask(requests=1, seconds=60, run="one")


def deny(cloud: Cloud, action: str) -> None:
    """Let AWS refuse the action from now on."""
    cloud.aws.choose_faults([parse_fault(f"error,action={action},status=403,code=UnauthorizedOperation")])


def verify(cloud: Cloud, lab: Lab) -> Built:
    """Make a probe in acme's VPC and read it, as `plab verify` does."""
    probed = probe(lab, "acme", TASK)
    return engine.create_only(lab, {probed.key: probed}, engine.survey(lab, STEPS))


@pytest.fixture
def paced(slow_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The local AWS with its usual delays; probes are well."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    stand_in(slow_cloud.aws).writes = lambda _: f"{LINE_PREFIX} {json.dumps({'end': True, 'tries': 1})}\n".encode()
    return slow_cloud


def chosen(*, whole: bool) -> list[str]:
    """All actions, or a sample."""
    return ACTIONS if whole else ACTIONS[::9]


@pytest.mark.parametrize("command", ["up", "verify", "down"])
def test_one_right_is_missing(paced: Cloud, record_property: Count, command: str, *, whole: bool) -> None:
    """The command ends; where something is left its exit code is not 0; with the right the next commands finish."""
    before = paced.aws.inventory()
    for action in chosen(whole=whole):
        lab = paced.lab(CONFIG)
        if command != "up":
            assert paced.up(lab).exit_code == 0
        if command == "down":
            assert verify(paced, lab).exit_code == 0
        deny(paced, action)
        began = paced.clock.now()
        if command == "down":
            removed = paced.down(paced.lab(CONFIG, lab.state))
            left = {kind: lines for kind, lines in paced.aws.inventory().items() if lines != before.get(kind, [])}
            assert bool(removed.exit_code) >= bool(left), f"without {action} `down` forgets {left}"
            can_all_go = action not in SEARCHES and not action.startswith(("Delete", "Terminate", "Reject"))
            assert not (can_all_go and left), f"without {action} `down` leaves {left}"
            assert all(action in str(removed.left) for _ in [1] if removed.left), f"the receipt does not name {action}"
        elif command == "verify":
            verify(paced, paced.lab(CONFIG, lab.state))
        else:
            with suppress(AwsError):  # refused before anything is made
                paced.up(lab)
        assert paced.clock.now() - began < MOST_SECONDS, action
        assert duplicates(paced) == [], action
        paced.heal()
        paced.clock.time += 300
        if command == "up":
            assert paced.up(paced.lab(CONFIG, lab.state)).exit_code == 0, action
        assert paced.down(paced.lab(CONFIG, lab.state)).exit_code == 0, action
        paced.clock.time += 600
        assert paced.aws.inventory() == before, action
    record_property("missing rights", len(chosen(whole=whole)))
