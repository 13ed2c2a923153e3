"""Several things broken at once; the local AWS's own network says whether a packet passes, and judges the judge."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import ip_network
from typing import Any

import pytest
from support import broken_lab
from support.broken_lab import Break, BuiltLab
from support.cloud import Cloud, config_of
from support.stand_in_traffic import network_plan

from privatelink_lab.commands.why import evidence_of
from privatelink_lab.errors import AwsError
from privatelink_lab.why import CAUSES, Verdict, judge
from privatelink_lab.why.cause import Stage, Stops

PAIRS, WORLDS, MOST = 50, 60, 4
PORT, CLIENTS = 80, "10.1.0.0/16"
CONFIG = config_of({"name": "acme", "role_arn": "arn:aws:iam::222222222222:role/acme"}, provider={"zones": 2})
STAGE_OF = {cause.code: list(Stage).index(cause.stage) for cause in CAUSES}


def listen_nowhere(lab: broken_lab.Hand) -> None:
    """Delete the listener."""
    lab.elbv2.delete_listener(ListenerArn=lab.listener)


def stop_server(lab: broken_lab.Hand) -> None:
    """Stop the web server."""
    lab.ec2.stop_instances(InstanceIds=[lab.id("provider/web-server")])


# By name: the code, and the break.
BREAKS: dict[str, tuple[str, Break]] = {
    "endpoint closed": ("endpoint-group-closed", lambda lab: broken_lab.revoke(lab, "acme/security-group")),
    "endpoint partly closed": ("endpoint-group-closed", broken_lab.admit_one_client),
    "endpoint group swapped": ("endpoint-group-closed", broken_lab.swap_endpoint_group),
    "rejected": ("rejected", broken_lab.reject),
    "forbidden": ("permission-removed-but-alive", broken_lab.forbid),
    "a zone left": ("single-zone-client", broken_lab.leave_a_zone),
    "the server's zone left": ("single-zone-client", lambda lab: broken_lab.leave_a_zone(lab, "acme/subnet-1")),
    "zones not crossed": ("no-target-in-zone", broken_lab.stop_crossing_zones),
    "no listener": ("no-listener", listen_nowhere),
    "other listener": ("no-listener", broken_lab.listen_on_81),
    "no target": ("empty-target-group", broken_lab.deregister),
    "other target port": ("target-port-wrong", broken_lab.register_on_81),
    "target closed": ("target-group-closed", lambda lab: broken_lab.revoke(lab, "provider/security-group")),
    "one node not admitted": ("target-group-closed", broken_lab.admit_one_node),
    "target group swapped": ("target-group-closed", broken_lab.swap_server_group),
    "server stopped": ("target-not-registered", stop_server),
    "other check": ("health-check-wrong", broken_lab.check_http),
}


GOING = {"service-unavailable", "no-listener"}  # what `down` deletes first
NOTHING = {"permission-removed-but-alive", "single-zone-client", "health-check-wrong", "no-target-in-zone"}


def world(cloud: Cloud, *names: str) -> tuple[BuiltLab, Verdict]:
    """A lab with these breaks, and the verdict on acme."""
    lab = cloud.lab(CONFIG)
    assert cloud.up(lab).exit_code == 0
    built = BuiltLab(cloud, lab)
    for name in names:
        cloud.let_new_ids_propagate()
        with suppress(AwsError):  # not after what was broken before
            BREAKS[name][1](built)
    cloud.let_new_ids_propagate()
    [verdict] = judge(evidence_of(cloud.lab(lab.config, lab.state)))
    return built, verdict


def passes(cloud: Cloud, endpoint: Mapping[str, Any], clients: str = CLIENTS) -> bool:
    """Whether the local AWS's network carries a packet from the clients through an endpoint to port 80 of a target."""
    ports = network_plan(cloud.aws).ports
    mine = [ports[name] for id_ in endpoint["NetworkInterfaceIds"] if (name := f"{id_} {PORT}") in ports]
    return any(
        port.connected
        and any(ip_network(cidr).overlaps(ip_network(clients)) for cidr in port.allowed_cidrs)
        and any(target.port == PORT for target in port.targets)
        for port in mine
    )


def pairs() -> Iterator[tuple[str, str]]:
    """Fifty pairs, the same each time."""
    dice = random.Random(19)  # noqa: S311 (no secret)
    for _ in range(PAIRS):
        one, other = dice.sample(sorted(BREAKS), 2)
        yield one, other


@pytest.mark.parametrize("pair", list(pairs()), ids=" and ".join)
def test_two_things_broken_at_once(cloud: Cloud, pair: tuple[str, str]) -> None:
    """The first answer is one of the two, on the earlier hop; what stands beside it is the other one."""
    codes = [BREAKS[name][0] for name in pair]
    _, verdict = world(cloud, *pair)
    found = [one.code for one in verdict.causes]
    assert found, pair
    if {"rejected", "permission-removed-but-alive"} == set(codes):  # what would be alive is cut
        codes.append("not-permitted")
    assert set(found) <= set(codes)
    stopping = [one.code for one in verdict.causes if one.stops is not Stops.NOTHING]
    assert stopping == sorted(stopping, key=STAGE_OF.__getitem__)
    assert stopping or all(code in NOTHING for code in codes)


@pytest.mark.parametrize("seed", range(WORLDS))
def test_no_packet_passes_if_and_only_if_a_proved_cause_stops_all(cloud: Cloud, seed: int) -> None:
    """Up to four breaks: the judge and the network, which do not know each other, agree."""
    dice = random.Random(seed)  # noqa: S311 (no secret)
    names = dice.sample(sorted(BREAKS), dice.randint(0, MOST))
    lab, verdict = world(cloud, *names)
    stops_all = [one.code for one in verdict.causes if one.sighting.proved and one.stops is Stops.ALL]
    [endpoint] = lab.customer.describe_vpc_endpoints(VpcEndpointIds=[lab.endpoint])["VpcEndpoints"]
    assert passes(cloud, endpoint) == (not stops_all), (names, stops_all)


@pytest.mark.parametrize("count", [1, 30])
def test_no_false_alarm_on_the_way_up_and_down(slow_cloud: Cloud, count: int) -> None:
    """With AWS's delays, at every wait of `up` and `down`: what is proved to stop all packets stops them."""
    names = [f"c{number}" for number in range(count)]
    lab = slow_cloud.lab(config_of(*({"name": name} for name in names)))
    firsts: Counter[str] = Counter()

    def look() -> None:
        slow_cloud.clock.before_sleep = lambda: None
        verdicts = judge(evidence_of(slow_cloud.lab(lab.config, lab.state)))
        rows = {row["VpcEndpointId"]: row for row in slow_cloud.account().ec2.describe_vpc_endpoints()["VpcEndpoints"]}
        for verdict in verdicts:
            firsts.update(one.code for one in verdict.causes[:1])
            row = rows.get(verdict.request.endpoint)
            alarm = [one.code for one in verdict.causes if one.sighting.proved and one.stops is Stops.ALL]
            assert not (row and alarm and passes(slow_cloud, row, "10.0.0.0/8")), alarm
        slow_cloud.clock.before_sleep = look

    slow_cloud.clock.before_sleep = look
    assert slow_cloud.up(lab).exit_code == 0
    assert {"balancer-not-active", "service-unavailable", "accepted-not-yet-available"} <= firsts.keys()
    slow_cloud.clock.before_sleep = lambda: None
    slow_cloud.let_new_ids_propagate()
    assert [verdict.causes for verdict in judge(evidence_of(lab))] == [()] * count
    firsts.clear()
    slow_cloud.clock.before_sleep = look
    assert not slow_cloud.down(lab).left
    assert firsts.keys() <= GOING, firsts


def test_accounts_that_name_the_zones_differently(cloud: Cloud) -> None:
    """Every zone has another name in the consumer's account: its endpoint is in the service's zones, and carries."""
    zones = ["use1-az1", "use1-az2"]
    consumer = {"name": "acme", "role_arn": "arn:aws:iam::222222222222:role/acme"}
    lab = cloud.lab(config_of(consumer, provider={"zones": zones}))
    assert cloud.up(lab).exit_code == 0
    provider, acme = lab.provider.ec2, lab.account("acme").ec2
    (service,) = provider.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
    (endpoint,) = acme.describe_vpc_endpoints()["VpcEndpoints"]
    placed = acme.describe_subnets(SubnetIds=endpoint["SubnetIds"])["Subnets"]
    assert sorted(row["AvailabilityZoneId"] for row in placed) == service["AvailabilityZoneIds"] == zones
    assert not {row["AvailabilityZone"] for row in placed} & set(service["AvailabilityZones"])
    assert [verdict.causes for verdict in judge(evidence_of(lab))] == [()]
    assert passes(cloud, endpoint)
