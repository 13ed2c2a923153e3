"""Another person's resource keeps AWS from deleting one of ours: `down` says within a minute what it is, and ends."""

from __future__ import annotations

import pytest
from support.cloud import Cloud
from support.guests import GUESTS, Guest, Place, group

from privatelink_lab.errors import AwsError
from privatelink_lab.lab import Lab

MOST = 300  # seconds of AWS's time from the start of `down` to its end


def place_of(cloud: Cloud, lab: Lab, party: str) -> Place:
    """The VPC of a party of a lab that is up."""
    return Place(lab.account(party), party, lab.state.ids, lambda: cloud.clock.sleep(60))


@pytest.mark.parametrize("party", ["provider", "acme"])
@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.__name__)
def test_down_names_what_holds_it_and_ends(slow_cloud: Cloud, guest: Guest, party: str) -> None:
    """`down` deletes all else, names the other person's resource with a command, and ends with 3 within minutes."""
    lab = slow_cloud.lab()
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    id_ = guest(place_of(slow_cloud, lab, party))
    slow_cloud.clock.sleep(120)
    began = slow_cloud.clock.now()
    removed = slow_cloud.down(lab)
    key, command = GUESTS[guest]
    assert removed.exit_code == 3
    error = removed.left[f"{party}/{key}"]
    assert isinstance(error, AwsError)
    assert (error.code, id_ in str(error)) == ("DependencyViolation", True)
    assert command.format(id_) in error.hint
    assert slow_cloud.clock.now() - began < MOST
    assert {left.partition("/")[0] for left in removed.left} == {party}
    assert not {"provider/nlb", "provider/endpoint-service", "acme/endpoint", "provider/web-server"} & set(removed.left)


def test_what_leaves_by_itself_is_waited_for(slow_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interfaces of the lab's own balancer and endpoint stay for a while: nobody is told to delete them."""
    lab = slow_cloud.lab()
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    assert slow_cloud.down(lab).exit_code == 0


def test_what_aws_does_not_show_is_said(slow_cloud: Cloud) -> None:
    """Without the right to describe interfaces, `down` still names the group that holds the VPC."""
    lab = slow_cloud.lab()
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    id_ = group(place_of(slow_cloud, lab, "provider"))
    slow_cloud.clock.sleep(60)
    slow_cloud.fail("DescribeInternetGateways", 403, "UnauthorizedOperation")
    removed = slow_cloud.down(lab)
    error = str(removed.left["provider/vpc"])
    assert id_ in error
    assert "what AWS does not show (DescribeInternetGateways: UnauthorizedOperation)" in error
