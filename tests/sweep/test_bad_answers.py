"""One describe answers wrongly: nothing is created twice, nothing is forgotten, and the next run finishes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.cloud import Cloud, cloud_at, config_of, duplicates
from support.proxied_lab import Count
from support.spoiler import Spoiler

from privatelink_lab.aws import account

ANSWERS = ("empty", "stale", "html")
STEPS_OF_SAMPLE, STEPS_OF_SLOW = 11, 5  # without --sweep, and at speed 200, one describe in so many is spoilt
CONFIG = config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})


@pytest.fixture
def paced_cloud(speed: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The local AWS at this speed, in virtual time. botocore does not retry: that would hide the answer from plab."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    yield from cloud_at(speed)


def numbers(speed: float, *, whole: bool) -> Iterator[int]:
    """Which describes to spoil, one in each run."""
    step = (STEPS_OF_SLOW if speed else 1) if whole else STEPS_OF_SAMPLE
    yield from range(1, 1000, step)


@pytest.mark.parametrize("command", ["up", "down"])
@pytest.mark.parametrize("how", ANSWERS)
@pytest.mark.parametrize("speed", [0, 200])
def test_one_answer_is_wrong(  # what is spoilt, how, when, and where it is counted
    paced_cloud: Cloud, record_property: Count, speed: float, how: str, command: str, *, whole: bool
) -> None:
    """An empty, a stale or a foreign answer to any describe doubles nothing, forgets nothing and ends nothing."""
    before, runs = paced_cloud.aws.inventory(), 0
    for number in numbers(speed, whole=whole):
        spoiler, lab = Spoiler(number, how), paced_cloud.lab(CONFIG)
        if command == "up":
            paced_cloud.up(spoiler.watch(lab))
        else:
            assert paced_cloud.up(lab).exit_code == 0
        assert duplicates(paced_cloud) == [], f"describe {number}: {spoiler.hit}"
        paced_cloud.clock.time += 300
        state = lab.state
        if command == "down":
            removed = paced_cloud.down(spoiler.watch(paced_cloud.lab(CONFIG, state)))
            left = paced_cloud.aws.inventory() != before
            assert removed.exit_code or not left, f"describe {number}: {spoiler.hit} is forgotten"
        else:
            assert paced_cloud.up(paced_cloud.lab(CONFIG, state)).exit_code == 0, f"describe {number}: {spoiler.hit}"
        assert paced_cloud.down(paced_cloud.lab(CONFIG, state)).exit_code == 0, f"describe {number}: {spoiler.hit}"
        paced_cloud.clock.time += 600
        assert paced_cloud.aws.inventory() == before, f"describe {number}: {spoiler.hit}"
        if not spoiler.hit:
            break
        runs += 1
    record_property("wrong answers", runs)
