"""The trials: AWS at its worst. Commands end well or stop with a sentence, a later run finishes, nothing doubles.

In virtual time, some seeds each; `make sweep` takes more of them.
"""

from __future__ import annotations

import errno
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Cloud, cloud_at, config_of

from privatelink_lab import state
from privatelink_lab.aws import account
from privatelink_lab.config import Config
from privatelink_lab.errors import StateError
from privatelink_lab.lab import Lab
from privatelink_lab.local.client import parse_fault
from privatelink_lab.state import State

from .conftest import Count

TRIALS = {
    "throttled": ["throttle,share=0.3"],
    "buckets": ["buckets"],
    "server errors": ["error,share=0.2"],
    "cut before the effect": ["cut-before,share=0.2"],
    "lost answers": ["cut-after,share=0.2"],
    "lost answers of creates": ["cut-after,action=Create*,share=0.7"],
    "stale describes": ["stale,seconds=10"],
    "late ids": ["not-found,seconds=25", "unavailable,seconds=60"],
    "all of it": ["throttle,share=0.1", "error,share=0.05", "cut-before,share=0.05", "cut-after,share=0.1"],
}
SAMPLE = ("lost answers of creates", "stale describes", "late ids")
RUNS = 4  # of a command under its fault, before AWS is well again for the last one


def asked() -> Config:
    """Two consumers, one of them in another account."""
    return config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})


def doubled(cloud: Cloud) -> list[tuple[str, str]]:
    """What exists twice: kinds and keys."""
    keys = Counter(
        (kind, key)
        for kind, lines in cloud.aws.inventory().items()
        for line in lines
        for key in re.findall(r"'plab:key': '([^']+)'", line)
    )
    return [each for each, count in keys.items() if count > 1]


def finish(cloud: Cloud, lab: Lab, command: Callable[[Lab], Any]) -> int:
    """How many runs a command takes; what a run stops with is a sentence."""
    for number in range(1, RUNS + 1):
        if number == RUNS:
            cloud.heal()
        ended = command(lab)
        if ended.exit_code == 0:
            return number
        problems = getattr(ended, "failed", None) or ended.left
        assert all(str(error) for error in problems.values())
        cloud.clock.time += 300
    pytest.fail(f"not finished after {RUNS} runs: {problems}")


@pytest.fixture
def fast_cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The local AWS at 200 times its speed: what takes time there takes some here.

    Without botocore's own second attempts: these wait for real, and would hide most of what goes wrong from plab.
    """
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    yield from cloud_at(200)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All of it with --sweep, a sample without."""
    all_of_it = metafunc.config.getoption("--sweep")
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", TRIALS if all_of_it else SAMPLE)
    if "written" in metafunc.fixturenames:
        metafunc.parametrize("written", range(12) if all_of_it else (1, 5))


def test_aws_at_its_worst(fast_cloud: Cloud, record_property: Count, trial: str, *, whole: bool) -> None:
    """Whatever goes wrong on the way: in the end the lab is whole, with nothing twice, and then nothing is left."""
    before = fast_cloud.aws.inventory()
    at_once = 0
    seeds = range(20 if whole else 1)
    for seed in seeds:
        fast_cloud.aws._world.faults._random.seed(seed)
        lab = fast_cloud.lab(asked())
        fast_cloud.aws.choose_faults([parse_fault(each) for each in TRIALS[trial]])
        runs = finish(fast_cloud, lab, fast_cloud.up)
        assert doubled(fast_cloud) == [], f"{trial}, seed {seed}"
        fast_cloud.aws.choose_faults([parse_fault(each) for each in TRIALS[trial]])
        runs += finish(fast_cloud, lab, fast_cloud.down)
        fast_cloud.heal()
        fast_cloud.clock.time += 600
        assert fast_cloud.aws.inventory() == before, f"{trial}, seed {seed}"
        at_once += runs == 2
    record_property("trials", len(seeds))
    record_property("trials that needed no second run", at_once)


def test_credentials_that_expire_half_way(fast_cloud: Cloud) -> None:
    """`up` stops with one sentence about credentials; with new ones the next run goes on where it stood."""
    before = fast_cloud.aws.inventory()
    lab = fast_cloud.lab(asked())
    sleeps = iter(range(100))

    def expire() -> None:
        if next(sleeps) == 3:
            fast_cloud.fail("*", 400, "ExpiredToken")

    fast_cloud.clock.before_sleep = expire
    built = fast_cloud.up(lab)
    assert {str(error) for error in built.failed.values()} == {"The AWS credentials have expired (ExpiredToken)."}
    fast_cloud.heal()
    assert fast_cloud.up(fast_cloud.lab(asked(), lab.state)).exit_code == 0
    assert doubled(fast_cloud) == []
    assert fast_cloud.down(lab).exit_code == 0
    fast_cloud.clock.time += 600
    assert fast_cloud.aws.inventory() == before


def test_a_disk_that_is_full_when_the_state_is_written(
    fast_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Nothing is made that could not be noted first: a StateError; with room again the next run finishes."""
    before = fast_cloud.aws.inventory()
    path, left, sync = state.path_of(tmp_path, "test"), [written], os.fsync

    def full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateError, match="cannot be written: No space left on device"):
        fast_cloud.up(fast_cloud.lab(asked(), State("test", path)))
    monkeypatch.setattr(os, "fsync", sync)
    lab = fast_cloud.lab(asked(), state.load(tmp_path, "test"))
    assert fast_cloud.up(lab).exit_code == 0
    assert doubled(fast_cloud) == []
    assert fast_cloud.down(lab).exit_code == 0
    fast_cloud.clock.time += 600
    assert fast_cloud.aws.inventory() == before
