"""A new resource is three edits: its functions, its entry in a step, and a test such as this one."""

from __future__ import annotations

import pytest
from support.cloud import Cloud, id_of

from privatelink_lab import engine
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS
from steps.example_step import KEY, STEP

WITH_EXAMPLE = (*STEPS, STEP)


def route_tables(cloud: Cloud) -> list[str]:
    """The ids of all route tables but the main ones of the VPCs."""
    rows = cloud.account().ec2.describe_route_tables()["RouteTables"]
    return [row["RouteTableId"] for row in rows if not any(a.get("Main") for a in row["Associations"])]


def test_up_makes_it_once_and_down_removes_it(cloud: Cloud, lab: Lab) -> None:
    """The user finds one tagged route table after two `up`, sees it in the receipt of `down`, and nothing after it."""
    before = cloud.aws.inventory()
    assert engine.up(lab, WITH_EXAMPLE).exit_code == 0
    built = engine.up(lab, WITH_EXAMPLE)
    assert built.exit_code == 0
    cloud.let_new_ids_propagate()
    assert route_tables(cloud) == [id_of(built, KEY)]
    removed = engine.down(lab, WITH_EXAMPLE, engine.survey(lab, WITH_EXAMPLE))
    assert (removed.exit_code, len(removed.deleted["route table"])) == (0, 1)
    assert cloud.aws.inventory() == before


def test_it_is_found_by_its_tag_alone(cloud: Cloud, lab: Lab) -> None:
    """The state file is lost: `up` finds the route table of the first run and makes no second one."""
    built = engine.up(lab, WITH_EXAMPLE)
    cloud.let_new_ids_propagate()
    again = engine.up(cloud.lab(), WITH_EXAMPLE)
    assert id_of(again, KEY) == id_of(built, KEY)


@pytest.mark.parametrize("code", ["DependencyViolation", "UnauthorizedOperation"])
def test_what_aws_refuses_to_delete_is_left_and_named(cloud: Cloud, lab: Lab, code: str) -> None:
    """`down` names the route table and AWS's code, and everything that does not hang on it is gone."""
    engine.up(lab, WITH_EXAMPLE)
    cloud.fail("DeleteRouteTable", 400, code)
    removed = engine.down(lab, WITH_EXAMPLE, engine.survey(lab, WITH_EXAMPLE))
    assert removed.exit_code == 3
    assert code in str(removed.left[KEY])
    assert "acme/vpc" not in removed.left
