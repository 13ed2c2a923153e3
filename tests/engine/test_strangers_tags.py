"""What a consumer writes into tags of its own account decides nothing in the provider's, and nothing of the lab."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of
from support.foreign_account import connect_stranger

from privatelink_lab import engine, tags
from privatelink_lab.aws import Account
from privatelink_lab.commands import accept_reject
from privatelink_lab.errors import ConcurrentMaker
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party
from privatelink_lab.steps import STEPS

ROLE = "arn:aws:iam::222222222222:role/plab"
CONFIG = config_of(
    {"name": "acme", "role_arn": ROLE}, {"name": "beta"}, provider={"service": {"allowed_principals": ["444455556666"]}}
)
DATES = ["2000-01-01T00:00:00.000Z", "2030-01-01T00:00:00.000Z"]
KINDS = ["acme/vpc", "acme/subnet-1", "acme/security-group", "acme/endpoint"]


def retag(cloud: Cloud, id_: str, **values: str) -> None:
    """The consumer writes other tags of plab onto what is in its account."""
    pairs: Any = [{"Key": f"plab:{name}", "Value": value} for name, value in values.items()]
    cloud.account(ROLE).ec2.create_tags(Resources=[id_], Tags=pairs)


@pytest.mark.parametrize("since", DATES)
@pytest.mark.parametrize("key", KINDS)
def test_a_consumers_date_does_not_make_it_the_maker(cloud: Cloud, key: str, since: str) -> None:
    """`up` goes on and deletes nothing; an accepted connection of another account stays; `down` removes the lab."""
    lab = cloud.lab(CONFIG)
    built = cloud.up(lab)
    stranger = connect_stranger(cloud, built)
    accept_reject.accept(lab, accept_reject.named(accept_reject.connections(lab), [stranger]))
    retag(cloud, id_of(built, key), maker="eve@evil", since=since)
    cloud.calls()
    assert cloud.up_again(lab, CONFIG).exit_code == 0
    assert cloud.changes() == []
    rows = {row.endpoint: row.state.lower() for row in accept_reject.connections(lab)}
    assert rows[stranger] == "available"
    down = cloud.lab(CONFIG, lab.state)
    assert cloud.down(down).exit_code == 0
    assert cloud.account(ROLE).ec2.describe_vpcs(Filters=[{"Name": "tag:plab:lab", "Values": ["test"]}])["Vpcs"] == []


def test_a_date_in_the_providers_account_deletes_nothing_later(cloud: Cloud) -> None:
    """Only the run that began the lab can withdraw: a later one has lost nothing to an earlier maker."""
    lab = cloud.lab(CONFIG)
    built = cloud.up(lab)
    pairs: Any = [{"Key": "plab:since", "Value": DATES[0]}]
    cloud.account().ec2.create_tags(Resources=[id_of(built, "provider/vpc")], Tags=pairs)
    cloud.calls()
    try:
        cloud.up_again(lab, CONFIG)
    except ConcurrentMaker:
        pytest.fail("it withdrew")
    assert not [call for call in cloud.changes() if call.startswith(("Delete", "Terminate", "Reject"))]


def test_a_consumers_end_does_not_keep_the_lab(cloud: Cloud) -> None:
    """The consumer writes the year 2999 into its own VPC: the lab ends when the provider has said."""
    lab = cloud.lab(CONFIG.model_copy(update={"ttl": "2h"}))
    built = cloud.up(lab)
    retag(cloud, id_of(built, "acme/vpc"), expires="2999-01-01T00:00:00Z")
    assert engine.survey(lab, STEPS).snapshot.expires() == lab.state.expires
    before = lab.state.expires
    cloud.up_again(lab, lab.config)
    assert lab.state.expires == before


class Copying:
    """A consumer that, once its own endpoint is to be made, makes one with the same tags, just before or after it."""

    def __init__(self, cloud: Cloud, *, before: bool) -> None:
        self.cloud, self.before = cloud, before
        self.ids: list[str] = []

    def lab(self) -> Lab:
        """The vendor's lab; acme's calls are watched."""
        lab = self.cloud.lab(CONFIG)
        reach = lab.connect

        def connect(party: Party) -> Account:
            account = reach(party)
            if party.role_arn == ROLE:
                self._watch(account)
            return account

        lab.connect = connect
        return lab

    def _watch(self, account: Account) -> None:
        create = account.ec2.create_vpc_endpoint

        def copy(**request: Any) -> Any:
            if self.before:
                self._copy(request)
            answer = create(**request)
            if not self.before:
                self._copy(request)
            return answer

        vars(account.ec2)["create_vpc_endpoint"] = copy

    def _copy(self, request: dict[str, Any]) -> None:
        own = {name: value for name, value in request.items() if name != "ClientToken"}
        made = self.cloud.account(ROLE).ec2.create_vpc_endpoint(**own)
        self.ids.append(made["VpcEndpoint"]["VpcEndpointId"])


@pytest.mark.parametrize("before", [True, False])
def test_in_the_first_run_only_what_was_made_is_the_labs(cloud: Cloud, *, before: bool) -> None:
    """An endpoint with copied tags appears during the very first `up`: never accepted, never recorded, and named."""
    copying = Copying(cloud, before=before)
    lab = copying.lab()
    built = cloud.up(lab)
    [copied] = copying.ids
    assert copied not in {*lab.state.made, *lab.state.ids.values()}
    rows = {row.endpoint: (row.consumer, row.state.lower()) for row in accept_reject.connections(lab)}
    assert rows[copied] == (None, "pendingacceptance")
    assert any(copied in what for what in built.suspects)
    assert lab.state.ids["acme/endpoint"] != copied


def test_two_accounts_that_claim_one_name_are_both_named(cloud: Cloud) -> None:
    """The state is lost, a consumer has left the config, another account claims its name: `down` forgets neither."""
    lab = cloud.lab(config_of({"name": "acme", "role_arn": ROLE}, {"name": "old"}))
    cloud.up(lab)
    ec2 = cloud.account(ROLE).ec2
    vpc = ec2.create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
    identity = tags.identity(
        "test", "old/vpc", account="222222222222", region="us-east-1", fixed={"CidrBlock": "10.8.0.0/16"}
    )
    cloud.let_new_ids_propagate()
    retag(cloud, vpc, lab="test", key="old/vpc", identity=identity, since=lab.state.since, maker=lab.maker)
    later = cloud.lab(config_of({"name": "acme", "role_arn": ROLE}))
    removed = engine.down(later, STEPS, engine.survey(later, STEPS, to_delete=True))
    assert removed.exit_code == 3
    assert "222222222222" in str(removed.left["old"])
    assert "123456789012" in str(removed.left["old"])
    assert removed.left["old"].hint.startswith("Put old back into the config")
    back = cloud.lab(config_of({"name": "acme", "role_arn": ROLE}, {"name": "old"}))
    assert cloud.down(back).exit_code == 0
    assert [row["VpcId"] for row in ec2.describe_vpcs()["Vpcs"] if not row["IsDefault"]] == [vpc]


def test_a_description_is_no_proof_that_something_leaves(cloud: Cloud) -> None:
    """An interface whose description names the lab's endpoint holds the subnet: `down` says so, and ends."""
    lab = cloud.lab(CONFIG)
    built = cloud.up(lab)
    ec2 = cloud.account(ROLE).ec2
    subnet, endpoint = id_of(built, "acme/subnet-1"), id_of(built, "acme/endpoint")
    made = ec2.create_network_interface(SubnetId=subnet, Description=f"VPC Endpoint Interface {endpoint}")
    id_ = made["NetworkInterface"]["NetworkInterfaceId"]
    began = cloud.clock.now()
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert f"network interface {id_}" in str(removed.left["acme/subnet-1"])
    assert cloud.clock.now() - began < 300
