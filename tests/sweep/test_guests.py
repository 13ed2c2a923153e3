"""Another person's resource in each place of the VPCs: `down` ends, deletes all else, and names it."""

from __future__ import annotations

import itertools

import pytest
from support.cloud import Cloud, config_of
from support.guests import GUESTS, Guest, Place, remove
from support.proxied_lab import Count

from privatelink_lab.aws import account
from privatelink_lab.lab import Lab

CONFIG = config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})
PARTIES = ("provider", "acme", "beta")
MOMENTS = ("before", "early", "late")  # it comes before `down`, at its second sleep, or when its subnets are free
SLEEPS = {"early": 2, "late": 25}
MOST_SECONDS = 1_200  # of AWS's time, for one `down`
STEP_OF_SAMPLE = 11
CASES = list(itertools.product(GUESTS, PARTIES, MOMENTS))


@pytest.fixture
def paced(slow_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """The local AWS with its usual delays."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)
    return slow_cloud


def place_of(cloud: Cloud, lab: Lab, party: str) -> Place:
    """The VPC of a party of the lab that is up."""
    return Place(lab.account(party), party, dict(lab.state.ids), cloud.let_new_ids_propagate)


def arrive(cloud: Cloud, guest: Guest, place: Place, moment: str) -> list[str]:
    """Put it there, now or in the middle of the next command; the list has its id once it is there."""
    ids: list[str] = []
    sleeps = itertools.count(1)

    def at_sleep() -> None:
        if not ids and next(sleeps) >= SLEEPS[moment] and place.is_whole():
            ids.append(guest(place))

    if moment == "before":
        ids.append(guest(place))
        cloud.let_new_ids_propagate()
    else:
        cloud.clock.before_sleep = at_sleep
    return ids


def test_a_guest_in_each_place(paced: Cloud, record_property: Count, *, whole: bool) -> None:
    """`down` ends in time, exits with 3 and names guest and command; once that is gone, the next one ends it."""
    before, arrived = paced.aws.inventory(), 0
    for guest, party, moment in CASES if whole else CASES[::STEP_OF_SAMPLE]:
        case = f"{guest.__name__} in {party}, {moment}"
        lab = paced.lab(CONFIG)
        assert paced.up(lab).exit_code == 0, case
        paced.let_new_ids_propagate()
        place = place_of(paced, lab, party)
        ids = arrive(paced, guest, place, moment)
        began = paced.clock.now()
        removed = paced.down(paced.lab(CONFIG, lab.state))
        paced.clock.before_sleep = lambda: None
        assert paced.clock.now() - began < MOST_SECONDS, case
        if ids:
            arrived += 1
            key, command = GUESTS[guest]
            assert removed.exit_code == 3, case
            told = str(removed.left[f"{party}/{key}"]) + removed.left[f"{party}/{key}"].hint
            assert ids[0] in told, case
            assert command.format(ids[0]) in told, case
            stay = {"vpc", "subnet-1", "security-group"}
            held = {left.partition("/")[2] for left in removed.left if left.startswith(f"{party}/")}
            assert held <= stay, f"{case}: {held}"
            assert len(held) == len(removed.left), f"{case}: {list(removed.left)}"
            remove(place, ids[0])
            paced.clock.time += 300
            assert paced.down(paced.lab(CONFIG, lab.state)).exit_code == 0, case
        paced.clock.time += 600
        assert paced.aws.inventory() == before, case
    record_property("guests", arrived)
