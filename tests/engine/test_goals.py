"""Spending stops when no goal can be reached: the consumers' endpoints, and the service where others may use it."""

from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest
from support.cloud import Cloud, config_of

from privatelink_lab.aws import Account
from privatelink_lab.config import Config
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party

ROLE = "arn:aws:iam::222222222222:role/acme"
ACME = {"name": "acme", "role_arn": ROLE}
BETA = {"name": "beta"}
QUOTA = {"Error": {"Code": "VpcLimitExceeded", "Message": "The maximum number of VPCs has been reached."}}
COSTS_MONEY = {"CreateLoadBalancer", "RunInstances", "CreateVpcEndpoint"}


def lab_without_room(cloud: Cloud, config: Config) -> Lab:
    """A lab whose consumer acme may have no more VPCs in its account."""
    lab = cloud.lab(config)
    plain = lab.connect

    def refuse(**_: Any) -> None:
        raise botocore.exceptions.ClientError(QUOTA, "CreateVpc")  # type: ignore[arg-type]

    def connect(party: Party) -> Account:
        account = plain(party)
        if party.role_arn:
            account._session.events.register("before-call.ec2.CreateVpc", refuse)
        return account

    lab.connect = connect
    return lab


def test_nothing_is_begun_for_a_consumer_that_cannot_be_served(slow_cloud: Cloud) -> None:
    """The only consumer's account has no room for a VPC: `up` ends at once and makes nothing that costs money."""
    began = slow_cloud.clock.now()
    built = slow_cloud.up(lab_without_room(slow_cloud, config_of(ACME)))
    assert (built.exit_code, list(built.failed)) == (1, ["acme/vpc"])
    assert not COSTS_MONEY & set(slow_cloud.calls())
    assert slow_cloud.clock.now() - began < 60
    assert "provider/nlb" in built.blocked


@pytest.mark.parametrize(
    "config",
    [
        config_of(ACME, BETA),
        config_of(ACME, provider={"service": {"allowed_principals": ["333333333333"]}}),
    ],
    ids=["another consumer", "another account"],
)
def test_the_lab_is_built_for_whom_it_can_serve(cloud: Cloud, config: Config) -> None:
    """One consumer fails, and another one, or another account, can be served: the service comes up."""
    built = cloud.up(lab_without_room(cloud, config))
    assert list(built.failed) == ["acme/vpc"]
    assert "provider/endpoint-service" in built.done


def test_the_next_run_goes_on(slow_cloud: Cloud) -> None:
    """With room in the account, the next `up` finishes what the first one left."""
    lab = lab_without_room(slow_cloud, config_of(ACME))
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(120)
    assert slow_cloud.up(slow_cloud.lab(config_of(ACME), lab.state)).exit_code == 0
