"""Tags are removed from each resource at each stage: nothing is made twice, nothing is forgotten, all can be mended."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from support.cloud import Cloud, config_of
from support.lost_tags import ALL_TAGS, strip, tagged_keys
from support.proxied_lab import Count

from privatelink_lab import engine, tags
from privatelink_lab.aws import account
from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab
from privatelink_lab.state import State
from privatelink_lab.steps import STEPS

CONFIG = config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})
LOST = {"all": ALL_TAGS, "the lab": (tags.LAB,), "the key": (tags.KEY,), "the identity": (tags.IDENTITY,)}
STAGES = ("up", "up again", "down")  # as soon as its id is known; between two runs; at the third sleep of `down`
MOST_SECONDS = 3_600  # of AWS's time, for one command
STEP_OF_SAMPLE = 19
CASES = list(itertools.product(tagged_keys("acme", "beta"), STAGES, LOST))


@pytest.fixture
def paced(slow_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The local AWS with its usual delays."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    return slow_cloud


def strip_key(lab: Lab, key: str, names: tuple[str, ...]) -> str:
    """Another person's tool removes these tags; returns the id."""
    id_ = lab.state.ids[key]
    strip(lab.account(key.partition("/")[0]), id_, names)
    return id_


def strip_at(cloud: Cloud, lab: Lab, key: str, names: tuple[str, ...], *, sleep: int) -> list[str]:
    """Remove them at a sleep of the next command, if the resource is there then; the list has its id afterwards."""
    ids: list[str] = []
    sleeps = itertools.count(1)

    def at_sleep() -> None:
        if not ids and next(sleeps) >= sleep and key in lab.state.ids:
            with suppress(AwsError):  # it is not known everywhere yet, or already gone
                ids.append(strip_key(lab, key, names))

    cloud.clock.before_sleep = at_sleep
    return ids


def count(cloud: Cloud) -> dict[str, int]:
    """How many of each kind exist."""
    return {kind: len(lines) for kind, lines in cloud.aws.inventory().items()}


def mend(cloud: Cloud, state: State) -> None:
    """`plab down --adopt`."""
    lab = cloud.lab(CONFIG, state)
    engine.put_tags_back(lab, engine.survey(lab, STEPS, to_delete=True))
    assert cloud.down(lab).exit_code == 0


def test_tags_are_lost(paced: Cloud, record_property: Count, *, whole: bool) -> None:
    """Every command ends; no second resource is made; what is left is named by its id; `down --adopt` deletes it."""
    before, lost = paced.aws.inventory(), 0
    paced.up(plain := paced.lab(CONFIG))
    paced.let_new_ids_propagate()
    most = count(paced)
    paced.down(plain)
    paced.clock.time += 600
    for key, stage, what in CASES if whole else CASES[::STEP_OF_SAMPLE]:
        case, lab = f"{key} loses {what}, {stage}", paced.lab(CONFIG)
        ids = strip_at(paced, lab, key, LOST[what], sleep=1) if stage == "up" else []
        began = paced.clock.now()
        first = paced.up(lab)
        paced.clock.before_sleep = lambda: None
        assert first.exit_code == 0 or stage == "up", case
        paced.let_new_ids_propagate()
        if stage == "up again":
            ids = [strip_key(lab, key, LOST[what])]
        again = paced.up(paced.lab(CONFIG, lab.state))
        assert again.exit_code == (1 if ids else 0), case
        assert all(number <= most[kind] for kind, number in count(paced).items()), f"{case}: {count(paced)}"
        paced.let_new_ids_propagate()
        down = paced.lab(CONFIG, lab.state)
        if stage == "down":
            ids = strip_at(paced, down, key, LOST[what], sleep=3)
        removed = paced.down(down)
        paced.clock.before_sleep = lambda: None
        assert paced.clock.now() - began < MOST_SECONDS, case
        left = {kind: lines for kind, lines in paced.aws.inventory().items() if lines != before.get(kind, [])}
        if left:
            assert removed.exit_code == 3, f"{case}: forgets {left}"
            assert ids[0] in str(removed.left), case
        lost += len(ids)
        paced.clock.time += 300
        mend(paced, lab.state)
        paced.clock.time += 600
        assert paced.aws.inventory() == before, case
    record_property("lost tags", lost)
