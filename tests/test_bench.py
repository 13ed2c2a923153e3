"""The bench: who takes part builds the same lab and leaves nothing, and its tables say what was measured."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

from conftest import Cloud

from benchmarks.bound import CHAINS, lower_bound
from benchmarks.contestants import contestants
from benchmarks.report import MARKS, Results, targets, write_table
from benchmarks.timing import Run, middle
from privatelink_lab.local.api.clock import DELAYS

ROOT = Path(__file__).parents[1]
STARTED = {"import click": 0.1, "import boto3": 0.2, "plab --version": 0.11, "plab --help": 0.2, "completion": 0.11}


def ran(wall: float, **calls: int) -> Run:
    """A run that took so long."""
    return Run(wall, wall, 80.0, Counter(calls), 0.3)


def results(speed: float, up: float, down: float) -> Results:
    """Plab and a boto3 script that takes a second for everything."""
    made = Results(speed, {"plab": 1, "boto3 script": 1})
    for phase, wall in (("up", up), ("again", 0.4), ("down", down)):
        made.note("plab", phase, ran(wall, DescribeVpcs=1, DescribeTags=2))
        if phase != "again":
            made.note("boto3 script", phase, ran(1.0, CreateVpc=2))
    return made


def test_the_boto3_script_builds_the_lab_and_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """What plab is measured against works on the same strict local AWS."""
    before = cloud.aws.inventory()
    environment = {
        "AWS_ENDPOINT_URL": cloud.aws.url,
        "AWS_ACCESS_KEY_ID": cloud.aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.aws.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    script = next(each for each in contestants(0) if each.name == "boto3 script")
    subprocess.run(script.up, cwd=tmp_path, env=environment, check=True)
    [endpoint] = cloud.account().ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert str(endpoint["State"]) == "available"  # the wire, whatever the SDK says
    subprocess.run(script.down, cwd=tmp_path, env=environment, check=True)
    assert cloud.aws.inventory() == before


def test_nothing_of_plab_is_in_what_it_is_measured_against() -> None:
    """The script stands for what people have: boto3 and botocore, nothing of ours."""
    text = (ROOT / "benchmarks" / "naive.py").read_text()
    assert "import privatelink_lab" not in text
    assert "from privatelink_lab" not in text


def test_the_lower_bound_is_the_longest_chain_of_the_clock() -> None:
    """Balancer, service, endpoint, acceptance: 203 seconds of AWS time, and a twelfth of it twelve times as fast."""
    chain = ("balancer_active", "service_ready", "connection_listed", "accept_pending", "endpoint_available")
    assert chain in CHAINS["up"]
    assert lower_bound("up", 1) == sum(DELAYS[name].usual for name in chain)
    assert lower_bound("up", 12) == lower_bound("up", 1) / 12
    assert lower_bound("down", 0) == 0


def test_targets_are_met_or_missed_by_what_was_measured() -> None:
    """A figure beyond its limit is missed, one that nobody measured is said to be so."""
    found = {each.promise: each for each in targets([results(0, 1.4, 1.6), results(10, 22.3, 99.0)], STARTED)}
    verdicts = [each.verdict for each in found.values()]
    assert verdicts == ["met", "missed", "not measured", "met", "missed", "met", "met", "met", "met", "missed", "met"]
    assert found["at once, `up` within 1.5x of the boto3 script"].measured == "1.40x"


def test_the_medians_are_of_each_figure() -> None:
    """One slow run of five does not count."""
    runs = [ran(wall, DescribeVpcs=calls) for wall, calls in ((1, 5), (9, 4), (2, 3), (3, 9), (2.5, 5))]
    assert (middle(runs).wall, middle(runs).calls.total()) == (2.5, 5)


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    """A second bench replaces what the first has written, and nothing else."""
    path = tmp_path / "README.md"
    path.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}after\n")
    for _ in range(2):
        write_table(path, [results(0, 1.0, 1.0), results(10, 22.0, 12.0)], STARTED, "here")
    text = path.read_text()
    assert text.startswith(f"before\n{MARKS[0]}**AWS takes no time**")
    assert text.endswith(f"{MARKS[1]}after\n")
    assert "| boto3 script | 1.00 s (1.0x) | - | 1.00 s (1.0x) | 2 + 2 | 1.0 s | 80 MB |" in text
    assert "old" not in text


def test_the_readme_has_room_for_it() -> None:
    """The bench finds its marks there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.index(MARKS[0]) < text.index(MARKS[1])
