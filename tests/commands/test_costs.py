"""What a lab costs: unknown is not zero, and what the config no longer names still costs money."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config

from privatelink_lab import engine
from privatelink_lab.commands import json_report
from privatelink_lab.commands.surplus import Surplus
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

BETA = "  - name: beta\n"
NOT_SHOWN = [  # one describe that AWS refuses; without each of them the cost is unknown
    "DescribeInstances",
    "DescribeLoadBalancers",
    "DescribeVpcEndpoints",
    "*",
]


@pytest.mark.parametrize("action", NOT_SHOWN)
def test_a_cost_is_unknown_where_aws_shows_nothing(at_cloud: Cloud, run: Run, tmp_path: Path, action: str) -> None:
    """AWS refuses to describe what costs money: `status` says that the cost is unknown, and not that it is 0."""
    write_config(tmp_path)
    assert run("up", "-q").code == 0
    at_cloud.fail(action, 403, "UnauthorizedOperation")
    told = run("status", "--json")
    if action != "*":
        assert json.loads(told.out)["usd_per_hour"] is None
    shown = run("status")
    assert "0.0000 USD" not in shown.out + shown.err


def test_up_that_read_nothing_knows_no_cost(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """AWS refuses to show what exists: `up` made nothing, and what may exist already costs an unknown amount."""
    write_config(tmp_path)
    at_cloud.fail("Describe[!I]*", 403, "UnauthorizedOperation")
    ran = run("up")
    assert ran.code == 1
    assert "cost       an unknown amount per hour" in ran.out


def test_what_costs_nothing_does_not_hide_the_cost(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """A listener costs nothing: the cost is known also where AWS does not show it."""
    write_config(tmp_path)
    assert run("up", "-q").code == 0
    at_cloud.fail("DescribeListeners", 403, "UnauthorizedOperation")
    assert json.loads(run("status", "--json").out)["usd_per_hour"] == pytest.approx(0.0438)


def test_a_clock_that_was_set_back_costs_nothing_negative(cloud: Cloud, lab: Lab) -> None:
    """The lab began in the future, by this clock: its cost so far is unknown."""
    assert cloud.up(lab).exit_code == 0
    lab.state.since = "2999-01-01T00:00:00.000Z"
    seen = engine.survey(lab, STEPS)
    assert json_report.status(lab, seen, json_report.cost_of(lab, seen), Surplus())["usd_so_far"] is None


def test_a_consumer_that_left_the_config_still_costs(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`up` adds the price of the endpoint that still exists, and names it."""
    write_config(tmp_path)
    config = tmp_path / "plab.yaml"
    alone = config.read_text(encoding="utf-8")
    config.write_text(alone + BETA, encoding="utf-8")
    both = json.loads(run("up", "--json").out.splitlines()[-1])
    config.write_text(alone, encoding="utf-8")
    at_cloud.let_new_ids_propagate()
    after = run("up", "--json").json[-1]
    assert after["usd_per_hour"] == both["usd_per_hour"]
    assert "beta/endpoint" in after["not_in_config"]
    assert "Not in the config any more, and still there: beta/endpoint, " in run("up").out
    assert run("down", "-y", "-q").code == 0
