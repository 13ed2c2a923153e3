"""`plab status` draws the conclusion: what is not as it should be, and the command that helps."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run, write_config

from privatelink_lab import engine
from privatelink_lab.commands.status import conclusion
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

UNFIT = "provider/target-group"  # it has drifted, and can only be replaced
ALL = 3  # rows that are ready, beside those of a case
CASES = [  # what is not ready by phase, and what status ends with
    ({}, "All 3 are ready."),
    ({"missing": ["provider/nlb"]}, "1 of 4 missing: provider/nlb -> plab up"),
    (
        {"missing": ["acme/vpc"], "drifted": ["acme/security-group/ingress"]},
        "1 of 5 missing: acme/vpc; 1 of 5 drifted: acme/security-group/ingress -> plab up",
    ),
    ({"failed": ["acme/endpoint"]}, "1 of 4 failed: acme/endpoint -> plab up --replace acme/endpoint"),
    ({"drifted": [UNFIT]}, f"1 of 4 drifted: {UNFIT} -> plab up --replace {UNFIT}"),
    ({"untagged": ["acme/vpc"]}, "1 of 4 untagged: acme/vpc -> plab up --adopt"),
    ({"held": ["acme/acceptance"]}, "1 of 4 held: acme/acceptance -> plab accept acme"),
    ({"held": ["acme/acceptance", "beta/acceptance"]}, "2 of 5 held: acme/acceptance, beta/acceptance -> plab accept"),
    ({"unknown": ["acme"], "missing": ["provider/nlb"]}, "1 of 5 unknown: acme; 1 of 5 missing: provider/nlb."),
    (
        {"failed": ["acme/endpoint", "acme/acceptance"]},
        "2 of 5 failed: acme/endpoint, acme/acceptance -> plab up --replace acme/endpoint",
    ),
    ({"failed": ["acme/security-group/ingress"]}, "1 of 4 failed: acme/security-group/ingress."),
    (
        {"missing": [f"c{number}/vpc" for number in range(8)]},
        "8 of 11 missing: c0/vpc, c1/vpc, c2/vpc, c3/vpc, c4/vpc, c5/vpc and 2 more -> plab up",
    ),
]


@pytest.mark.parametrize(("by_phase", "said"), CASES)
def test_the_last_line_names_what_is_wrong_and_what_helps(lab: Lab, by_phase: dict[str, list[str]], said: str) -> None:
    """One line, by which a user need not read the table; no command where only AWS's words can tell."""
    rows = [{"key": f"ready-{number}", "phase": "ready", "id": ""} for number in range(ALL)]
    rows += [{"key": key, "phase": phase, "id": ""} for phase, keys in by_phase.items() for key in keys]
    assert conclusion(rows, engine.planned(lab, STEPS), {UNFIT} & {*by_phase.get("drifted", ())}) == said


def test_the_exit_code_says_whether_all_is_well(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """--exit-code is 1 before `up`, 0 for a lab that is ready or held, 1 after a hand has deleted something."""
    write_config(tmp_path, "manual")
    assert run("status", "--exit-code").code == 1
    assert run("status").code == 0
    run("up", "-q")
    assert run("status", "--exit-code").code == 0
    ec2 = at_cloud.account().ec2
    [endpoint] = ec2.describe_vpc_endpoints()["VpcEndpoints"]
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint["VpcEndpointId"]])
    at_cloud.let_new_ids_propagate()
    after = run("status", "--exit-code")
    assert after.code == 1
    assert after.out.splitlines()[-1].endswith("-> plab up")


def test_names_are_at_hand(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`status` and `connections` print the service's name, DNS names and endpoint ids, whole."""
    write_config(tmp_path)
    summary = run("up", "--json").json[-1]
    [endpoint] = summary["endpoints"]
    for command in ("status", "connections"):
        shown = run(command).out
        for name in (summary["service_name"], endpoint["dns_name"], endpoint["endpoint"]):
            assert name in shown, (command, name)


@pytest.mark.parametrize("command", ["accept", "reject"])
def test_a_consumers_name_stands_for_its_endpoint(at_cloud: Cloud, run: Run, tmp_path: Path, command: str) -> None:
    """`plab accept acme` and `plab reject acme` decide on the endpoint of that consumer."""
    write_config(tmp_path, "manual")
    [endpoint] = run("up", "--json").json[-1]["endpoints"]
    ran = run(command, "acme", "-y", "--json")
    assert ran.code == 0
    assert ran.json[-1][f"{command}ed"] == [endpoint["endpoint"]]
    assert run(command, "nobody", "-y").code == 2


def test_next_is_short(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """Two endpoints that wait are one `plab accept`, which lists them and asks."""
    write_config(tmp_path, "manual")
    with (tmp_path / "plab.yaml").open("a") as file:
        file.write("  - name: beta\n    accept: manual\n")
    assert run("up", "--json").json[-1]["next"][0] == "plab accept"


def test_it_ends_with_the_judges_line(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """An endpoint that waits: `status` says of its consumer what `why` says, and the command."""
    write_config(tmp_path, "manual")
    run("up", "-q")
    at_cloud.let_new_ids_propagate()
    last = run("status").out.splitlines()[-1]
    assert last.startswith("acme: waiting-for-acceptance (acceptance): The endpoint waits for the provider")
    assert last.endswith(" -> plab accept acme")
    run("accept", "acme", "-y")
    at_cloud.let_new_ids_propagate()
    assert run("status").out.splitlines()[-1].startswith("All ")


@pytest.mark.parametrize("words", ["up --dry-run", "up --dry-run --json", "status", "status --json", "up"])
def test_a_principal_is_printed_whole(at_cloud: Cloud, run: Run, tmp_path: Path, words: str) -> None:
    """A permission that is to be given names the account and the role, wherever it is printed."""
    write_config(tmp_path)
    run("up", "-q")
    principals = ["arn:aws:iam::333333333333:root", "arn:aws:iam::444455556666:role/team"]
    allowed = f"lab: test\nprovider: {{service: {{allowed_principals: {principals}}}}}"
    write_config(tmp_path, **{"lab: test": allowed})
    ran = run(*words.split())
    assert f"lacks {', '.join(principals)}" in ran.out + ran.err
