"""The end of a `down`: whatever AWS answers, `down` ends, names what is left, and does not spin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from support.cloud import Cloud, config_of
from support.foreign_account import connect_stranger
from support.thing import thing

from privatelink_lab import engine
from privatelink_lab.aws import Account, account
from privatelink_lab.engine import Removed
from privatelink_lab.errors import AccountError, AwsError, LostAnswer, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Patience, Phase, Resource, Step
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.state import Party
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN

MOST = 2_000  # sleeps; a teardown that takes more spins, or never ends


@pytest.fixture(autouse=True)
def no_second_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the retries of botocore, which wait for real; the loop retries in virtual time."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)


def at_most(cloud: Cloud, sleeps: int) -> None:
    """Fail when the loop has slept more often."""
    if cloud.clock.sleeps > sleeps:
        pytest.fail(f"{cloud.clock.sleeps} sleeps")


class Thing:
    """A resource that exists, and is deleted or stays as a test says."""

    def __init__(self, key: str, *depends_on: str, **options: Any) -> None:
        self.key, self.depends_on = key, depends_on
        self.phase, self.gone_at, self.there_from = Phase.READY, float("inf"), 0.0
        self.options = {"patience": Patience(60, 0)} | options

    def find(self, lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        """What a snapshot finds of it."""
        is_there = self.there_from <= lab.clock.now() < self.gone_at
        return (Found(f"id-{self.key}", self.phase, self.phase),) if is_there else ()

    def delete(self, _: object, ids: tuple[str, ...]) -> Mapping[str, AwsError]:
        """AWS deletes it at once."""
        self.gone_at = 0.0
        return {}

    def resource(self) -> Resource:
        """The `Resource` of this thing."""
        options: dict[str, Any] = {"find": self.find, "delete": self.delete} | self.options
        return thing(self.key, self.depends_on, **options)


def tear_down(cloud: Cloud, *things: Thing) -> tuple[Removed, float]:
    """The receipt of a `down` of these, and its seconds."""
    lab = cloud.lab(config_of())
    step = Step("things", lambda _: tuple(thing.resource() for thing in things))
    began = cloud.clock.now()
    cloud.clock.before_sleep = lambda: at_most(cloud, MOST)
    return engine.down(lab, (step,), engine.survey(lab, (step,))), cloud.clock.now() - began


def refusal(code: str) -> AwsError:
    """AWS's answer with that code."""
    return AwsError("No", code=code, operation="DeleteThing", status=400)


def test_a_delete_whose_answer_is_lost_is_waited_for(cloud: Cloud) -> None:
    """The delete had its effect, but its answer was lost: `down` polls until the resource is gone."""
    thing = Thing("provider/thing")

    def delete(_: object, ids: tuple[str, ...]) -> Mapping[str, AwsError]:
        thing.phase, thing.gone_at = Phase.DELETING, cloud.clock.now() + 40
        raise LostAnswer("Read timeout", code="ReadTimeoutError", operation="TerminateInstances")

    thing.options["delete"] = delete
    removed, seconds = tear_down(cloud, thing)
    assert (removed.exit_code, removed.deleted) == (0, {"thing": ["id-provider/thing"]})
    assert 40 <= seconds < 45
    assert cloud.clock.sleeps < 100


def test_a_connection_made_after_the_question_is_left(cloud: Cloud) -> None:
    """A stranger connects after the user has agreed: `down` leaves the connection and its service, and names both."""
    held = refusal("ExistingVpcEndpointConnections")
    service = Thing("provider/service", delete=lambda *_: {"id-provider/service": held})
    stranger = Thing("provider/foreign", "provider/service", made_by_plab=False)
    stranger.there_from = cloud.clock.now() + 1
    removed, seconds = tear_down(cloud, service, stranger)
    assert "you have not agreed to cut it" in str(removed.left["provider/foreign"])
    assert "because provider/foreign could not be deleted" in str(removed.left["provider/service"])
    assert seconds < 30


def test_a_stranger_who_connects_during_the_down_of_a_whole_lab(slow_cloud: Cloud) -> None:
    """A stranger connects during the `down` of a whole lab: everything else is deleted, exit 3."""
    lab = slow_cloud.lab(config_of(provider={"service": {"allowed_principals": ["444455556666"]}}))
    built = slow_cloud.up(lab)
    slow_cloud.let_new_ids_propagate()
    seen = engine.survey(lab, STEPS, to_delete=True)
    connect_stranger(slow_cloud, built)
    slow_cloud.clock.before_sleep = lambda: at_most(slow_cloud, MOST)
    removed = engine.down(lab, STEPS, seen)
    assert removed.exit_code == 3
    assert "provider/endpoint-service/connections" in removed.left
    assert "acme/vpc" not in removed.left


UNREAD = {  # what AWS, or the machine, says to the credentials of a consumer -> whether its connection is foreign
    "the role": (refusal("AccessDenied"), True),
    "the profile": (AccountError("No such profile."), True),
    "a throttle": (refusal("RequestLimitExceeded"), False),
}


@pytest.mark.parametrize(("error", "foreign"), UNREAD.values(), ids=UNREAD)
def test_an_account_that_cannot_be_read_holds_nothing_up(slow_cloud: Cloud, *, error: PlabError, foreign: bool) -> None:
    """A consumer's credentials are refused: `down` cuts its connection and deletes the rest, at once."""
    config = config_of({"name": "acme"}, {"name": "beta", "role_arn": "arn:aws:iam::222222222222:role/lab"})
    built = slow_cloud.lab(config)
    assert slow_cloud.up(built).exit_code == 0
    slow_cloud.let_new_ids_propagate()
    lab = slow_cloud.lab(config, built.state)
    reach = lab.connect

    def connect(party: Party) -> Account:
        if party.role_arn:
            raise error
        return reach(party)

    lab.connect = connect
    seen = engine.survey(lab, STEPS, to_delete=True)
    assert [found.id for found in seen.found[FOREIGN]] == [built.state.ids["beta/endpoint"]] * foreign
    began = slow_cloud.clock.now()
    if foreign:
        removed = engine.down(lab, STEPS, seen)
        assert sorted(removed.left) == ["beta/endpoint", "beta/security-group", "beta/subnet-1", "beta/vpc"]
        assert slow_cloud.clock.now() - began < 60


def test_what_a_snapshot_misses_once_is_counted_once(cloud: Cloud) -> None:
    """One snapshot misses a resource, which is deleted later: the receipt has it once."""
    thing = Thing("provider/thing")
    reads = iter(range(100))
    thing.options["find"] = lambda lab, snapshot, resource: (
        () if next(reads) == 1 else thing.find(lab, snapshot, resource)
    )
    thing.options["delete"] = lambda *_: {} if next(reads) < 8 else thing.delete(None, ())
    assert tear_down(cloud, thing)[0].deleted == {"thing": ["id-provider/thing"]}


def test_what_could_not_be_described_once_and_is_gone_is_not_left(cloud: Cloud) -> None:
    """One describe is refused, the last one shows that the resource is gone: the receipt says deleted."""
    thing, other = Thing("provider/thing"), Thing("provider/other")
    reads = iter(range(100))

    def find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        if next(reads) == 1:
            raise refusal("UnauthorizedOperation")
        return thing.find(lab, snapshot, resource)

    thing.options["find"] = find
    removed, _ = tear_down(cloud, thing, other)
    assert removed.left == {}
    assert removed.deleted == {"thing": ["id-provider/other", "id-provider/thing"]}


def test_surveys_become_rare_while_nothing_goes(cloud: Cloud) -> None:
    """A delete is refused for a quarter of an hour: `down` surveys the lab again a few times, not every ten seconds."""
    surveys: list[float] = []
    held = Thing("provider/held", delete=lambda *_: {"id-provider/held": refusal("DependencyViolation")})
    held.options["patience"] = Patience(900, 0)
    absent = Thing("provider/absent")  # only a survey reads it

    def find(lab: Lab, *_: object) -> tuple[Found, ...]:
        surveys.append(lab.clock.now())
        return ()

    absent.options["find"] = find
    removed, seconds = tear_down(cloud, held, absent)
    assert removed.exit_code == 3
    assert seconds >= 900
    assert 5 <= len(surveys) <= 12
