"""AWS fails at random: commands succeed or stop with a sentence, a later run finishes, and nothing is duplicated.

These tests run in virtual time, with one seed for every trial; `make sweep` runs more.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud, cloud_at, config_of, duplicates
from support.proxied_lab import Count

from privatelink_lab import state
from privatelink_lab.aws import account
from privatelink_lab.config import Config
from privatelink_lab.errors import StateError
from privatelink_lab.lab import Lab
from privatelink_lab.local.control_client import parse_fault
from privatelink_lab.state import State

TRIALS = {
    "throttled": ["throttle,share=0.3"],
    "rate limits": ["rate-limits"],
    "server errors": ["error,share=0.2"],
    "cut before the effect": ["cut-before,share=0.2"],
    "lost answers": ["cut-after,share=0.2"],
    "lost answers of creates": ["cut-after,action=Create*,share=0.7"],
    "stale describes": ["stale,seconds=10"],
    "late ids": ["not-found,seconds=25", "unavailable,seconds=60"],
    "all of it": ["throttle,share=0.1", "error,share=0.05", "cut-before,share=0.05", "cut-after,share=0.1"],
}
SAMPLE = ("lost answers of creates", "stale describes", "late ids")
RUNS = 4  # of a command; in the last one AWS no longer fails


def two_consumers() -> Config:
    """A config with two consumers, one of them in another account."""
    return config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})


def run_until_done(cloud: Cloud, lab: Lab, command: Callable[[Lab], Any]) -> int:
    """The number of runs until a command succeeds; every failed run must say why."""
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
    """The local AWS at speed 200, so that every change of a state takes some virtual time.

    botocore does not retry: its retries take real time, and would hide most errors from plab.
    """
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    yield from cloud_at(200)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All cases with --sweep, a sample without."""
    is_whole = metafunc.config.getoption("--sweep")
    if "trial" in metafunc.fixturenames:
        metafunc.parametrize("trial", TRIALS if is_whole else SAMPLE)
    if "written" in metafunc.fixturenames:
        metafunc.parametrize("written", range(12) if is_whole else (1, 5))


def test_aws_fails_at_random(fast_cloud: Cloud, record_property: Count, trial: str, *, whole: bool) -> None:
    """Whatever fails: in the end `up` leaves a whole lab without duplicates, and `down` leaves nothing."""
    before = fast_cloud.aws.inventory()
    at_once = 0
    seeds = range(20 if whole else 1)
    for seed in seeds:
        fast_cloud.aws._world.faults._random.seed(seed)
        lab = fast_cloud.lab(two_consumers())
        fast_cloud.aws.choose_faults([parse_fault(text) for text in TRIALS[trial]])
        runs = run_until_done(fast_cloud, lab, fast_cloud.up)
        assert duplicates(fast_cloud) == [], f"{trial}, seed {seed}"
        fast_cloud.aws.choose_faults([parse_fault(text) for text in TRIALS[trial]])
        runs += run_until_done(fast_cloud, lab, fast_cloud.down)
        fast_cloud.heal()
        fast_cloud.clock.time += 600
        assert fast_cloud.aws.inventory() == before, f"{trial}, seed {seed}"
        at_once += runs == 2
    record_property("trials", len(seeds))
    record_property("trials that needed no second run", at_once)


def test_credentials_expire_during_up(fast_cloud: Cloud) -> None:
    """`up` stops with one sentence about credentials; with new ones the next run continues."""
    before = fast_cloud.aws.inventory()
    lab = fast_cloud.lab(two_consumers())
    sleeps = iter(range(100))

    def expire() -> None:
        if next(sleeps) == 3:
            fast_cloud.fail("*", 400, "ExpiredToken")

    fast_cloud.clock.before_sleep = expire
    built = fast_cloud.up(lab)
    assert all("The AWS credentials have expired: " in str(error) for error in built.failed.values())
    assert built.failed
    fast_cloud.heal()
    assert fast_cloud.up(fast_cloud.lab(two_consumers(), lab.state)).exit_code == 0
    assert duplicates(fast_cloud) == []
    assert fast_cloud.down(lab).exit_code == 0
    fast_cloud.clock.time += 600
    assert fast_cloud.aws.inventory() == before


def test_the_disk_is_full_when_the_state_is_written(
    fast_cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """Plab creates nothing that it cannot record first: StateError; when the disk has room the next run finishes."""
    before = fast_cloud.aws.inventory()
    path, left, sync = state.path_of(tmp_path, "test"), [written], os.fsync

    def fail_when_full(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fail_when_full)
    with pytest.raises(StateError, match="cannot be written: No space left on device"):
        fast_cloud.up(fast_cloud.lab(two_consumers(), State("test", path)))
    monkeypatch.setattr(os, "fsync", sync)
    lab = fast_cloud.lab(two_consumers(), state.load(tmp_path, "test"))
    assert fast_cloud.up(lab).exit_code == 0
    assert duplicates(fast_cloud) == []
    assert fast_cloud.down(lab).exit_code == 0
    fast_cloud.clock.time += 600
    assert fast_cloud.aws.inventory() == before
