"""Every key is created at most three times in a run, whatever happens to it; then `up` says what AWS said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.cloud import Cloud, config_of
from support.thing import thing

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.engine.reconcile import MOST_CREATES
from privatelink_lab.errors import AwsError, LostAnswer, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.local.control_client import parse_fault
from privatelink_lab.resource import Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.snapshot import Snapshot

KEY = "provider/thing"
Look = Callable[[int], tuple[Found, ...]]  # what snapshots show after so many creates
Answer = Callable[[], Found]  # what AWS answers to a create


def shown() -> Found:
    """AWS has made it."""
    return Found("id", Phase.PENDING, "created")


def refusal(code: str) -> Answer:
    """AWS refuses with this code."""

    def answer() -> Found:
        raise AwsError("No", code=code, operation="CreateThing", status=400)

    return answer


def lost() -> Found:
    """The connection is cut after the request."""
    raise LostAnswer("cut", code="ReadTimeoutError", operation="CreateThing")


def draining() -> Look:
    """It is there for one snapshot after each create, and then gone."""
    since: dict[int, int] = {}

    def look(creates: int) -> tuple[Found, ...]:
        since[creates] = since.get(creates, 0) + 1
        return (Found(f"id-{creates}", Phase.PENDING, "initial"),) if creates and since[creates] < 3 else ()

    return look


CASES: dict[str, tuple[Look, Answer]] = {
    "no snapshot ever shows it": (lambda _: (), shown),
    "it drains again and again": (draining(), shown),
    "every answer is lost": (lambda _: (), lost),
    "its token is used up": (lambda _: (), refusal("IdempotentInstanceTerminated")),
    "its token has another request": (lambda _: (), refusal("IdempotentParameterMismatch")),
}


def build(cloud: Cloud, look: Look, answer: Answer) -> tuple[Built, int]:
    """`up` of one such thing; also how often it was created."""
    creates = 0

    def find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        return look(creates)

    def create(lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
        nonlocal creates
        creates += 1
        return answer()

    resource = thing(KEY, find=find, create=create, patience=Patience(60, 5))
    built = engine.up(cloud.lab(config_of()), (Step("things", lambda _: (resource,)),))
    return built, creates


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_created_more_than_three_times(cloud: Cloud, case: str) -> None:
    """`up` ends, and its sentence says how often it tried."""
    built, creates = build(cloud, *CASES[case])
    assert creates <= MOST_CREATES
    assert isinstance(built.failed[KEY], PlabError)


def test_an_instance_that_ends_is_launched_three_times_and_aws_s_reason_is_said(slow_cloud: Cloud) -> None:
    """The account has no capacity: three RunInstances, AWS's StateReason on the screen, and then an error with it."""
    slow_cloud.aws.choose_faults([parse_fault("instance-fails")])
    built = slow_cloud.up(slow_cloud.lab())
    assert slow_cloud.calls().count("RunInstances") == MOST_CREATES
    error = str(built.failed["provider/web-server"])
    assert "was created 3 times in this run and is gone again." in error
    assert "AWS says: terminated: Server.InternalError" in error
    assert any("Server.InternalError" in getattr(event, "detail", "") for event in slow_cloud.events)
