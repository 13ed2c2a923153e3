"""The listening ports of load balancers and endpoints, their targets, and the health checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from support.aws_resources import (
    ServiceLab,
    active_balancer,
    add_group,
    add_subnet,
    health,
    launch,
    listen,
    make_balancer,
    make_group,
    network,
    serve,
    web_group,
)
from support.contract_aws import LocalCloud, PunctualClock
from support.inventory import InventoriedAws
from support.stand_in_traffic import StandInTraffic, endpoint_port, network_plan, node_ports, stand_in

from privatelink_lab.local.network.plan import HealthCheck, Target

CROSS_ZONE = "load_balancing.cross_zone.enabled"


@pytest.fixture
def traffic(cloud: LocalCloud) -> StandInTraffic:
    """The results of health checks, set by the test."""
    return stand_in(cloud.aws)


def open_group(ec2: Any, vpc: str, cidr: str, name: str = "endpoint") -> str:
    """A security group that lets a network in to port 80."""
    group = add_group(ec2, vpc, name)
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": cidr}]}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return group


def test_an_endpoint_lets_pass_only_while_it_is_available(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Closed before acceptance and while pending, open from `available` on, closed by a reject."""
    serve(lab)
    endpoint = lab.connect()
    seen = [(lab.state(endpoint), endpoint_port(cloud, endpoint).connected)]
    for decision, seconds in (("accept", 1), ("", 60), ("reject", 1)):
        if decision:
            lab.decide(decision, endpoint)
        cloud.wait(seconds)
        seen.append((lab.state(endpoint), endpoint_port(cloud, endpoint).connected))
    assert seen == [("pendingAcceptance", False), ("pending", False), ("available", True), ("rejected", False)]


def test_a_change_of_an_endpoint_cuts_nothing_and_its_deletion_does(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Traffic passes while `pending` after ModifyVpcEndpoint; not while `deleting`, and then the port is gone."""
    serve(lab)
    endpoint = lab.connect()
    lab.decide("accept", endpoint)
    cloud.wait(61)
    vpc = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"][0]["VpcId"]
    lab.ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, AddSecurityGroupIds=[add_group(lab.ec2, vpc)])
    assert (lab.state(endpoint), endpoint_port(cloud, endpoint).connected) == ("pending", True)
    cloud.wait(60)
    lab.ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    assert (lab.state(endpoint), endpoint_port(cloud, endpoint).connected) == ("deleting", False)
    cloud.wait(60)
    assert [port for port in network_plan(cloud.aws).ports.values() if port.vpc == vpc] == []


def test_an_endpoint_lets_in_what_its_groups_let_in(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Its own group decides; a revoked rule closes the port at once; a balancer without groups restricts nothing."""
    serve(lab)
    ec2 = lab.admit()
    asked = lab.request(ec2)
    group = open_group(ec2, asked["VpcId"], "10.1.0.0/16")
    endpoint = lab.connect(ec2, **asked, SecurityGroupIds=[group])
    port = endpoint_port(cloud, endpoint, ec2)
    assert (port.vpc, port.port, port.allowed_cidrs) == (asked["VpcId"], 80, ("10.1.0.0/16",))
    ec2.revoke_security_group_ingress(GroupId=group, IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.1.0.0/16")
    assert endpoint_port(cloud, endpoint, ec2).allowed_cidrs == ()


def test_groups_of_a_balancer_hold_for_private_link_until_switched_off(cloud: LocalCloud) -> None:
    """With enforcement on, both groups must let a client in; off, those of the balancer protect its own port only."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    vpc, subnet = network(ec2)
    group = open_group(ec2, vpc, "10.1.0.0/24", "balancer")
    asked: dict[str, Any] = {"Name": "nlb", "Type": "network", "Scheme": "internal", "Subnets": [subnet]}
    arn = elb.create_load_balancer(**asked, SecurityGroups=[group])["LoadBalancers"][0]["LoadBalancerArn"]
    cloud.wait(130)
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[arn], AcceptanceRequired=False)
    guarded = ServiceLab(cloud, vpc, subnet, arn, made["ServiceConfiguration"])
    serve(guarded)
    given = guarded.request()
    endpoint = guarded.connect(**given, SecurityGroupIds=[open_group(ec2, given["VpcId"], "10.1.0.0/16")])
    assert endpoint_port(cloud, endpoint).allowed_cidrs == ("10.1.0.0/24",)
    off: dict[str, Any] = {"EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic": "off"}
    elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group], **off)
    assert endpoint_port(cloud, endpoint).allowed_cidrs == ("10.1.0.0/16",)
    (port,) = node_ports(cloud, vpc).values()
    assert (port.allowed_cidrs, port.connected) == (("10.1.0.0/24",), True)


def test_a_target_gets_flows_once_it_is_in_service(cloud: LocalCloud, lab: ServiceLab, traffic: StandInTraffic) -> None:
    """No flows while `initial`; then also when unhealthy, until it stops or no longer lets the load balancer in."""
    instance, group = serve(lab)
    elb = cloud.client("elbv2")
    (node,) = node_ports(cloud, lab.vpc)
    address = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["PrivateIpAddress"]

    def targets() -> Sequence[Target]:
        return node_ports(cloud, lab.vpc)[node].targets

    wanted = Target(f"{group} {instance}", lab.vpc, node, address, 80)
    assert targets() == (wanted,)
    traffic.findings[wanted.check] = "unhealthy"
    assert targets() == (wanted,)
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "CidrIp": "10.0.0.0/8"}
    groups = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["SecurityGroups"]
    lab.ec2.revoke_security_group_ingress(GroupId=groups[0]["GroupId"], **rule)
    assert targets() == ()
    lab.ec2.authorize_security_group_ingress(GroupId=groups[0]["GroupId"], **rule)
    assert targets() == (wanted,)
    elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    assert targets() == ()
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    assert targets() == ()
    cloud.wait(60)
    assert targets() == (wanted,)
    lab.ec2.stop_instances(InstanceIds=[instance])
    assert targets() == ()


def test_an_endpoint_goes_where_the_node_of_its_zone_goes(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Its targets see the address of the load balancer's node in its zone."""
    serve(lab)
    (node,) = node_ports(cloud, lab.vpc).values()
    endpoint = lab.connect()
    assert endpoint_port(cloud, endpoint).targets == node.targets
    assert [(target.vpc, target.source) for target in node.targets] == [(lab.vpc, node.address)]


def test_a_node_serves_its_own_zone_unless_cross_zone_is_on(cloud: LocalCloud) -> None:
    """Cross-zone is off by default, on by the load balancer's attribute; the target group's attribute comes first."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    vpc, one = network(ec2)
    two = add_subnet(ec2, vpc, "10.0.1.0/24", "use1-az2")
    arn = make_balancer(elb, one)
    elb.set_subnets(LoadBalancerArn=arn, Subnets=[one, two])
    group, security = make_group(elb, vpc), web_group(ec2, vpc)
    listen(elb, arn, group)
    servers = [launch(cloud, subnet, SecurityGroupIds=[security]) for subnet in (one, two)]
    cloud.wait(15)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": server} for server in servers])
    cloud.wait(300)

    def crosses() -> bool:
        served = {len(port.targets) for port in node_ports(cloud, vpc).values()}
        return {1: False, 2: True}[served.pop()]

    def balancer(value: str) -> bool:
        attributes = [{"Key": CROSS_ZONE, "Value": value}]
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=attributes)
        return crosses()

    def target_group(value: str) -> bool:
        attributes = [{"Key": CROSS_ZONE, "Value": value}]
        elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=attributes)
        return crosses()

    assert [crosses(), balancer("true"), target_group("false")] == [False, True, False]
    assert [target_group("use_load_balancer_configuration"), balancer("false"), target_group("true")] == [
        True,
        False,
        True,
    ]


def test_a_check_of_a_target_has_the_settings_of_its_group(cloud: LocalCloud, lab: ServiceLab) -> None:
    """From a load balancer's node, with the group's interval, timeout and thresholds; none for a stopped instance."""
    pace = {"HealthCheckIntervalSeconds": 10, "HealthCheckTimeoutSeconds": 6}
    instance, group = serve(lab, **pace, HealthyThresholdCount=2, UnhealthyThresholdCount=4)
    (node,) = node_ports(cloud, lab.vpc).values()
    ((name, check),) = network_plan(cloud.aws).checks.items()
    assert name == f"{group} {instance}" == check.target.check
    assert check == HealthCheck(node.targets[0], interval=10, timeout=6, healthy_threshold=2, unhealthy_threshold=4)
    lab.ec2.stop_instances(InstanceIds=[instance])
    assert network_plan(cloud.aws).checks == {}


@pytest.mark.parametrize(("speed", "interval", "timeout"), [(2, 5.0, 3.0), (200, 0.1, 0.5), (0, 0.1, 0.5)])
def test_a_check_is_as_fast_as_the_clock(speed: float, interval: float, timeout: float) -> None:
    """Interval and timeout are seconds of AWS time, and never too short for real sockets."""
    seconds = [0.0]
    clock = PunctualClock(speed, wall=lambda: seconds[0])
    with InventoriedAws(clock) as aws, LocalCloud(aws=aws, seconds=seconds) as cloud:
        ec2 = cloud.client("ec2")
        vpc, subnet = network(ec2)
        made = ec2.create_vpc_endpoint_service_configuration
        balancer = active_balancer(cloud, subnet)
        lab = ServiceLab(cloud, vpc, subnet, balancer, made(NetworkLoadBalancerArns=[balancer])["ServiceConfiguration"])
        serve(lab, HealthCheckIntervalSeconds=10, HealthCheckTimeoutSeconds=6)
        (check,) = network_plan(aws).checks.values()
        assert (check.interval, check.timeout) == (interval, timeout)


def test_an_http_check_has_a_path_and_codes(cloud: LocalCloud, lab: ServiceLab) -> None:
    """Path, codes and port are the target group's."""
    asked = {"HealthCheckProtocol": "HTTP", "HealthCheckPath": "/well", "Matcher": {"HttpCode": "200,204"}}
    serve(lab, **asked, HealthCheckPort="80")
    (check,) = network_plan(cloud.aws).checks.values()
    assert (check.path, check.codes, check.target.port) == ("/well", "200,204", 80)


def test_an_http_check_of_a_network_balancer_takes_redirects_too(cloud: LocalCloud, lab: ServiceLab) -> None:
    """The default path is /, and without a matcher 200-399 is healthy, as on AWS."""
    serve(lab, HealthCheckProtocol="HTTP")
    (check,) = network_plan(cloud.aws).checks.values()
    assert (check.path, check.codes) == ("/", "200-399")


def test_a_check_at_another_port_needs_a_rule_for_that_port(
    cloud: LocalCloud, lab: ServiceLab, traffic: StandInTraffic
) -> None:
    """HealthCheckPort: a target whose groups let the node in at its traffic port only is unhealthy."""
    instance, group = serve(lab, HealthCheckPort="81")
    assert health(cloud.client("elbv2"), group)[0] == "unhealthy"
    assert network_plan(cloud.aws).checks == {}
    groups = lab.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]["SecurityGroups"]
    rule = {"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "CidrIp": "10.0.0.0/24"}
    lab.ec2.authorize_security_group_ingress(GroupId=groups[0]["GroupId"], **rule)
    (check,) = network_plan(cloud.aws).checks.values()
    (node,) = node_ports(cloud, lab.vpc).values()
    assert (check.target.port, node.targets[0].port) == (81, 80)
    assert health(cloud.client("elbv2"), group)[0] == "healthy"
