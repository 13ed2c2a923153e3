"""Who is let in: by `up`, by hand, and never again after a reject."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of
from support.foreign_account import STRANGER, connect_stranger

from privatelink_lab import engine
from privatelink_lab.commands import accept_reject
from privatelink_lab.engine import Built
from privatelink_lab.errors import NotOurs, UsageError
from privatelink_lab.events import Accepted
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.acceptance import FOREIGN, Connection

MANUAL = {"name": "acme", "accept": "manual"}


def state_of(built: Built, key: str) -> str:
    """AWS's word for a key at the end of `up`."""
    return built.done[key][0].detail


def rows(cloud: Cloud, lab: Lab) -> list[Connection]:
    """What `plab connections` lists."""
    return accept_reject.connections(cloud.lab(lab.config, lab.state))


def open_lab(cloud: Cloud, *consumers: Any) -> Lab:
    """A lab whose service the stranger's account may ask."""
    provider = {"service": {"allowed_principals": ["444455556666"]}}
    return cloud.lab(config_of(*consumers, provider=provider))


def test_manual_acceptance_ends_up_with_exit_0_and_waits(cloud: Cloud) -> None:
    """`accept: manual`: `up` ends well with the endpoint pendingAcceptance, and says what it waits for."""
    built = cloud.up(cloud.lab(config_of(MANUAL)))
    assert built.exit_code == 0
    assert state_of(built, "acme/endpoint") == "pendingAcceptance"
    assert state_of(built, "acme/acceptance") == "pendingAcceptance: waits for plab accept"
    assert "AcceptVpcEndpointConnections" not in cloud.calls()


def test_accept_makes_it_available_and_the_next_up_changes_nothing(cloud: Cloud) -> None:
    """`plab accept` waits through pending until available; `up` then finds a whole lab."""
    lab = cloud.lab(config_of(MANUAL))
    cloud.up(lab)
    assert accept_reject.accept(lab, rows(cloud, lab)) == []
    assert [row.state for row in rows(cloud, lab)] == ["available"]
    cloud.calls()
    built = cloud.up(cloud.lab(lab.config, lab.state))
    assert state_of(built, "acme/endpoint") == "available"
    assert cloud.changes() == []


def test_pending_after_acceptance_is_progress(slow_cloud: Cloud) -> None:
    """On AWS's clock an accepted endpoint is `pending` for a minute; accept waits and does not fail."""
    lab = slow_cloud.lab(config_of(MANUAL))
    slow_cloud.up(lab)
    slow_cloud.events.clear()
    assert accept_reject.accept(lab, rows(slow_cloud, lab)) == []
    assert [event.as_json().get("detail") or event.as_json().get("state") for event in slow_cloud.events[1:]] == [
        "pending",
        "available",
    ]


def test_a_rejected_endpoint_is_never_readmitted(cloud: Cloud, lab: Lab) -> None:
    """After `plab reject` the next `up` says so, accepts nothing, and is no failure: somebody wanted it so."""
    cloud.up(lab)
    assert accept_reject.reject(lab, rows(cloud, lab)) == []
    assert [row.state for row in rows(cloud, lab)] == ["rejected"]
    cloud.calls()
    built = cloud.up(cloud.lab(state=lab.state))
    assert built.exit_code == 0
    assert "was rejected" in built.done["acme/endpoint"][0].detail
    assert state_of(built, "acme/acceptance") == "was rejected"
    assert cloud.changes() == []


def test_replacing_a_rejected_endpoint_asks_again(cloud: Cloud, lab: Lab) -> None:
    """`up --replace acme/endpoint` deletes it, makes a new one and accepts that."""
    old = id_of(cloud.up(lab), "acme/endpoint")
    accept_reject.reject(lab, rows(cloud, lab))
    seen = engine.survey(lab, STEPS)
    engine.down(lab, STEPS, seen, only=engine.dependents_of(seen.resources, "acme/endpoint"))
    built = cloud.up(lab)
    assert state_of(built, "acme/acceptance") == "available"
    assert id_of(built, "acme/endpoint") != old


def test_up_accepts_its_own_endpoint_and_no_strangers(cloud: Cloud) -> None:
    """A stranger's pending endpoint stays pending, whatever `up` accepts."""
    lab = open_lab(cloud)
    built = cloud.up(lab)
    stranger = connect_stranger(cloud, built)
    cloud.up(cloud.lab(lab.config, lab.state))
    states = {row.endpoint: (row.state, row.consumer) for row in rows(cloud, lab)}
    assert states[stranger] == ("pendingAcceptance", None)
    assert states[id_of(built, "acme/endpoint")] == ("available", "acme")


def test_an_endpoint_that_this_lab_did_not_make_is_not_accepted(cloud: Cloud) -> None:
    """Another endpoint under the consumer's tag is not what CreateVpcEndpoint gave us: `up` refuses to admit it."""
    lab = cloud.lab(config_of(MANUAL))
    cloud.up(lab)
    lab.state.ids["acme/endpoint"] = "vpce-0123456789abcdef0"
    built = cloud.up(cloud.lab(config_of({"name": "acme"}), lab.state))
    assert isinstance(built.failed["acme/acceptance"], NotOurs)
    assert "AcceptVpcEndpointConnections" not in cloud.calls()


def test_a_rejected_connection_cannot_be_accepted_by_hand(cloud: Cloud, lab: Lab) -> None:
    """`plab accept` of a rejected endpoint is refused with the way out."""
    cloud.up(lab)
    accept_reject.reject(lab, rows(cloud, lab))
    with pytest.raises(UsageError, match="is rejected; it cannot be accepted any more"):
        accept_reject.refuse_ended(rows(cloud, lab))


def test_accepting_an_unknown_id_is_refused(cloud: Cloud, lab: Lab) -> None:
    """An id that is not connected is bad usage; nothing is accepted."""
    cloud.up(lab)
    with pytest.raises(UsageError, match="vpce-0"):
        accept_reject.named(rows(cloud, lab), ["vpce-0"])


def test_a_refusal_inside_a_200_is_a_failure(cloud: Cloud) -> None:
    """AWS answers 200 with `Unsuccessful` for an endpoint that is gone: accept fails with AWS's own code."""
    lab = cloud.lab(config_of(MANUAL))
    cloud.up(lab)
    row = rows(cloud, lab)[0]
    missing = Connection(row.service, "vpce-0123456789abcdef0", row.owner, row.state, row.region, row.since, None)
    [failed] = accept_reject.accept(lab, [missing])
    assert "InvalidVpcEndpointId.NotFound" in str(failed.error)


def test_a_batch_says_what_it_did(cloud: Cloud) -> None:
    """AWS accepts one of two and refuses the other, which is gone: the first is accepted, and only the second fails."""
    lab = cloud.lab(config_of(MANUAL))
    cloud.up(lab)
    row = rows(cloud, lab)[0]
    missing = Connection(row.service, "vpce-0123456789abcdef0", row.owner, row.state, row.region, row.since, None)
    cloud.events.clear()
    failed = accept_reject.accept(lab, [row, missing])
    assert [event.key for event in failed] == [missing.endpoint]
    assert [event.endpoint for event in cloud.events if isinstance(event, Accepted)] == [row.endpoint]


@pytest.mark.parametrize("by_hand", [True, False])
def test_what_another_party_has_accepted_is_accepted(slow_cloud: Cloud, *, by_hand: bool) -> None:
    """An auto-accepter is faster than plab: AWS says InvalidState, plab looks again, and nothing failed."""
    lab = slow_cloud.lab(config_of(MANUAL if by_hand else {"name": "acme"}))
    if by_hand:
        assert slow_cloud.up(lab).exit_code == 0
        [row] = rows(slow_cloud, lab)
        slow_cloud.account().ec2.accept_vpc_endpoint_connections(ServiceId=row.service, VpcEndpointIds=[row.endpoint])
        slow_cloud.clock.sleep(60)
        assert accept_reject.accept(lab, [row]) == []
        return
    refused: list[Connection] = []

    def accept_first() -> None:
        for row in rows(slow_cloud, slow_cloud.lab(state=lab.state)):
            if row.pending and not refused:
                refused.append(row)
                ids = [row.endpoint]
                slow_cloud.account().ec2.accept_vpc_endpoint_connections(ServiceId=row.service, VpcEndpointIds=ids)

    slow_cloud.clock.before_sleep = accept_first
    assert slow_cloud.up(lab).exit_code == 0
    assert refused


def test_down_rejects_foreign_connections_only_as_part_of_down(cloud: Cloud) -> None:
    """Foreign connections hold the service: the survey shows them, and `down` rejects them in one call."""
    lab = open_lab(cloud)
    built = cloud.up(lab)
    stranger = connect_stranger(cloud, built)
    seen = engine.survey(lab, STEPS)
    assert [(found.id, found.shows["owner"]) for found in seen.found[FOREIGN]] == [(stranger, "444455556666")]
    cloud.calls()
    removed = cloud.down(lab)
    assert removed.exit_code == 0
    assert removed.deleted["foreign connection"] == [stranger]
    assert cloud.calls().count("RejectVpcEndpointConnections") == 1
    state = cloud.account(STRANGER).ec2.describe_vpc_endpoints(VpcEndpointIds=[stranger])["VpcEndpoints"][0]["State"]
    assert state.lower() == "rejected"


def test_acceptance_not_required_needs_no_accept_call(cloud: Cloud) -> None:
    """A service without acceptance: the endpoint becomes available by itself."""
    lab = cloud.lab(config_of(provider={"service": {"acceptance_required": False}}))
    built = cloud.up(lab)
    assert state_of(built, "acme/acceptance") == "available"
    assert "AcceptVpcEndpointConnections" not in cloud.calls()


def twin_of_acmes(cloud: Cloud, built: Built) -> str:
    """A second endpoint in acme's VPC, with the tags of acme's own: it fits in every attribute."""
    ec2: Any = cloud.account().ec2
    [own] = ec2.describe_vpc_endpoints(VpcEndpointIds=[id_of(built, "acme/endpoint")])["VpcEndpoints"]
    request = {name: own[name] for name in ("VpcEndpointType", "VpcId", "ServiceName")}
    tags = [{"ResourceType": "vpc-endpoint", "Tags": own["Tags"]}]
    made = ec2.create_vpc_endpoint(**request, TagSpecifications=tags)["VpcEndpoint"]["VpcEndpointId"]
    cloud.let_new_ids_propagate()
    return str(made)


def test_what_no_create_of_ours_returned_is_foreign(cloud: Cloud) -> None:
    """A twin with copied tags: listed as nobody's, not waited for by `down --force`, and deleted by nobody."""
    lab = cloud.lab(config_of())
    built = cloud.up(lab)
    twin = twin_of_acmes(cloud, built)
    consumers = {row.endpoint: row.consumer for row in rows(cloud, lab)}
    assert consumers == {id_of(built, "acme/endpoint"): "acme", twin: None}
    again = cloud.up(cloud.lab(lab.config, lab.state))
    assert (again.exit_code, state_of(again, "acme/acceptance")) == (0, "available")
    began = cloud.clock.now()
    removed = cloud.down(cloud.lab(lab.config, lab.state))
    assert list(removed.left) == [f"acme/endpoint ({twin})", "acme/subnet-1", "acme/vpc"] or twin in str(removed.left)
    assert cloud.clock.now() - began < 300


def test_an_endpoint_that_is_only_seen_is_not_admitted(cloud: Cloud) -> None:
    """The state has a lab and no endpoint of acme; one that fits appears: `up` does not admit it, now or later."""
    lab = cloud.lab(config_of(MANUAL))
    built = cloud.up(lab)
    id_ = id_of(built, "acme/endpoint")
    del lab.state.ids["acme/endpoint"], lab.state.made[id_]
    cloud.calls()
    for _ in range(2):
        again = cloud.up(cloud.lab(config_of({"name": "acme"}), lab.state))
        assert isinstance(again.failed["acme/acceptance"], NotOurs)
        assert again.failed["acme/acceptance"].hint == f"If you know it: plab accept {id_}"
    assert "AcceptVpcEndpointConnections" not in cloud.calls()
    assert [row.consumer for row in rows(cloud, lab)] == [None]


def test_with_a_lost_state_only_the_one_that_fits_is_the_consumers(cloud: Cloud) -> None:
    """One endpoint with the right tags: accepted, and said. Two of them: nobody's, and nothing is accepted."""
    lab = cloud.lab(config_of(MANUAL))
    built = cloud.up(lab)
    auto = config_of({"name": "acme"})
    lost = cloud.lab(auto)
    [row] = accept_reject.connections(lost)
    assert (row.consumer, row.by_tags) == ("acme", True)
    again = cloud.up(lost)
    assert state_of(again, "acme/acceptance") == "available"
    assert any("by its tags alone" in getattr(event, "detail", "") for event in cloud.events)
    assert cloud.down(cloud.lab(auto, lost.state)).exit_code == 0
    built = cloud.up(cloud.lab(config_of(MANUAL)))
    twin_of_acmes(cloud, built)
    cloud.calls()
    twice = cloud.lab(auto)
    assert {row.consumer for row in accept_reject.connections(twice)} == {None}
    assert cloud.up(twice).exit_code == 1
    assert "AcceptVpcEndpointConnections" not in cloud.calls()
