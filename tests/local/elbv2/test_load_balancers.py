"""Load balancers, listeners, target groups and health."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_resources import (
    ServiceLab,
    active_balancer,
    add_group,
    add_subnet,
    balancer_state,
    code_of,
    health,
    instance_state,
    launch,
    listen,
    make_balancer,
    make_group,
    network,
    outcome,
    web_group,
)
from support.contract_aws import ContractCloud


def interfaces_of(ec2: Any, balancer: str) -> list[dict[str, Any]]:
    """The network interfaces of a load balancer, found by the filters that tools use."""
    filters = [
        {"Name": "attachment.instance-owner-id", "Values": ["amazon-aws"]},
        {"Name": "description", "Values": [f"ELB {balancer.partition(':loadbalancer/')[2]}"]},
    ]
    return list(ec2.describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


@pytest.mark.contract
def test_a_balancer_provisions_before_it_is_active(cloud: ContractCloud) -> None:
    """Its ARN has net/, and a describe does not activate it."""
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, network(cloud.client("ec2"))[1])
    assert ":loadbalancer/net/nlb/" in arn
    assert [balancer_state(elb, arn) for _ in range(2)] == ["provisioning"] * 2
    cloud.until(lambda: balancer_state(elb, arn), "active")


def test_a_balancer_is_active_after_its_time(cloud: ContractCloud) -> None:
    """It takes 130 seconds."""
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, network(cloud.client("ec2"))[1])
    cloud.wait(129)
    assert balancer_state(elb, arn) == "provisioning"
    cloud.wait(1)
    assert balancer_state(elb, arn) == "active"


@pytest.mark.contract
def test_a_balancer_has_an_interface_per_zone(cloud: ContractCloud) -> None:
    """It has AWS's description, cannot be changed, and outlives the load balancer for a while."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    vpc, one = network(ec2)
    two = add_subnet(ec2, vpc, "10.0.1.0/24", "use1-az2")
    made = elb.create_load_balancer(Name="nlb", Type="network", Scheme="internal", Subnets=[one, two])
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    cloud.until(lambda: balancer_state(elb, arn), "active")
    found = interfaces_of(ec2, arn)
    assert {interface["SubnetId"] for interface in found} == {one, two}
    assert {interface["InterfaceType"] for interface in found} == {"network_load_balancer"}
    assert all(interface["RequesterManaged"] for interface in found)
    attached = found[0]["Attachment"]["AttachmentId"]
    assert attached.startswith("ela-attach-")
    assert code_of(ec2.detach_network_interface, AttachmentId=attached) == "OperationNotPermitted"
    elb.delete_load_balancer(LoadBalancerArn=arn)
    cloud.until(lambda: balancer_state(elb, arn), "LoadBalancerNotFound")
    assert code_of(ec2.delete_subnet, SubnetId=one) == "DependencyViolation"
    cloud.until(lambda: interfaces_of(ec2, arn), [])


@pytest.mark.contract
def test_creates_are_idempotent_by_name_and_settings(cloud: ContractCloud) -> None:
    """The same request gives the same resource; other settings under that name are a duplicate."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    balancer, group = make_balancer(elb, subnet), make_group(elb, vpc)
    listener = listen(elb, balancer, group)
    assert make_balancer(elb, subnet) == balancer
    assert make_group(elb, vpc) == group
    assert listen(elb, balancer, group) == listener
    other: dict[str, Any] = {"Name": "nlb", "Type": "network", "Scheme": "internal"}
    elsewhere = add_subnet(ec2, vpc, "10.0.1.0/24", "use1-az2")
    assert code_of(elb.create_load_balancer, **other, Subnets=[elsewhere]) == "DuplicateLoadBalancerName"
    changed: dict[str, Any] = {"Name": "web", "Protocol": "TCP", "VpcId": vpc, "Port": 81}
    assert code_of(elb.create_target_group, **changed) == "DuplicateTargetGroupName"
    forward = [{"Type": "forward", "TargetGroupArn": make_group(elb, vpc, "other")}]
    asked = {"LoadBalancerArn": balancer, "Protocol": "TCP", "Port": 80, "DefaultActions": forward}
    assert code_of(elb.create_listener, **asked) == "DuplicateListener"


@pytest.mark.contract
def test_a_target_group_serves_one_balancer(cloud: ContractCloud) -> None:
    """A second one is TargetGroupAssociationLimit; a listener that does not fit is IncompatibleProtocols."""
    elb = cloud.client("elbv2")
    vpc, subnet = network(cloud.client("ec2"))
    one, two = make_balancer(elb, subnet), make_balancer(elb, subnet, "two")
    group = make_group(elb, vpc)
    listen(elb, one, group)
    asked: dict[str, Any] = {"LoadBalancerArn": two, "Protocol": "TCP", "Port": 80}
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    assert code_of(elb.create_listener, **asked, DefaultActions=forward) == "TargetGroupAssociationLimit"
    made = elb.create_target_group(Name="udp", Protocol="UDP", Port=80, VpcId=vpc, TargetType="instance")
    forward = [{"Type": "forward", "TargetGroupArn": made["TargetGroups"][0]["TargetGroupArn"]}]
    assert code_of(elb.create_listener, **asked, DefaultActions=forward) == "IncompatibleProtocols"


@pytest.mark.contract
@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"Name": "internal-nlb"}, "ValidationError"),
        ({"Name": "-nlb"}, "ValidationError"),
        ({"Subnets": ["subnet-0123456789abcdef0"]}, "SubnetNotFound"),
        ({"SecurityGroups": ["sg-0123456789abcdef0"]}, "InvalidSecurityGroup"),
    ],
    ids=["internal", "hyphen", "subnet", "group"],
)
def test_what_a_balancer_cannot_be(cloud: ContractCloud, settings: dict[str, Any], code: str) -> None:
    """Reserved names, unknown subnets and unknown groups."""
    subnet = network(cloud.client("ec2"))[1]
    asked = {"Name": "nlb", "Type": "network", "Scheme": "internal", "Subnets": [subnet]} | settings
    assert code_of(cloud.client("elbv2").create_load_balancer, **asked) == code


@pytest.mark.contract
def test_a_balancer_takes_one_subnet_per_zone(cloud: ContractCloud) -> None:
    """Two in one zone are InvalidConfigurationRequest; a subnet of another zone can be added later."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    vpc, one = network(ec2)
    twin, other = add_subnet(ec2, vpc, "10.0.1.0/24"), add_subnet(ec2, vpc, "10.0.2.0/24", "use1-az2")
    asked = {"Name": "nlb", "Type": "network", "Scheme": "internal", "Subnets": [one, twin]}
    assert code_of(elb.create_load_balancer, **asked) == "InvalidConfigurationRequest"
    arn = active_balancer(cloud, one)
    zones = elb.set_subnets(LoadBalancerArn=arn, Subnets=[one, other])["AvailabilityZones"]
    assert {zone["SubnetId"] for zone in zones} == {one, other}
    cloud.until(lambda: len(interfaces_of(ec2, arn)), 2)


@pytest.mark.contract
def test_groups_of_a_balancer(cloud: ContractCloud) -> None:
    """A load balancer created without groups cannot get any; with groups it enforces them on PrivateLink by default."""
    ec2, elb = cloud.client("ec2"), cloud.client("elbv2")
    vpc, subnet = network(ec2)
    group = add_group(ec2, vpc)
    bare = active_balancer(cloud, subnet)
    call = elb.set_security_groups
    assert code_of(call, LoadBalancerArn=bare, SecurityGroups=[group]) == "InvalidConfigurationRequest"
    asked = {"Name": "guarded", "Type": "network", "Scheme": "internal", "Subnets": [subnet]}
    made = elb.create_load_balancer(**asked, SecurityGroups=[group])["LoadBalancers"][0]
    switch = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"
    assert made.get(switch, "on") == "on"
    guarded = made["LoadBalancerArn"]
    cloud.until(lambda: balancer_state(elb, guarded), "active")
    off: dict[str, Any] = {switch: "off"}
    assert call(LoadBalancerArn=guarded, SecurityGroups=[group], **off)[switch] == "off"
    described = elb.describe_load_balancers(LoadBalancerArns=[guarded])["LoadBalancers"][0]
    assert described[switch] == "off"
    assert code_of(ec2.delete_security_group, GroupId=group) == "DependencyViolation"


@pytest.mark.contract
def test_missing_names_are_named(cloud: ContractCloud) -> None:
    """One missing name fails the whole describe, also beside one that exists."""
    elb = cloud.client("elbv2")
    make_balancer(elb, network(cloud.client("ec2"))[1])
    assert code_of(elb.describe_load_balancers, Names=["nlb", "none"]) == "LoadBalancerNotFound"
    assert code_of(elb.describe_target_groups, Names=["none"]) == "TargetGroupNotFound"


def running(cloud: ContractCloud, subnet: str) -> str:
    """The id of a running instance."""
    instance = launch(cloud, subnet)
    cloud.until(lambda: instance_state(cloud, instance), "running")
    return instance


@pytest.mark.contract
def test_health_needs_a_listener(cloud: ContractCloud) -> None:
    """A target is unused while no listener forwards to its group, and initial after that."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    group = make_group(elb, vpc)
    target = {"TargetGroupArn": group, "Targets": [{"Id": running(cloud, subnet)}]}
    elb.register_targets(**target)
    elb.register_targets(**target)
    assert health(elb, group) == ("unused", "Target.NotInUse")
    listener = listen(elb, make_balancer(elb, subnet), group)
    cloud.until(lambda: health(elb, group)[0], "initial")
    elb.delete_listener(ListenerArn=listener)
    cloud.until(lambda: health(elb, group), ("unused", "Target.NotInUse"))


@pytest.mark.contract
def test_what_cannot_be_registered(cloud: ContractCloud) -> None:
    """An instance that is not running, is unknown, or is in another VPC is InvalidTarget."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    group = make_group(elb, vpc)

    def code(instance: str) -> str:
        return code_of(elb.register_targets, TargetGroupArn=group, Targets=[{"Id": instance}])

    assert code(launch(cloud, subnet)) == "InvalidTarget"
    good, bad = running(cloud, subnet), launch(cloud, subnet)
    both = [{"Id": good}, {"Id": bad}]
    assert code_of(elb.register_targets, TargetGroupArn=group, Targets=both) == "InvalidTarget"
    assert elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"] == []
    assert code("i-0123456789abcdef0") == "InvalidTarget"
    assert code(running(cloud, network(ec2, "10.8.0.0/16")[1])) == "InvalidTarget"


def test_health_waits_for_listener_balancer_and_checks(cloud: ContractCloud) -> None:
    """It is initial for a minute after all parts are ready, then healthy."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    instance, group = launch(cloud, subnet, SecurityGroupIds=[web_group(ec2, vpc)]), make_group(elb, vpc)
    cloud.wait(15)
    target = {"TargetGroupArn": group, "Targets": [{"Id": instance}]}
    elb.register_targets(**target)
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


def test_a_stopped_target_starts_over(cloud: ContractCloud) -> None:
    """Target.InvalidState while it is not running, and new checks after it runs again."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    instance, group = launch(cloud, subnet, SecurityGroupIds=[web_group(ec2, vpc)]), make_group(elb, vpc)
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
    cloud.wait(3600)
    assert health(elb, group) == ("unused", "Target.InvalidState")


def test_a_target_in_a_zone_without_the_balancer_is_unused(cloud: ContractCloud) -> None:
    """Target.NotInUse: its zone is not enabled on the balancer."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    instance = launch(cloud, add_subnet(ec2, vpc, "10.0.1.0/24", "use1-az2"))
    group = make_group(elb, vpc)
    listen(elb, make_balancer(elb, subnet), group)
    cloud.wait(15)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    cloud.wait(500)
    assert health(elb, group) == ("unused", "Target.NotInUse")


@pytest.mark.contract
def test_deregistering_twice_is_no_error(cloud: ContractCloud) -> None:
    """A target that is not registered counts as deregistered."""
    elb, ec2 = cloud.client("elbv2"), cloud.client("ec2")
    vpc, subnet = network(ec2)
    group = make_group(elb, vpc)
    target = {"TargetGroupArn": group, "Targets": [{"Id": running(cloud, subnet)}]}
    elb.register_targets(**target)
    elb.deregister_targets(**target)
    elb.deregister_targets(**target)

    def left() -> int:
        return len(elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"])

    cloud.until(left, 0)


@pytest.mark.contract
def test_a_service_holds_its_balancer(lab: ServiceLab) -> None:
    """ResourceInUse until the service is not found; deleting an unknown load balancer is no error."""
    elb = lab.cloud.client("elbv2")
    held = {"LoadBalancerArn": lab.balancer}
    assert code_of(elb.delete_load_balancer, **held) == "ResourceInUse"
    lab.delete_service()
    assert code_of(elb.delete_load_balancer, **held) == "ResourceInUse"
    lab.cloud.until(lambda: outcome(elb.delete_load_balancer, **held), "")
    lab.cloud.until(lambda: balancer_state(elb, lab.balancer), "LoadBalancerNotFound")
    elb.delete_load_balancer(**held)


@pytest.mark.contract
def test_a_listener_holds_its_target_group(cloud: ContractCloud) -> None:
    """ResourceInUse while a listener forwards to it, and for a moment after the balancer has gone."""
    elb = cloud.client("elbv2")
    vpc, subnet = network(cloud.client("ec2"))
    balancer, group = make_balancer(elb, subnet), make_group(elb, vpc)
    listen(elb, balancer, group)
    assert code_of(elb.delete_target_group, TargetGroupArn=group) == "ResourceInUse"
    elb.delete_load_balancer(LoadBalancerArn=balancer)
    assert outcome(elb.delete_target_group, TargetGroupArn=group) == "ResourceInUse"
    cloud.until(lambda: outcome(elb.delete_target_group, TargetGroupArn=group), "")


@pytest.mark.contract
def test_a_listener_changes_its_target_group(cloud: ContractCloud) -> None:
    """ModifyListener frees the old group and uses the new one; an unknown group is refused."""
    elb = cloud.client("elbv2")
    vpc, subnet = network(cloud.client("ec2"))
    balancer, old, new = make_balancer(elb, subnet), make_group(elb, vpc), make_group(elb, vpc, "new")
    listener = listen(elb, balancer, old)

    def forward(group: str) -> list[dict[str, str]]:
        return [{"Type": "forward", "TargetGroupArn": group}]

    missing = new.replace("/new/", "/none/")
    assert code_of(elb.modify_listener, ListenerArn=listener, DefaultActions=forward(missing)) == "TargetGroupNotFound"
    elb.modify_listener(ListenerArn=listener, DefaultActions=forward(new))
    (row,) = elb.describe_target_groups(Names=["new"])["TargetGroups"]
    assert row["LoadBalancerArns"] == [balancer]
    cloud.until(lambda: outcome(elb.delete_target_group, TargetGroupArn=old), "")


@pytest.mark.contract
def test_a_protected_balancer_stays(cloud: ContractCloud) -> None:
    """OperationNotPermitted while deletion protection is on."""
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, network(cloud.client("ec2"))[1])
    for value in ("true", "false"):
        attribute = {"Key": "deletion_protection.enabled", "Value": value}
        elb.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=[attribute])
        if value == "true":
            assert code_of(elb.delete_load_balancer, LoadBalancerArn=arn) == "OperationNotPermitted"
    elb.delete_load_balancer(LoadBalancerArn=arn)


@pytest.mark.contract(moto_too=True)
def test_attributes_tags_and_pages(cloud: ContractCloud) -> None:
    """Cross-zone can be set and read, tags are listed per ARN, and long lists come in pages."""
    elb = cloud.client("elbv2")
    subnet = network(cloud.client("ec2"))[1]
    arns = [make_balancer(elb, subnet, f"nlb-{number}") for number in range(3)]
    wanted = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    elb.modify_load_balancer_attributes(LoadBalancerArn=arns[0], Attributes=[wanted])
    found = elb.describe_load_balancer_attributes(LoadBalancerArn=arns[0])["Attributes"]
    assert wanted in found
    elb.add_tags(ResourceArns=arns[:1], Tags=[{"Key": "plab:lab", "Value": "x"}])
    described = elb.describe_tags(ResourceArns=arns)["TagDescriptions"]
    assert sorted(len(row["Tags"]) for row in described) == [0, 0, 1]
    pages = elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2})
    sizes = [len(page["LoadBalancers"]) for page in pages]
    assert max(sizes) <= 2
    assert sum(sizes) >= 3
