"""The bench: the boto3 script builds the lab and leaves nothing, and the tables show what was measured."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cloud import Cloud, cloud_at

from benchmarks.compared_tools import compared_tools
from benchmarks.lower_bound import CHAINS, lower_bound
from benchmarks.report import MARKS, Results, targets, write_table
from benchmarks.timing import TimedRun, median_of
from privatelink_lab.local.api.delays import DELAYS

ROOT = Path(__file__).parents[1]
STARTED = {"import click": 0.1, "import boto3": 0.2, "plab --version": 0.11, "plab --help": 0.2, "completion": 0.11}


def ran(wall: float, **calls: int) -> TimedRun:
    """A run with this wall time in seconds, and these calls."""
    return TimedRun(wall, wall, 80.0, Counter(calls), 0.3)


def results(speed: float, up: float, down: float) -> Results:
    """Results of plab, and of a boto3 script that takes a second for every phase."""
    made = Results(speed, {"plab": 1, "boto3 script": 1})
    for phase, wall in (("up", up), ("again", 0.4), ("down", down)):
        made.add("plab", phase, ran(wall, DescribeVpcs=1, DescribeTags=2))
        if phase != "again":
            made.add("boto3 script", phase, ran(1.0, CreateVpc=2))
    return made


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    """The local AWS without faults, whatever the command line asks: the script that is measured knows none."""
    yield from cloud_at(0)


def test_the_boto3_script_builds_the_lab_and_leaves_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """The script that plab is compared with works on the same strict local AWS."""
    before = cloud.aws.inventory()
    environment = {
        "AWS_ENDPOINT_URL": cloud.aws.url,
        "AWS_ACCESS_KEY_ID": cloud.aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.aws.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    script = next(tool for tool in compared_tools(0) if tool.name == "boto3 script")
    subprocess.run(script.up, cwd=tmp_path, env=environment, check=True)
    [endpoint] = cloud.account().ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert str(endpoint["State"]) == "available"  # as sent by the server; the types of the SDK know another word
    subprocess.run(script.down, cwd=tmp_path, env=environment, check=True)
    assert cloud.aws.inventory() == before


def test_the_boto3_script_imports_nothing_of_plab() -> None:
    """The script is what people use today: boto3 and botocore, nothing of plab."""
    text = (ROOT / "benchmarks" / "boto3_script.py").read_text()
    assert "import privatelink_lab" not in text
    assert "from privatelink_lab" not in text


def test_the_lower_bound_is_the_longest_chain_of_the_clock() -> None:
    """Balancer, service, endpoint, acceptance: 203 seconds on AWS's clock, and a twelfth of it at speed 12."""
    chain = ("balancer_active", "service_ready", "connection_listed", "accept_pending", "endpoint_available")
    assert chain in CHAINS["up"]
    assert lower_bound("up", 1) == sum(DELAYS[name].usual for name in chain)
    assert lower_bound("up", 12) == lower_bound("up", 1) / 12
    assert lower_bound("down", 0) == 0


def test_targets_are_met_or_missed_by_what_was_measured() -> None:
    """A figure beyond its limit is `missed`; without a figure the target is `not measured`."""
    found = {target.promise: target for target in targets([results(0, 1.4, 1.6), results(10, 22.3, 99.0)], STARTED)}
    verdicts = [target.verdict for target in found.values()]
    assert verdicts == ["met", "missed", "not measured", "met", "missed", "met", "met", "met", "met", "missed", "met"]
    assert found["at once, `up` within 1.5x of the boto3 script"].measured == "1.40x"


def test_the_medians_are_of_each_figure() -> None:
    """One slow run of five does not count."""
    runs = [ran(wall, DescribeVpcs=calls) for wall, calls in ((1, 5), (9, 4), (2, 3), (3, 9), (2.5, 5))]
    assert (median_of(runs).wall, median_of(runs).calls.total()) == (2.5, 5)


def test_the_table_is_written_between_its_marks(tmp_path: Path) -> None:
    """A second bench replaces the tables of the first, and nothing else."""
    path = tmp_path / "performance.md"
    path.write_text(f"before\n{MARKS[0]}old\n{MARKS[1]}after\n")
    for _ in range(2):
        write_table(path, [results(0, 1.0, 1.0), results(10, 22.0, 12.0)], STARTED, "here")
    text = path.read_text()
    assert text.startswith(f"before\n{MARKS[0]}**AWS takes no time**")
    assert text.endswith(f"{MARKS[1]}after\n")
    assert "| boto3 script | 1.00 s (1.0x) | - | 1.00 s (1.0x) | 2 + 2 | 1.0 s | 80 MB |" in text
    assert "old" not in text


def test_the_page_that_make_bench_writes_has_the_marks() -> None:
    """The bench finds the place for its table."""
    [name] = re.findall(r"benchmarks.speed --write (\S+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text.index(MARKS[0]) < text.index(MARKS[1])
