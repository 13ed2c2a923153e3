"""Reused VPCs and subnets: data that plab reads, and leaves exactly as it was."""

from __future__ import annotations

from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of

from privatelink_lab import engine
from privatelink_lab.config import Config
from privatelink_lab.errors import PlabError
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._vpc import reused_subnets, reused_vpc


def make_vpc(cloud: Cloud, cidr: str, zones: tuple[str, ...], prefix: str = "24") -> dict[str, Any]:
    """A VPC with a tag of its own and a subnet in each zone, as the config's `vpc` section."""
    ec2 = cloud.account().ec2
    tags: Any = [{"ResourceType": "vpc", "Tags": [{"Key": "team", "Value": "network"}]}]
    vpc = ec2.create_vpc(CidrBlock=cidr, TagSpecifications=tags)["Vpc"]["VpcId"]
    cloud.let_new_ids_propagate()
    base = cidr.rsplit(".", 2)[0]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"{base}.{number}.0/{prefix}", AvailabilityZoneId=zone)
        for number, zone in enumerate(zones)
    ]
    cloud.let_new_ids_propagate()
    return {"id": vpc, "subnet_ids": [subnet["Subnet"]["SubnetId"] for subnet in subnets]}


def reusing(cloud: Cloud, *, zones: tuple[str, ...] = ("use1-az1", "use1-az2")) -> Config:
    """A lab in two given VPCs."""
    provider = make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2"))
    consumer = make_vpc(cloud, "10.1.0.0/16", zones)
    return config_of({"name": "acme", "vpc": consumer}, provider={"vpc": provider})


def test_a_lab_in_given_vpcs_works_and_down_leaves_them_as_they_were(cloud: Cloud) -> None:
    """Up and down in reused VPCs: the inventory, tags included, is the same as before."""
    config = reusing(cloud)
    before = cloud.aws.inventory()
    cloud.calls()
    lab = cloud.lab(config)
    built = cloud.up(lab)
    assert built.exit_code == 0
    assert built.done["acme/endpoint"][0].detail == "available"
    assert not {"CreateVpc", "CreateSubnet"} & set(cloud.calls())
    assert cloud.down(lab).exit_code == 0
    assert cloud.aws.inventory() == before
    assert not {"DeleteVpc", "DeleteSubnet", "DeleteTags", "CreateTags"} & set(cloud.calls())


def test_the_receipt_waits_until_no_interface_of_the_balancer_is_left(slow_cloud: Cloud) -> None:
    """An NLB's interfaces outlive it and hold the reused subnets: `down` ends only when they are gone."""
    config = reusing(slow_cloud)
    before = slow_cloud.aws.inventory()
    lab = slow_cloud.lab(config)
    assert slow_cloud.up(lab).exit_code == 0
    assert (
        len(slow_cloud.aws.inventory()["network-interface"]) == 5
    )  # one of the instance, two of the balancer, two of the endpoint
    began = slow_cloud.clock.now()
    assert slow_cloud.down(lab).exit_code == 0
    seconds = 10 + 5 + 90  # service deleted, balancer free, then the interfaces; the endpoint goes meanwhile
    assert slow_cloud.clock.now() - began > seconds / 20
    assert slow_cloud.aws.inventory() == before


def test_the_web_servers_group_admits_the_reused_subnets_only(cloud: Cloud) -> None:
    """The sources are the given subnets' CIDRs, and for the endpoint the given VPC's."""
    lab = cloud.lab(reusing(cloud))
    cloud.up(lab)
    phases = cloud.phases(lab)
    assert phases["provider/security-group/ingress"] == "tcp 80 from 10.0.0.0/24, 10.0.1.0/24"
    assert phases["acme/security-group/ingress"] == "tcp 80 from 10.1.0.0/16"


def test_a_made_consumer_vpc_follows_a_reused_providers_zones(cloud: Cloud) -> None:
    """Beside a reused provider VPC the consumer's own subnets are made in its zones, by zone id."""
    provider = make_vpc(cloud, "10.0.0.0/16", ("use1-az4", "use1-az2"))
    lab = cloud.lab(config_of(provider={"vpc": provider}))
    before = cloud.aws.inventory()
    built = cloud.up(lab)
    assert built.exit_code == 0
    ids = [id_of(built, f"acme/subnet-{number}") for number in (1, 2)]
    rows = cloud.account().ec2.describe_subnets(SubnetIds=ids)["Subnets"]
    zones = {row["SubnetId"]: row["AvailabilityZoneId"] for row in rows}
    assert [zones[id_] for id_ in ids] == ["use1-az4", "use1-az2"]
    assert cloud.down(lab).exit_code == 0
    assert cloud.aws.inventory() == before


def test_a_subnet_of_another_vpc_is_refused_before_anything_is_made(cloud: Cloud) -> None:
    """A subnet that is not in the given VPC: one sentence, nothing made."""
    provider = make_vpc(cloud, "10.0.0.0/16", ("use1-az1",))
    other = make_vpc(cloud, "10.2.0.0/16", ("use1-az1",))
    refused(cloud, {"id": provider["id"], "subnet_ids": other["subnet_ids"]}, "is in vpc-.*, not in vpc-")


def test_two_subnets_in_one_zone_are_refused(cloud: Cloud) -> None:
    """An NLB and an endpoint take one subnet per zone."""
    refused(cloud, make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az1")), "Two subnets of provider are in zone")


def test_a_vpc_that_does_not_exist_is_refused(cloud: Cloud) -> None:
    """AWS's own code for an unknown VPC reaches the user."""
    missing = {"id": "vpc-0123456789abcdef0", "subnet_ids": ["subnet-0123456789abcdef0"]}
    refused(cloud, missing, r"InvalidVpcID\.NotFound")


def test_a_consumer_in_a_zone_without_the_service_is_refused(cloud: Cloud) -> None:
    """An endpoint can only be in zones that the service has; the zone ids are named."""
    config = reusing(cloud, zones=("use1-az6", "use1-az2"))
    before = cloud.aws.inventory()
    with pytest.raises(PlabError, match="is in zone use1-az6; the service is in use1-az1, use1-az2"):
        cloud.up(cloud.lab(config))
    assert cloud.aws.inventory() == before


def refused(cloud: Cloud, vpc: dict[str, Any], why: str) -> None:
    """`up` with that provider VPC raises a sentence that matches, and makes nothing."""
    before = cloud.aws.inventory()
    with pytest.raises(PlabError) as caught:
        cloud.up(cloud.lab(config_of(provider={"vpc": vpc})))
    assert caught.match(why)
    assert cloud.aws.inventory() == before


def test_an_account_that_only_shares_a_vpc_gets_no_endpoint_in_it(cloud: Cloud) -> None:
    """Its owner is known before anything is made: `up` names both accounts; a shared VPC is fine for the provider."""
    config = reusing(cloud)
    lab = cloud.lab(config)
    provider, consumer = (reused_vpc(lab, party) for party in ("provider", "acme"))
    provider["OwnerId"] = "999999999999"
    engine.check(lab, STEPS)
    consumer["OwnerId"] = "999999999999"
    with pytest.raises(PlabError, match=r"of acme belongs to account 999999999999, which shares it with \d{12}"):
        cloud.up(lab)
    assert not [call for call in cloud.changes() if call not in {"CreateVpc", "CreateSubnet"}]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"AvailableIpAddressCount": 7}, "has 7 free addresses; 8 are needed"),
        ({"Ipv6Native": True, "AvailableIpAddressCount": 0}, "has IPv6 addresses alone"),
    ],
)
def test_a_subnet_without_room_is_refused_before_anything_is_made(cloud: Cloud, row: dict[str, Any], text: str) -> None:
    """A full subnet and one of IPv6 alone have no address for the balancer: `up` and `up --dry-run` say so."""
    config = reusing(cloud)
    cloud.calls()
    lab = cloud.lab(config)
    reused_subnets(lab, "provider")[0].update(row)
    with pytest.raises(PlabError, match=text):
        engine.check(lab, STEPS)
    assert cloud.changes() == []


# Changed `subnet_ids`. The consumer's VPC has two subnets in one zone (0, 1) and one in another (2).


def moved(provider: dict[str, Any], vpc: dict[str, Any], *numbers: int) -> Config:
    """A lab whose consumer uses these subnets of its VPC."""
    used = {"id": vpc["id"], "subnet_ids": [vpc["subnet_ids"][number] for number in numbers]}
    return config_of({"name": "acme", "vpc": used}, provider=provider)


MOVES = {  # subnets before and after, and the calls that it takes
    "to another zone": ([0], [2], 1),
    "within its zone": ([0], [1], 3),
    "within its zone, and one more": ([0], [1, 2], 3),
    "one more": ([0], [0, 2], 1),
    "one less": ([2, 0], [2], 1),
    "in another order": ([0, 2], [2, 0], 0),
}


@pytest.mark.parametrize("made", [False, True], ids=["in a reused provider VPC", "in a made one"])
@pytest.mark.parametrize(("before", "after", "calls"), MOVES.values(), ids=MOVES)
def test_an_endpoint_moves_to_changed_subnets(
    cloud: Cloud, *, before: list[int], after: list[int], calls: int, made: bool
) -> None:
    """ModifyVpcEndpoint moves it; AWS refuses a new subnet in the zone of an old one, so that one leaves first."""
    provider = {"zones": 2} if made else {"vpc": make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2"))}
    vpc = make_vpc(cloud, "10.1.0.0/16", ("use1-az1", "use1-az1", "use1-az2"))
    first = cloud.lab(moved(provider, vpc, *before))
    assert cloud.up(first).exit_code == 0
    cloud.let_new_ids_propagate()
    lab = cloud.lab(moved(provider, vpc, *after), first.state)
    wanted = sorted(vpc["subnet_ids"][number] for number in after)
    said = f", the config says {', '.join(wanted)}" if calls else "available"
    assert cloud.phases(lab)["acme/endpoint"].endswith(said)
    cloud.calls()
    assert cloud.up(lab).exit_code == 0
    assert cloud.changes() == ["ModifyVpcEndpoint"] * calls
    [row] = cloud.account().ec2.describe_vpc_endpoints()["VpcEndpoints"]
    assert (sorted(row["SubnetIds"]), row["State"]) == (wanted, "available")


def test_a_rejected_endpoint_moves_nowhere(cloud: Cloud) -> None:
    """AWS changes nothing of an endpoint that was rejected: `up` ends with 0, and does not try."""
    provider = {"vpc": make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2"))}
    vpc = make_vpc(cloud, "10.1.0.0/16", ("use1-az1", "use1-az2"))
    first = cloud.lab(moved(provider, vpc, 0))
    built = cloud.up(first)
    service, endpoint = id_of(built, "provider/endpoint-service"), id_of(built, "acme/endpoint")
    cloud.account().ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[endpoint])
    cloud.let_new_ids_propagate()
    cloud.calls()
    assert cloud.up(cloud.lab(moved(provider, vpc, 1), first.state)).exit_code == 0
    assert cloud.changes() == []


@pytest.mark.parametrize(
    "provider", [{"zones": 2}, {"zones": ["use1-az1", "use1-az2"]}, {"vpc": ()}], ids=["chosen", "named", "reused"]
)
def test_a_move_to_a_zone_without_the_service_is_refused_before_anything_changes(
    cloud: Cloud, provider: dict[str, Any]
) -> None:
    """The service's zones are known, whoever chose them: `up` names the zone, and the endpoint stays."""
    if "vpc" in provider:
        provider = {"vpc": make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2"))}
    vpc = make_vpc(cloud, "10.1.0.0/16", ("use1-az1", "use1-az6"))
    first = cloud.lab(moved(provider, vpc, 0))
    assert cloud.up(first).exit_code == 0
    cloud.let_new_ids_propagate()
    cloud.calls()
    with pytest.raises(PlabError, match="is in zone use1-az6; the service is in use1-az1, use1-az2"):
        cloud.up(cloud.lab(moved(provider, vpc, 1), first.state))
    assert cloud.changes() == []


@pytest.mark.parametrize(("full", "refused"), [(0, False), (1, True)], ids=["one in use", "a new one"])
def test_only_a_new_subnet_requires_room(cloud: Cloud, *, full: int, refused: bool) -> None:
    """The endpoint has its address in the old subnet, which may be full now; the new one has to have room."""
    provider = {"vpc": make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2"))}
    vpc = make_vpc(cloud, "10.1.0.0/16", ("use1-az1", "use1-az2"))
    first = cloud.lab(moved(provider, vpc, 0))
    cloud.up(first)
    lab = cloud.lab(moved(provider, vpc, 0, 1), first.state)
    reused_subnets(lab, "acme")[full].update(AvailableIpAddressCount=0)
    cloud.calls()
    if refused:
        with pytest.raises(PlabError, match="has 0 free addresses; 8 are needed"):
            cloud.up(lab)
        assert cloud.changes() == []
    else:
        engine.check(lab, STEPS)


def test_a_balancer_that_would_have_to_move_is_named_with_its_replacement(cloud: Cloud) -> None:
    """The provider's `subnet_ids` change: `up` says from what to what, changes nothing, and prints the command."""
    given = make_vpc(cloud, "10.0.0.0/16", ("use1-az1", "use1-az2", "use1-az4"))
    vpc = make_vpc(cloud, "10.1.0.0/16", ("use1-az1",))
    first = cloud.lab(moved({"vpc": given | {"subnet_ids": given["subnet_ids"][:2]}}, vpc, 0))
    assert cloud.up(first).exit_code == 0
    cloud.let_new_ids_propagate()
    cloud.calls()
    built = cloud.up(cloud.lab(moved({"vpc": given}, vpc, 0), first.state))
    error = built.failed["provider/nlb"]
    assert f", the config says {', '.join(sorted(given['subnet_ids']))}" in str(error)
    assert error.hint == "plab up --replace provider/nlb"
    assert cloud.changes() == []
