"""`up`, a second `up`, `down`: what a user gets, and what is left."""

from __future__ import annotations

from dataclasses import replace

from support.cloud import Cloud, config_of

from privatelink_lab import engine
from privatelink_lab.lab import Lab
from privatelink_lab.local.api.delays import DELAYS
from privatelink_lab.resource import Found, Phase
from privatelink_lab.steps._vpc import provider_zones


def test_up_ends_with_healthy_targets_and_an_available_endpoint(cloud: Cloud, lab: Lab) -> None:
    """After `up` every resource is there, the target is healthy and the endpoint available."""
    built = cloud.up(lab)
    assert built.exit_code == 0
    assert cloud.phases(lab) == {
        "provider/vpc": "available",
        "provider/subnet-1": "available",
        "provider/security-group": "in place",
        "provider/security-group/ingress": "tcp 80 from 10.0.0.0/24",
        "acme/vpc": "available",
        "acme/subnet-1": "available",
        "acme/security-group": "in place",
        "acme/security-group/ingress": "tcp 80 from 10.1.0.0/16",
        "provider/web-server": "running",
        "provider/target-group": "in place",
        "provider/target-group/registration": "healthy",
        "provider/nlb": "active",
        "provider/nlb/listener": "tcp 80",
        "provider/endpoint-service": "Available",
        "provider/endpoint-service/permissions": "own account only",
        "acme/endpoint": "available",
        "acme/acceptance": "available",
    }


def test_everything_that_is_created_bears_the_tags_of_the_config(cloud: Cloud) -> None:
    """An organization demands tags: what AWS creates on request bears them, what AWS makes itself does not."""
    cloud.up(cloud.lab(config_of(tags={"cost center": "4711"})))
    lines = [line for lines in cloud.aws.inventory().values() for line in lines if "'plab:key'" in line]
    assert len(lines) > 10
    assert all("'cost center': '4711'" in line for line in lines)


def test_the_inventory_after_down_equals_the_one_before_up(cloud: Cloud, lab: Lab) -> None:
    """`down` leaves nothing: what exists afterwards is what existed before."""
    before = cloud.aws.inventory()
    cloud.up(lab)
    assert cloud.aws.inventory() != before
    removed = cloud.down(lab)
    assert removed.exit_code == 0
    assert cloud.aws.inventory() == before
    removed.deleted.pop("network interface", None)  # AWS's own: counted where they stay for a while
    assert {noun: len(ids) for noun, ids in removed.deleted.items()} == {
        "listener": 1,
        "target group": 1,
        "instance": 1,
        "security group": 2,
        "endpoint": 1,
        "subnet": 2,
        "VPC": 2,
        "endpoint service": 1,
        "load balancer": 1,
    }


def test_up_again_makes_no_mutating_call(cloud: Cloud, lab: Lab) -> None:
    """A second `up` on a whole lab only reads: one describe for each kind and parent."""
    cloud.up(lab)
    cloud.calls()
    built = cloud.up(cloud.lab(state=lab.state))
    calls = cloud.calls()
    assert built.exit_code == 0
    assert not [call for call in calls if not call.startswith(("Describe", "Get"))]
    assert len(calls) == len(set(calls)) + 1, "only DescribeTags is asked twice: for the balancer and for the group"


def test_up_after_a_lost_state_finds_the_lab_by_its_tags(cloud: Cloud, lab: Lab) -> None:
    """Without the state file `up` makes nothing again: the tags are the truth."""
    cloud.up(lab)
    cloud.calls()
    assert cloud.up(cloud.lab()).exit_code == 0
    assert cloud.changes() == []


def test_down_after_a_lost_state_removes_all(cloud: Cloud, lab: Lab) -> None:
    """Without the state file `down` still leaves nothing."""
    before = cloud.aws.inventory()
    cloud.up(lab)
    assert cloud.down(cloud.lab()).exit_code == 0
    assert cloud.aws.inventory() == before


def test_two_zones_and_three_consumers_with_one_cidr(cloud: Cloud) -> None:
    """Several consumers with the provider's own CIDR work: PrivateLink does not care for overlaps."""
    same = {"vpc": {"cidr": "10.0.0.0/16"}}
    config = config_of(*({"name": name} | same for name in ("acme", "beta", "corp")), provider={"zones": 2})
    lab = cloud.lab(config)
    before = cloud.aws.inventory()
    built = cloud.up(lab)
    assert built.exit_code == 0
    assert {built.done[f"{name}/endpoint"][0].detail for name in ("acme", "beta", "corp")} == {"available"}
    assert cloud.down(lab).exit_code == 0
    assert cloud.aws.inventory() == before


def test_a_provider_without_consumers(cloud: Cloud) -> None:
    """No consumers: the service is built and waits for customers."""
    lab = cloud.lab(config_of().model_copy(update={"consumers": ()}))
    assert cloud.up(lab).exit_code == 0
    assert cloud.down(lab).exit_code == 0


def test_consumer_accounts_get_a_permission(cloud: Cloud) -> None:
    """Consumers in other accounts, by role and by profile, are permitted, accepted and removed."""
    config = config_of(
        {"name": "acme", "role_arn": "arn:aws:iam::111122223333:role/lab"}, {"name": "beta", "profile": "beta"}
    )
    lab = cloud.lab(config)
    before = cloud.aws.inventory()
    built = cloud.up(lab)
    assert built.exit_code == 0
    assert built.done["provider/endpoint-service/permissions"][0].detail == "2 principals"
    assert lab.account("acme").id == "111122223333"
    assert len({lab.provider.id, lab.account("acme").id, lab.account("beta").id}) == 3
    assert cloud.down(lab).exit_code == 0
    assert cloud.aws.inventory() == before


def test_waits_overlap_and_each_kind_is_described_once_a_tick(real_pace_cloud: Cloud) -> None:
    """On AWS's clock `up` takes the longest chain, not the sum; two endpoints cost the describes of one."""
    lab = real_pace_cloud.lab(config_of({"name": "acme"}, {"name": "beta"}))
    began = real_pace_cloud.clock.now()
    assert real_pace_cloud.up(lab).exit_code == 0
    seconds = real_pace_cloud.clock.now() - began
    chain = ("balancer_active", "service_ready", "connection_listed", "accept_pending", "endpoint_available")
    longest_chain = sum(DELAYS[name].usual for name in chain)
    assert longest_chain <= seconds <= 1.05 * longest_chain + 3
    calls = real_pace_cloud.calls()
    assert calls.count("CreateVpcEndpoint") <= 2 * 16  # ten seconds of 503: AWS's bucket for it is small
    waves = 20  # snapshots right after a wave of creates, without a sleep between
    assert calls.count("DescribeVpcEndpoints") <= real_pace_cloud.clock.sleeps + waves


def test_a_teardown_takes_its_longest_chain(real_pace_cloud: Cloud) -> None:
    """On AWS's clock: the service goes beside its endpoint, the balancer after it, its interfaces last; few calls."""
    lab = real_pace_cloud.lab()
    assert real_pace_cloud.up(lab).exit_code == 0
    real_pace_cloud.let_new_ids_propagate()
    real_pace_cloud.calls()
    began = real_pace_cloud.clock.now()
    assert real_pace_cloud.down(lab).exit_code == 0
    seconds = real_pace_cloud.clock.now() - began
    chain = ("service_deleted", "service_gone", "balancer_deleted", "interfaces_gone")
    longest_chain = sum(DELAYS[name].usual for name in chain)
    assert longest_chain <= seconds <= 1.05 * longest_chain
    calls = real_pace_cloud.calls()
    assert calls.count("DeleteSubnet") == calls.count("DeleteVpc") == 2, "what AWS would refuse is not asked"
    assert calls.index("DeleteVpcEndpointServiceConfigurations") < calls.index("DeleteLoadBalancer")
    assert lab.state.timeline
    assert lab.state.timeline.chain()[:3] == ["provider/endpoint-service", "provider/nlb", "provider/nlb/interfaces"]


def test_up_does_not_poll_what_cannot_exist_yet(real_pace_cloud: Cloud) -> None:
    """While the balancer provisions `up` does not describe the service or an endpoint, since they cannot exist yet."""
    lab = real_pace_cloud.lab()
    clock, asked, began = real_pace_cloud.clock, list[str](), list[float]()

    def note() -> None:
        calls = real_pace_cloud.calls()
        if "provider/nlb" in lab.state.ids and "provider/endpoint-service" not in lab.state.ids:
            began.append(clock.now())
            if clock.now() - began[0] > 40:  # until then new ids become visible, at random moments
                asked.extend(calls)

    clock.before_sleep = note
    assert real_pace_cloud.up(lab).exit_code == 0
    assert "DescribeLoadBalancers" in asked
    rechecks = 90 / 30 + 1  # `up` rechecks what is ready every 30 seconds
    assert asked.count("DescribeVpcs") <= rechecks
    assert not {"DescribeVpcEndpoints", "DescribeVpcEndpointConnections", "DescribeListeners"} & set(asked)


def test_a_zone_is_known_by_the_number_of_its_subnet(lab: Lab) -> None:
    """AWS shows the second subnet before the first: a consumer's second one follows it into its zone all the same."""
    two = {"provider/subnet-2": (Found("subnet-2", Phase.READY, shows={"zone": "use1-az2"}),)}
    wide = replace(lab, config=config_of(provider={"zones": 2}))
    assert provider_zones(wide, engine.take_snapshot(wide, {}, done=two)) == {2: "use1-az2"}
