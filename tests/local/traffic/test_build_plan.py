"""The network plan for the objects of the services: VPCs with their names, and machines."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace

import pytest
from support.aws_resources import ServiceLab, instance_state, launch, network, serve
from support.contract_aws import LocalCloud
from support.stand_in_traffic import endpoint_port, network_plan, node_ports, stand_in, sync_once

from privatelink_lab.local.network.agent_client import InstanceEnded
from privatelink_lab.local.network.plan import InstancePlan, NetworkPlan
from privatelink_lab.local.traffic.build_plan import visitor_name
from privatelink_lab.local.traffic.network_sync import TICKS_PER_PLAN


def test_an_empty_aws_has_an_empty_plan(cloud: LocalCloud) -> None:
    """Empty VPCs need no network, not even the default ones."""
    network(cloud.client("ec2"))
    assert network_plan(cloud.aws) == NetworkPlan()


def test_public_names_resolve_everywhere(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Names of endpoints and load balancers resolve in every VPC; private instance names in their own VPC."""
    instance, _ = serve(lab)
    endpoint = lab.connect()
    found = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]
    port = endpoint_port(cloud, endpoint)
    (node,) = node_ports(cloud, lab.vpc)
    balancer = cloud.client("elbv2").describe_load_balancers(LoadBalancerArns=[lab.balancer])["LoadBalancers"][0]
    public = {entry["DnsName"]: (port.address,) for entry in found["DnsEntries"]} | {balancer["DNSName"]: (node,)}
    assert len(public) == 3
    row = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    vpcs = network_plan(cloud.aws).vpcs
    assert vpcs[found["VpcId"]].names == public
    assert vpcs[lab.vpc].names == public | {row["PrivateDnsName"]: (row["PrivateIpAddress"],)}
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    cloud.wait(60)
    assert found["DnsEntries"][0]["DnsName"] not in network_plan(cloud.aws).vpcs[lab.vpc].names


def test_a_vpc_without_dns_support_knows_no_names(cloud: LocalCloud, lab: ServiceLab) -> None:
    """With enableDnsSupport off it resolves no name, not even of its own instances."""
    serve(lab)
    lab.ec2.modify_vpc_attribute(VpcId=lab.vpc, EnableDnsSupport={"Value": False})
    assert network_plan(cloud.aws).vpcs[lab.vpc].names == {}


def test_a_machine_counts_its_boots(cloud: LocalCloud) -> None:
    """`boot` is 0 while it has not booted or does not run; a start or reboot adds one."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])

    def boot() -> int:
        return network_plan(cloud.aws).instances[instance].boot

    seen = [boot()]
    for call, seconds in (
        (None, 15),  # running
        (None, 45),  # booted
        (ec2.reboot_instances, 44),
        (None, 1),
        (ec2.stop_instances, 30),
        (ec2.start_instances, 15),
        (None, 45),
    ):
        if call:
            call(InstanceIds=[instance])
        cloud.wait(seconds)
        seen.append(boot())
    assert seen == [0, 0, 1, 0, 2, 0, 0, 3]
    ec2.terminate_instances(InstanceIds=[instance])
    assert boot() == 0
    cloud.wait(30)
    assert instance_state(cloud, instance) == "terminated"
    assert network_plan(cloud.aws) == NetworkPlan()


def test_a_machine_has_its_address_its_router_and_its_script(cloud: LocalCloud) -> None:
    """They come from RunInstances and the subnet; it reaches every block of its VPC."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2)
    ec2.associate_vpc_cidr_block(VpcId=vpc, CidrBlock="10.8.0.0/16")
    instance = launch(cloud, subnet, PrivateIpAddress="10.0.0.77", UserData="#!/bin/bash\necho hello\n")
    machine = network_plan(cloud.aws).instances[instance]
    assert base64.b64decode(machine.user_data) == b"#!/bin/bash\necho hello\n"
    assert replace(machine, user_data="") == InstancePlan(
        vpc, "10.0.0.77/24", "10.0.0.1", ("10.0.0.0/16", "10.8.0.0/16"), "ip-10-0-0-77", 0
    )
    assert network_plan(cloud.aws).vpcs[vpc].routers == ("10.0.0.1/24",)


def test_a_visitors_machine_that_was_switched_off_boots_for_the_next_one(cloud: LocalCloud) -> None:
    """After `poweroff` in the shell nothing runs there until the next visit."""
    traffic = stand_in(cloud.aws)
    _, subnet = network(cloud.client("ec2"))
    boots = []
    for ending in ((), (InstanceEnded(visitor_name(subnet), 1, "power-off"),), ()):
        traffic.endings = list(ending)
        sync_once(cloud.aws)
        if not ending:
            cloud.aws._sync.visit(subnet)
        boots.append(network_plan(cloud.aws).instances[visitor_name(subnet)].boot)
    assert boots == [1, 0, 2]


def test_a_plan_is_built_also_without_a_call(cloud: LocalCloud) -> None:
    """Time alone makes a target healthy, and then its load balancer's ports have it."""
    traffic = stand_in(cloud.aws)
    sync_once(cloud.aws)
    before = traffic.last_plan
    for _ in range(TICKS_PER_PLAN):
        sync_once(cloud.aws)
    assert traffic.last_plan is not before


def test_a_visitor_has_a_machine_at_the_end_of_the_subnet(cloud: LocalCloud) -> None:
    """It has the highest free address, it always runs, and all visits share it."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2)
    launch(cloud, subnet, PrivateIpAddress="10.0.0.254")
    for _ in range(2):
        assert cloud.aws._sync.visit(subnet) is None  # nothing carries it here
    visitor = network_plan(cloud.aws).instances[visitor_name(subnet)]
    assert visitor == InstancePlan(vpc, "10.0.0.253/24", "10.0.0.1", ("10.0.0.0/16",), "ip-10-0-0-253", 1)
    with pytest.raises(LookupError):
        cloud.aws._sync.visit("subnet-0123456789abcdef0")


def test_a_plan_is_equal_after_json(cloud: LocalCloud, lab: ServiceLab) -> None:
    """A plan is equal after JSON, so that an unchanged plan is recognised."""
    serve(lab, HealthCheckProtocol="HTTP", HealthCheckPath="/")
    lab.connect()
    plan = network_plan(cloud.aws)
    assert plan.ports
    assert plan == network_plan(cloud.aws)
    sent = json.loads(json.dumps(asdict(plan)))
    assert asdict(NetworkPlan.read(sent)) == sent
