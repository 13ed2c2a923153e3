"""Load balancers, target groups and health."""

from __future__ import annotations

from typing import Any

from .labs import Cloud, Lab, code_of, make_balancer, network
from .test_instances import launch


def make_group(elb: Any, vpc: str, **more: Any) -> str:
    """The ARN of a TCP target group."""
    answer = elb.create_target_group(Name="web", Protocol="TCP", Port=80, VpcId=vpc, TargetType="instance", **more)
    return str(answer["TargetGroups"][0]["TargetGroupArn"])


def listen(elb: Any, balancer: str, group: str, port: int = 80) -> str:
    """The ARN of a listener that forwards to the group."""
    answer = elb.create_listener(
        LoadBalancerArn=balancer,
        Protocol="TCP",
        Port=port,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return str(answer["Listeners"][0]["ListenerArn"])


def health(elb: Any, group: str) -> tuple[str, str | None]:
    """State and reason of the group's only target."""
    answer = elb.describe_target_health(TargetGroupArn=group)
    found = answer["TargetHealthDescriptions"][0]["TargetHealth"]
    return found["State"], found.get("Reason")


def test_a_balancer_is_provisioning_until_its_time(cloud: Cloud) -> None:
    """Looking at it does not activate it; after 130 seconds it is active."""
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, network(cloud.client("ec2"), "10.0.0.0/16")[1])
    assert ":loadbalancer/net/nlb/" in arn
    elb.describe_load_balancers()
    cloud.wait(129)
    states = [elb.describe_load_balancers(Names=["nlb"])["LoadBalancers"][0]["State"]["Code"]]
    cloud.wait(1)
    states.append(elb.describe_load_balancers()["LoadBalancers"][0]["State"]["Code"])
    assert states == ["provisioning", "active"]


def test_creates_are_idempotent_by_name_and_settings(cloud: Cloud) -> None:
    """The same request gives the same thing, another one under that name is a duplicate."""
    elb = cloud.client("elbv2")
    vpc, subnet = network(cloud.client("ec2"), "10.0.0.0/16")
    balancer, group = make_balancer(elb, subnet), make_group(elb, vpc)
    listener = listen(elb, balancer, group)
    assert make_balancer(elb, subnet) == balancer
    assert make_group(elb, vpc) == group
    assert listen(elb, balancer, group) == listener
    assert len(elb.describe_load_balancers()["LoadBalancers"]) == 1
    other: dict[str, Any] = {"Name": "nlb", "Type": "network", "Subnets": [subnet]}
    assert code_of(elb.create_load_balancer, **other) == "DuplicateLoadBalancerName"
    changed: dict[str, Any] = {"Name": "web", "Protocol": "TCP", "VpcId": vpc, "Port": 81}
    assert code_of(elb.create_target_group, **changed) == "DuplicateTargetGroupName"
    two: dict[str, Any] = {"Protocol": "TCP", "Port": 80, "DefaultActions": []}
    twice = code_of(elb.create_listener, LoadBalancerArn=balancer, **two)
    assert twice == "DuplicateListener"


def test_missing_names_are_named(cloud: Cloud) -> None:
    """One missing name fails the whole describe, also beside one that exists."""
    elb = cloud.client("elbv2")
    make_balancer(elb, network(cloud.client("ec2"), "10.0.0.0/16")[1])
    balancers = code_of(elb.describe_load_balancers, Names=["nlb", "none"])
    assert balancers == "LoadBalancerNotFound"
    assert code_of(elb.describe_target_groups, Names=["none"]) == "TargetGroupNotFound"


def test_health_waits_for_listener_balancer_and_checks(cloud: Cloud) -> None:
    """Unused without listener, initial until a minute after all is there, then healthy."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2, "10.0.0.0/16")
    instance, group = launch(ec2, subnet), make_group(elb, vpc)
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance}]}
    assert code_of(elb.register_targets, **target) == "InvalidTarget"
    cloud.wait(15)
    elb.register_targets(**target)
    assert health(elb, group) == ("unused", "Target.NotInUse")
    listener = listen(elb, make_balancer(elb, subnet), group)
    cloud.wait(189)
    assert health(elb, group) == ("initial", "Elb.InitialHealthChecking")
    cloud.wait(1)
    elb.register_targets(**target)
    assert health(elb, group) == ("healthy", None)
    elb.delete_listener(ListenerArn=listener)
    assert health(elb, group) == ("unused", "Target.NotInUse")
    group_now = elb.describe_target_groups()["TargetGroups"][0]
    assert group_now.get("LoadBalancerArns", []) == []


def test_a_stopped_target_starts_over(cloud: Cloud) -> None:
    """Target.InvalidState while it is not running, and new checks after it runs again."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2, "10.0.0.0/16")
    instance, group = launch(ec2, subnet), make_group(elb, vpc)
    listen(elb, make_balancer(elb, subnet), group)
    cloud.wait(15)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    cloud.wait(500)
    ec2.stop_instances(InstanceIds=[instance])
    assert health(elb, group) == ("unused", "Target.InvalidState")
    cloud.wait(30)
    ec2.start_instances(InstanceIds=[instance])
    cloud.wait(15)
    assert health(elb, group)[0] == "initial"
    cloud.wait(60)
    assert health(elb, group)[0] == "healthy"
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(30)
    assert health(elb, group) == ("unused", "Target.InvalidState")


def test_deregistering_twice_is_no_error(cloud: Cloud) -> None:
    """A target that is not registered is gone already."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2, "10.0.0.0/16")
    instance, group = launch(ec2, subnet), make_group(elb, vpc)
    cloud.wait(15)
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance}]}
    elb.register_targets(**target)
    elb.deregister_targets(**target)
    elb.deregister_targets(**target)
    assert elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"] == []


def test_a_service_holds_its_balancer(lab: Lab) -> None:
    """ResourceInUse until the service is really gone."""
    elb = lab.cloud.client("elbv2")
    held = {"LoadBalancerArn": lab.balancer}
    assert code_of(elb.delete_load_balancer, **held) == "ResourceInUse"
    lab.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[lab.service["ServiceId"]])
    lab.cloud.wait(14)
    assert code_of(elb.delete_load_balancer, **held) == "ResourceInUse"
    lab.cloud.wait(1)
    elb.delete_load_balancer(**held)
    elb.delete_load_balancer(**held)
    assert elb.describe_load_balancers()["LoadBalancers"] == []


def test_attributes_tags_and_pages(cloud: Cloud) -> None:
    """Cross-zone can be set and read, tags are told per ARN, and long lists come in pages."""
    elb = cloud.client("elbv2")
    subnet = network(cloud.client("ec2"), "10.0.0.0/16")[1]
    arns = [make_balancer(elb, subnet, f"nlb-{number}") for number in range(3)]
    wanted = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arns[0], Attributes=[wanted])
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=arns[0])["Attributes"]
    assert wanted in found
    elb.add_tags(ResourceArns=arns[:1], Tags=[{"Key": "plab:lab", "Value": "x"}])
    told = elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
    assert [len(each["Tags"]) for each in told] == [1, 0, 0]
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    assert [len(page["LoadBalancers"]) for page in pages] == [2, 1]
