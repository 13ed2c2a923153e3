"""The loop when AWS is late, busy, silent or refuses: what a user sees, and which creates are never sent twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.cloud import Cloud, config_of
from support.thing import thing

from privatelink_lab import engine
from privatelink_lab.aws import account
from privatelink_lab.errors import AccountError, AwsError, Interrupted, LostAnswer, PlabError
from privatelink_lab.events import Failed, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Patience, Phase, Resource, Step, Token
from privatelink_lab.snapshot import Snapshot
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.network import VPC_TYPE


@pytest.fixture(autouse=True)
def no_second_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch off the retries of botocore, which wait for real; the loop retries in virtual time."""
    monkeypatch.setattr(account, "RETRIES", account.ONCE)


class Thing:
    """A resource of a test, which chooses what snapshots find and what calls answer."""

    def __init__(self, key: str, *depends_on: str, **options: Any) -> None:
        self.key, self.depends_on, self.options = key, depends_on, options
        self.seen: list[tuple[Found, ...]] = []  # what the snapshots find in turn; the last one stays
        self.answers: list[PlabError] = []  # what creates raise in turn; then they take effect
        self.made: list[str] = []
        self.attempts: list[int] = []
        self.updated = 0

    def find(self, lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        """What this snapshot finds."""
        if self.seen:
            return self.seen.pop(0) if len(self.seen) > 1 else self.seen[0]
        return tuple(Found(id_, Phase.READY, "in place") for id_ in self.made)

    def create(self, lab: Lab, snapshot: Snapshot, resource: Resource, token: Token) -> Found:
        """One create."""
        self.attempts.append(token.attempt)
        if self.answers:
            raise self.answers.pop(0)
        self.made.append(f"id-{len(self.made)}")
        return Found(self.made[-1], Phase.PENDING, "created")

    def update(self, lab: Lab, snapshot: Snapshot, resource: Resource, found: Found) -> None:
        """One update."""
        self.updated += 1

    def resource(self) -> Resource:
        """The `Resource` of this thing."""
        options: dict[str, Any] = {
            "find": self.find,
            "delete": lambda account, ids: {},
            "create": self.create,
            "patience": Patience(60, 20),
        } | self.options
        return thing(self.key, self.depends_on, **options)


def build(cloud: Cloud, *things: Thing, creation_grace_period: float | None = None) -> tuple[engine.Built, Lab]:
    """`up` with these things as the only step."""
    lab = cloud.lab(config_of(creation_grace_period=creation_grace_period))
    step = Step("things", lambda _: tuple(thing.resource() for thing in things))
    return engine.up(lab, (step,)), lab


def refusal(code: str, operation: str = "CreateThing", status: int = 400) -> AwsError:
    """AWS's answer with that code."""
    return AwsError("No", code=code, operation=operation, status=status)


def test_what_is_not_visible_yet_is_not_made_again(cloud: Cloud) -> None:
    """A fresh id that describes do not show for seconds is pending, not created twice."""
    thing = Thing("provider/thing")
    ready = (Found("id-0", Phase.READY),)
    thing.seen = [(), (), (), ready]
    built, _ = build(cloud, thing)
    assert built.exit_code == 0
    assert thing.made == ["id-0"]
    assert Waiting("provider/thing", "things", "id-0", "not visible yet", 60.0) in cloud.events


def test_what_is_missing_after_its_grace_period_is_made_again_with_a_new_token(cloud: Cloud) -> None:
    """A resource that is still missing after its grace period is gone: `up` creates it again, as a new attempt."""
    thing = Thing("provider/thing")
    thing.seen = [(), *[()] * 200]
    lab = cloud.lab(config_of(creation_grace_period=None))

    def when_made_twice() -> None:
        if len(thing.made) == 2:
            thing.seen = [(Found("id-1", Phase.READY),)]

    cloud.clock.before_sleep = when_made_twice
    step = Step("things", lambda _: (thing.resource(),))
    assert engine.up(lab, (step,)).exit_code == 0
    assert thing.attempts == [0, 1]


def test_after_a_lost_answer_up_polls_before_it_sends_again(cloud: Cloud) -> None:
    """The answer to a create is lost after its effect: a snapshot finds the resource, and `up` makes no second one."""
    thing = Thing("provider/thing")
    thing.answers = [LostAnswer("gone", code="ReadTimeoutError", operation="CreateVpc")]
    thing.seen = [(), (), (Found("id-9", Phase.READY),)]
    built, lab = build(cloud, thing)
    assert built.exit_code == 0
    assert thing.made == []
    assert len(thing.attempts) == 1
    assert lab.state.ids["provider/thing"] == "id-9"
    assert lab.state.create_pending == {}


def test_a_create_without_effect_is_sent_again_after_the_grace_period(cloud: Cloud) -> None:
    """The create had no effect and no answer: `up` sends it again after the grace period."""
    thing = Thing("provider/thing")
    thing.answers = [LostAnswer("gone", code="ConnectionClosedError", operation="CreateVpc")]
    built, _ = build(cloud, thing)
    assert built.exit_code == 0
    assert thing.made == ["id-0"]
    assert cloud.clock.now() - 1_700_000_000 >= 20


@pytest.mark.parametrize(
    ("code", "operation", "status"),
    [
        ("RequestLimitExceeded", "CreateVpc", 503),
        ("Throttling", "CreateLoadBalancer", 400),
        ("Unavailable", "CreateVpcEndpoint", 503),
        ("InvalidServiceName", "CreateVpcEndpoint", 400),
        ("InvalidTarget", "RegisterTargets", 400),
        ("InvalidSubnetID.NotFound", "RunInstances", 400),
    ],
)
def test_a_retryable_refusal_is_tried_again(cloud: Cloud, code: str, operation: str, status: int) -> None:
    """Throttles, the 503 of a new service, and ids that AWS does not know everywhere yet are no failures."""
    thing = Thing("provider/thing")
    thing.answers = [refusal(code, operation, status)] * 3
    thing.options["retryable"] = frozenset({"InvalidServiceName", "InvalidTarget"})
    built, _ = build(cloud, thing)
    assert built.exit_code == 0
    assert thing.made == ["id-0"]


def test_a_retryable_refusal_fails_after_the_patience(cloud: Cloud) -> None:
    """A service name that stays unknown fails after the patience, with AWS's code."""
    thing = Thing("provider/thing")
    thing.answers = [refusal("InvalidServiceName", "CreateVpcEndpoint")] * 1000
    thing.options["retryable"] = frozenset({"InvalidServiceName"})
    built, _ = build(cloud, thing)
    error = built.failed["provider/thing"]
    assert isinstance(error, AwsError)
    assert error.code == "InvalidServiceName"


@pytest.mark.parametrize("code", ["IdempotentInstanceTerminated", "IdempotentParameterMismatch"])
def test_a_used_up_token_is_replaced_at_once(cloud: Cloud, code: str) -> None:
    """EC2 refuses a token that was used before: the next attempt has a new one."""
    thing = Thing("provider/thing")
    thing.answers = [refusal(code, "RunInstances")]
    built, _ = build(cloud, thing, creation_grace_period=0)
    assert built.exit_code == 0
    assert thing.attempts == [0, 1]


def test_a_failure_stops_its_dependents_and_lets_the_rest_finish(cloud: Cloud) -> None:
    """One refused create: its dependents are not tried, everything else is built, exit 1."""
    bad, after, other = Thing("provider/bad"), Thing("provider/after", "provider/bad"), Thing("acme/other")
    waiting = Thing("acme/waiting", ready_after=("provider/bad",))
    waiting.seen = [(Found("w", Phase.PENDING, "unused"),)]
    bad.answers = [refusal("VpcLimitExceeded", "CreateVpc")]
    built, _ = build(cloud, bad, after, other, waiting)
    assert built.exit_code == 1
    assert list(built.failed) == ["provider/bad"]
    assert built.blocked == ["provider/after", "acme/waiting"]
    assert list(built.done) == ["acme/other"]
    assert after.attempts == []


def test_an_unknown_aws_word_is_a_failure_that_names_it(cloud: Cloud) -> None:
    """A state that the phase map does not know is never guessed."""
    thing = Thing("provider/thing")
    thing.seen = [(Found("id-7", Phase.FAILED, "frobnicating"),)]
    built, _ = build(cloud, thing)
    assert "frobnicating" in built.failed["provider/thing"].message
    assert built.failed["provider/thing"].hint == "plab up --replace provider/thing"


def test_a_wait_has_an_end(cloud: Cloud) -> None:
    """A resource that stays pending beyond its patience fails with AWS's last word and a hint."""
    thing = Thing("provider/thing")
    thing.seen = [(Found("id-7", Phase.PENDING, "provisioning"),)]
    built, _ = build(cloud, thing)
    assert "is still 'provisioning' after 1 min" in built.failed["provider/thing"].message
    assert 60 <= cloud.clock.now() - 1_700_000_000 <= 75


def test_a_stale_describe_after_an_update_does_not_spin(cloud: Cloud) -> None:
    """An update that describes do not show yet is repeated once a tick at most, with sleeps between."""
    thing = Thing("provider/thing")
    thing.options["update"] = thing.update
    drifted: tuple[Found, ...] = (Found("id-1", Phase.DRIFTED, "off"),)
    thing.seen = [*[drifted] * 6, (Found("id-1", Phase.READY),)]
    assert build(cloud, thing)[0].exit_code == 0
    assert thing.updated <= cloud.clock.sleeps + 1


def test_drift_that_cannot_be_updated_names_replace(cloud: Cloud) -> None:
    """Drift without an update is a failure with the command that helps."""
    thing = Thing("provider/thing")
    thing.seen = [(Found("id-1", Phase.DRIFTED, "other"),)]
    assert build(cloud, thing)[0].failed["provider/thing"].hint == "plab up --replace provider/thing"


def test_an_endpoint_held_for_a_failed_acceptance_ends_at_once(cloud: Cloud) -> None:
    """`up` does not wait for a held endpoint whose acceptance has failed."""
    endpoint, acceptance = Thing("acme/endpoint"), Thing("acme/acceptance", "acme/endpoint")
    endpoint.seen = [(Found("vpce-1", Phase.HELD, "pendingAcceptance"),)]
    acceptance.answers = [refusal("UnauthorizedOperation", "AcceptVpcEndpointConnections", 403)]
    built, _ = build(cloud, endpoint, acceptance)
    assert built.exit_code == 1
    assert cloud.clock.sleeps <= 1


def test_a_throttled_describe_is_not_a_failure(cloud: Cloud) -> None:
    """A throttled describe only delays its keys."""
    lab = cloud.lab()
    assert cloud.up(lab).exit_code == 0
    cloud.fail("DescribeVpcEndpoints", 400, "RequestLimitExceeded")
    cloud.clock.before_sleep = cloud.heal
    built = cloud.up(cloud.lab(state=lab.state))
    assert built.exit_code == 0


def test_an_interrupt_starts_nothing_new(cloud: Cloud) -> None:
    """After Ctrl-C the loop raises Interrupted before the next call; what was made is in the state."""
    first, second = Thing("provider/first"), Thing("provider/second", "provider/first")
    lab = cloud.lab(config_of())
    first.options["create"] = lambda lab, snapshot, resource, token: (
        lab.interrupt(),
        first.create(lab, snapshot, resource, token),
    )[1]
    step = Step("things", lambda _: (first.resource(), second.resource()))
    with pytest.raises(Interrupted):
        engine.up(lab, (step,))
    assert lab.state.ids == {"provider/first": "id-0"}
    assert second.attempts == []


def test_a_role_that_cannot_be_assumed_fails_its_own_keys_only(cloud: Cloud) -> None:
    """One consumer's account is out of reach: only its keys fail, and `down` names what it could not delete."""
    lab = cloud.lab(config_of({"name": "acme"}, {"name": "beta", "profile": "beta"}))
    reach = lab.connect

    def connect(party: Any) -> Any:
        if party.profile == "beta":
            raise AccountError("No such profile.", hint="Correct it.")
        return reach(party)

    lab.connect = connect
    built = cloud.up(lab)
    assert built.done["acme/acceptance"][0].detail == "available"
    assert "beta/vpc" in built.failed
    assert built.exit_code == 1
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert all(key.startswith("beta/") for key in removed.left)


def test_down_names_what_it_could_not_describe(cloud: Cloud) -> None:
    """`down` cannot describe a kind, so it does not claim that nothing is left: exit 3, and the kind is named."""
    lab = cloud.lab()
    cloud.up(lab)
    cloud.fail("DescribeVpcEndpoints", 403, "UnauthorizedOperation")
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert "vpc-endpoint of account 123456789012" in removed.left


def test_down_stops_with_a_receipt_when_something_never_goes(cloud: Cloud) -> None:
    """AWS refuses DeleteSubnet for ever: `down` names the subnets and VPCs with AWS's code, and deletes the rest."""
    lab = cloud.lab()
    cloud.up(lab)
    cloud.fail("DeleteSubnet", 400, "DependencyViolation")
    removed = cloud.down(lab)
    assert set(removed.left) == {"provider/subnet-1", "acme/subnet-1", "provider/vpc", "acme/vpc"}
    assert "DependencyViolation" in str(removed.left["acme/subnet-1"])
    assert [event for event in cloud.events if isinstance(event, Failed)]
    cloud.heal()
    assert cloud.down(lab).exit_code == 0


def test_down_twice_and_down_of_nothing(cloud: Cloud) -> None:
    """A second `down`, and one where nothing was ever built, delete nothing and end well."""
    lab = cloud.lab()
    assert cloud.down(lab).deleted == {}
    cloud.up(lab)
    assert cloud.down(lab).exit_code == 0
    assert cloud.down(cloud.lab(state=lab.state)).deleted == {}


def test_a_token_changes_with_the_request_and_the_attempt() -> None:
    """The same request gets the same ClientToken of at most 64 characters; another request or attempt another one."""
    token = Token("lab", "acme/endpoint", 0)
    assert token.of(a=1) == Token("lab", "acme/endpoint", 0).of(a=1)
    assert len(token.of(a=1)) <= 64
    assert len({token.of(a=1), token.of(a=2), Token("lab", "acme/endpoint", 1).of(a=1)}) == 3


def test_dependents_of_a_key_are_direct_and_indirect(cloud: Cloud) -> None:
    """`--replace` of a key also replaces everything that depends on it, directly or through others."""
    resources = engine.planned(cloud.lab(), STEPS)
    assert "acme/endpoint" in engine.dependents_of(resources, "provider/nlb")
    assert engine.dependents_of(resources, "acme/endpoint") == {"acme/endpoint", "acme/acceptance"}


class LateAws:
    """Describes that lag: they miss a new row for some seconds."""

    def __init__(self, cloud: Cloud, seconds: float) -> None:
        self.cloud, self.seconds = cloud, seconds
        self.first_seen: dict[str, float] = {}

    def hide(self, lab: Lab) -> None:
        """Let this lab's describes lag."""
        reach = lab.connect

        def connect(party: Any) -> Any:
            account = reach(party)
            pages = account.pages
            vars(account)["pages"] = lambda *words, **request: self._visible(words[2], pages(*words, **request))
            return account

        lab.connect = connect

    def _visible(self, kind: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = ("VpcId", "SubnetId", "VpcEndpointId", "ServiceId", "ReservationId", "GroupId")
        now, visible = self.cloud.clock.now(), []
        if kind not in {"Vpcs", "Subnets", "SecurityGroups", "Reservations", "VpcEndpoints", "ServiceConfigurations"}:
            return rows
        for row in rows:
            id_ = kind + next((str(row[name]) for name in reversed(names) if name in row), "")
            if now - self.first_seen.setdefault(id_, now) >= self.seconds:
                visible.append(row)
        return visible


@pytest.mark.parametrize("seconds", [5, 40])
def test_late_describes_make_no_duplicate(cloud: Cloud, seconds: float) -> None:
    """AWS shows new resources only after a while: `up` waits for them and creates nothing twice."""
    lab = cloud.lab(config_of(creation_grace_period=None))
    LateAws(cloud, seconds).hide(lab)
    assert cloud.up(lab).exit_code == 0
    calls = cloud.calls()
    assert calls.count("CreateVpc") == 2
    assert calls.count("RunInstances") == 1
    assert calls.count("CreateVpcEndpoint") == 1
    assert calls.count("CreateVpcEndpointServiceConfiguration") == 1


def test_down_right_after_an_interrupted_up_waits_for_what_is_not_visible_yet(cloud: Cloud) -> None:
    """Ctrl-C, then `down` while describes lag: `down` waits until the new resources are visible, and deletes them."""
    before = cloud.aws.inventory()
    lab = cloud.lab(config_of(creation_grace_period=None))
    LateAws(cloud, 30).hide(lab)
    cloud.clock.before_sleep = lab.interrupt
    with pytest.raises(Interrupted):
        cloud.up(lab)
    assert cloud.aws.inventory() != before
    cloud.clock.before_sleep = lambda: None
    later = cloud.lab(config_of(creation_grace_period=None), lab.state)
    LateAws(cloud, 30).hide(later)
    removed = cloud.down(later)
    assert removed.exit_code == 0
    assert cloud.aws.inventory() == before


def test_after_a_token_mismatch_up_polls_before_it_uses_a_new_token(cloud: Cloud) -> None:
    """IdempotentParameterMismatch proves that the resource exists: a snapshot finds it, and no second one is made."""
    thing = Thing("provider/thing")
    thing.answers = [refusal("IdempotentParameterMismatch", "RunInstances")]
    thing.seen = [(), (), (Found("id-5", Phase.READY),)]
    built, _ = build(cloud, thing)
    assert built.exit_code == 0
    assert thing.made == []


def test_a_throttled_read_of_the_zones_is_tried_again(cloud: Cloud) -> None:
    """One throttle while reading the zones delays `up`; it does not fail it."""
    cloud.fail("DescribeInstanceTypeOfferings", 400, "RequestLimitExceeded")
    cloud.clock.before_sleep = cloud.heal
    assert cloud.up(cloud.lab()).exit_code == 0


def test_a_delete_without_effect_is_not_sent_all_the_time_and_ends(cloud: Cloud) -> None:
    """AWS accepts a delete without effect: `down` sends it again every ten seconds at most, and gives up in the end."""
    lab = cloud.lab()
    calls: list[tuple[str, ...]] = []

    def delete(account: Any, ids: tuple[str, ...]) -> dict[str, AwsError]:
        calls.append(ids)
        return {}

    ready = (Found("id-1", Phase.READY, "available"),)
    resource = thing(
        "provider/thing",
        find=lambda lab, snapshot, resource: ready,
        delete=delete,
        create=lambda lab, snapshot, resource, token: Found("", Phase.PENDING),
        patience=Patience(60, 0),
    )
    step = Step("things", lambda _: (resource,))
    removed = engine.down(lab, (step,), engine.survey(lab, (step,)))
    assert removed.exit_code == 3
    assert len(calls) <= 8


def test_an_internal_error_of_a_create_proves_nothing(cloud: Cloud) -> None:
    """A create that gets HTTP 500 may have had its effect: `up` waits for a snapshot and does not fail."""
    cloud.fail("CreateVpc", 500, "InternalError")
    cloud.clock.before_sleep = cloud.heal
    built = cloud.up(cloud.lab())
    assert built.exit_code == 0


def test_a_tag_with_an_unknown_key_is_reported(cloud: Cloud) -> None:
    """A VPC bears the lab's tag and a key of a newer plab: `down` names it, leaves it, and exits with 3."""
    lab = cloud.lab()
    future = Resource("acme/of-the-future", VPC_TYPE)
    tags = lab.tag_specifications(future, CidrBlock="10.7.0.0/16")
    cloud.account().ec2.create_vpc(CidrBlock="10.7.0.0/16", TagSpecifications=tags)
    cloud.let_new_ids_propagate()
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert "acme/of-the-future" in removed.left


def test_up_down_up_in_one_server(slow_cloud: Cloud) -> None:
    """A deleted endpoint stays visible for a while; neither a second `down` nor a new `up` trips over it."""
    lab = slow_cloud.lab()
    assert slow_cloud.up(lab).exit_code == 0
    assert slow_cloud.down(lab).exit_code == 0
    assert slow_cloud.down(slow_cloud.lab(state=lab.state)).exit_code == 0
    assert slow_cloud.up(slow_cloud.lab(state=lab.state)).exit_code == 0


def test_an_update_without_effect_is_a_failure(cloud: Cloud) -> None:
    """AWS accepts an update without effect: `up` sends it again a few times, and then gives up."""
    thing = Thing("provider/thing", update=lambda lab, snapshot, resource, found: None)
    thing.seen = [(Found("id", Phase.DRIFTED, "off"),)]
    began = cloud.clock.now()
    built, _ = build(cloud, thing)
    assert "is still 'off' after 1 min" in str(built.failed["provider/thing"])
    assert cloud.clock.now() - began < 90


def test_a_child_is_not_judged_while_its_parent_is_missing(cloud: Cloud) -> None:
    """Describes miss a parent for half a minute, and its child is found through it: `up` calls neither gone."""
    began = cloud.clock.now()
    parent, child, slow = Thing("provider/p"), Thing("provider/c", "provider/p"), Thing("provider/slow")
    parent.options["find"] = lambda lab, snapshot, resource: (
        () if 29 < lab.clock.now() - began < 65 else (Found("p", Phase.READY, "in place"),)
    )
    parent.options["patience"] = Patience(900, 90)
    child.options["find"] = lambda lab, snapshot, resource: (
        (Found("c", Phase.READY, "in place"),) if snapshot.id("provider/p") else (Found("c", Phase.FAILED, "lost"),)
    )
    slow.options["find"] = lambda lab, snapshot, resource: (
        (Found("s", Phase.READY if lab.clock.now() - began > 150 else Phase.PENDING, "slow"),)
    )
    slow.options["patience"] = Patience(900, 0)
    built, _ = build(cloud, parent, child, slow)
    assert built.failed == {}


def test_a_resource_seen_in_between_is_not_gone(cloud: Cloud) -> None:
    """A snapshot misses a resource, finds it, and misses it later: the grace period starts again."""
    began = cloud.clock.now()
    thing, slow = Thing("provider/thing"), Thing("provider/slow")

    def find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        seconds = lab.clock.now() - began
        is_missed = 30 < seconds < 40 or 58 < seconds < 72
        phase = Phase.PENDING if 40 <= seconds <= 58 else Phase.READY
        return () if is_missed else (Found("id", phase, "there"),)

    thing.options["find"] = find
    slow.options["find"] = lambda lab, snapshot, resource: (
        (Found("s", Phase.READY if lab.clock.now() - began > 120 else Phase.PENDING, "slow"),)
    )
    slow.options["patience"] = Patience(900, 0)
    built, _ = build(cloud, thing, slow)
    assert built.failed == {}


# One stale read, whenever it comes.

BEGAN = 1_700_000_000.0  # of the virtual clock


class Timed(Thing):
    """A resource whose reads go by the seconds since the run began; it exists from its create on."""

    def __init__(self, key: str, *depends_on: str, reads: Callable[[float], Phase | None], **options: Any) -> None:
        super().__init__(key, *depends_on, **options)
        self.reads = reads

    def find(self, lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        """What a describe shows now; None: it leaves the resource out."""
        phase = self.reads(lab.clock.now() - BEGAN)
        return tuple(Found(id_, phase, phase) for id_ in self.made) if phase else ()


def until_ready(seconds: float) -> Callable[[float], Phase | None]:
    """Reads of what is pending for so many seconds."""
    return lambda now: Phase.READY if now >= seconds else Phase.PENDING


def test_a_new_id_that_is_still_invisible_is_not_created_again(cloud: Cloud) -> None:
    """A parent is missed once and comes back while its new child is invisible: the child is created once."""
    parent = Timed("provider/parent", reads=lambda now: None if 29.9 <= now < 32.3 else Phase.READY)
    slow = Timed("provider/slow", reads=until_ready(17))
    child = Timed(
        "provider/child",
        "provider/parent",
        "provider/slow",
        reads=lambda now: Phase.READY if now > 36 else None,
        patience=Patience(600, 90),
    )
    built, _ = build(cloud, parent, slow, child)
    assert built.exit_code == 0
    assert child.made == ["id-0"]


def test_a_create_that_answered_ready_has_its_grace_period_at_the_first_recheck(cloud: Cloud) -> None:
    """AWS answers a create with all there is to know, and describes lag for 34 seconds: `up` waits and succeeds."""
    thing = Timed("provider/thing", reads=lambda now: Phase.READY if now >= 34 else None)
    slow = Timed("provider/slow", reads=until_ready(50))

    def create(*given: Any) -> Found:
        return replace(Thing.create(thing, *given), phase=Phase.READY)

    thing.options["create"] = create
    built, _ = build(cloud, thing, slow)
    assert (built.exit_code, thing.made) == (0, ["id-0"])


def test_what_was_ready_and_is_throttled_for_ever_ends(cloud: Cloud) -> None:
    """A ready resource is missed, then every describe of it is throttled: `up` fails after its patience."""
    slow = Timed("provider/slow", reads=until_ready(45))
    thing = Timed("provider/thing", reads=lambda now: None if 29 < now < 33.5 else Phase.READY)

    def find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        if lab.clock.now() - BEGAN >= 33.5:
            raise refusal("RequestLimitExceeded", "DescribeThings", 503)
        return Timed.find(thing, lab, snapshot, resource)

    thing.options["find"] = find
    built, _ = build(cloud, thing, slow)
    assert "is still 'RequestLimitExceeded' after 1 min" in str(built.failed["provider/thing"])
    assert cloud.clock.now() - BEGAN < 200


def test_a_replacement_follows_as_soon_as_the_old_one_is_gone(cloud: Cloud) -> None:
    """An update terminates the old instance: the new one is created seconds later, not after the pause of an update."""
    ended: list[float] = []
    thing = Timed("provider/thing", reads=lambda now: Phase.READY)

    def find(lab: Lab, snapshot: Snapshot, resource: Resource) -> tuple[Found, ...]:
        if thing.made:
            return Timed.find(thing, lab, snapshot, resource)
        if not ended:
            return (Found("old", Phase.DRIFTED, "config changed"),)
        return (Found("old", Phase.DELETING, "shutting-down"),) if lab.clock.now() < ended[0] + 2 else ()

    thing.options |= {"find": find, "update": lambda lab, *_: ended.append(lab.clock.now())}
    built, lab = build(cloud, thing)
    assert built.exit_code == 0
    assert lab.clock.now() - ended[0] < 5


def test_what_leaves_and_comes_back_is_waited_for_in_words(cloud: Cloud) -> None:
    """Between two events that say `ready` the user reads what the key waited for."""
    thing = Timed("provider/thing", reads=lambda now: Phase.PENDING if now < 3 or 29 < now < 33 else Phase.READY)
    build(cloud, thing, Timed("provider/slow", reads=until_ready(50)))
    words = [getattr(event, "detail", "") for event in cloud.events if getattr(event, "key", "") == "provider/thing"]
    assert words[-4:] == ["pending", "ready", "pending", "ready"]
