"""Two `plab up --adopt` of one lab at once, on two machines; one is killed or held up at each of its changes.

Both end well, nothing exists twice, and a `down` leaves nothing. A sample always runs; `make sweep` runs all cases and
prints their number.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from support.cloud import cloud_at
from support.proxied_lab import Count
from support.two_runs import Spoilt, left_over, runs_of

from privatelink_lab.aws import account

KILLED = None
HELD_UP = (0.5, 2.0)  # seconds, at 20 times the speed of AWS: less than it takes to show what is new, and more
Case = tuple[str, float | None, bool, Iterable[int]]
SAMPLE: list[Case] = [
    ("begin", KILLED, True, (1, 8)),
    ("begin", 0.5, False, (1, 1, 1)),
    ("consumer", KILLED, False, (2,)),
    ("consumer", 0.5, False, (1,)),
]
WHOLE: list[Case] = [
    (what, seconds, after, range(1, 100))
    for what in ("begin", "consumer")
    for seconds in (KILLED, *HELD_UP)
    for after in (False, True)
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """All cases with --sweep, a sample without."""
    if "case" not in metafunc.fixturenames:
        return
    cases = WHOLE if metafunc.config.getoption("--sweep") else SAMPLE
    ids = [
        f"{what}-{f'{seconds} s' if seconds else 'killed'}-{'after' if after else 'before'}"
        for what, seconds, after, _ in cases
    ]
    metafunc.parametrize("case", cases, ids=ids)


def test_one_of_two_runs_is_killed_or_held_up(
    record_property: Count, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    """The one that is killed begins again at once with its state: both end with exit code 0, and one of each exists."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    what, seconds, after, numbers = case
    done = 0
    for number in numbers:
        for cloud in cloud_at(20):
            runs, spoilt = runs_of(cloud, what), Spoilt(number, after, seconds)
            ends = [built and (built.exit_code, built.failed, built.suspects) for built in runs.at_once([spoilt])]
            assert ends == [(0, {}, {})] * len(ends), f"{number}, {spoilt.action}"
            assert left_over(runs) == [], f"{number}, {spoilt.action}"
            done += bool(spoilt.action)
        if not spoilt.action:
            break
    record_property("runs killed or held up beside another", done)


def test_the_killed_one_comes_back_when_the_other_has_ended(record_property: Count, *, whole: bool) -> None:
    """Whatever the one that goes on ends with, both end well once each has begun again."""
    done = 0
    for number in range(1, 100) if whole else (1, 5):
        for cloud in cloud_at(20):
            runs, spoilt = runs_of(cloud, "begin"), Spoilt(number, after=True)
            runs.at_once([spoilt], again=False)
            assert [built.exit_code for built in runs.one_by_one()] == [0, 0], f"{number}, {spoilt.action}"
            assert left_over(runs) == [], f"{number}, {spoilt.action}"
            done += bool(spoilt.action)
        if not spoilt.action:
            break
    record_property("runs killed beside another that ended", done)
