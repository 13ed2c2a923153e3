"""Terraform's AWS provider on the local AWS: the responses that it reads, and the whole lab (with --terraform)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.aws_resources import ServiceLab, network
from support.contract_aws import CONSUMER, ContractCloud, LocalCloud
from support.inventory import InventoriedAws
from support.terraform import Terraform, prepare

from privatelink_lab.local.api.clock import AwsClock

CONFIGURATION = Path(__file__).parent / "terraform" / "main.tf"
SPEED = 200


@pytest.fixture
def fast_cloud() -> Iterator[LocalCloud]:
    """A local AWS that is fast enough for Terraform's timeouts."""
    with InventoriedAws(AwsClock(SPEED)) as aws, LocalCloud(aws=aws) as cloud:
        yield cloud


@pytest.fixture
def terraform(request: pytest.FixtureRequest, fast_cloud: LocalCloud, tmp_path: Path) -> Terraform:
    """Terraform with the lab's configuration."""
    shutil.copy(CONFIGURATION, tmp_path)
    return prepare(request, fast_cloud.aws, tmp_path)


def test_terraform_builds_and_removes_the_lab(terraform: Terraform, fast_cloud: LocalCloud) -> None:
    """It applies, finds nothing to change after that, and destroys everything."""
    before = fast_cloud.aws.inventory()
    terraform.do("apply", "-auto-approve", seconds=600)
    terraform.do("plan", "-detailed-exitcode", seconds=120)
    rows = fast_cloud.client("ec2").describe_vpc_endpoint_connections()["VpcEndpointConnections"]
    connections = sorted((row["VpcEndpointOwner"], row["VpcEndpointState"]) for row in rows)
    assert connections == [("123456789012", "available"), ("210987654321", "available")]
    terraform.do("destroy", "-auto-approve", seconds=600)
    assert fast_cloud.aws.inventory() == before


def test_a_permission_has_an_id(lab: ServiceLab) -> None:
    """Adding a principal answers with the id of its permission, and describing it finds the same."""
    arns = {f"arn:aws:iam::{CONSUMER}:root": "Account", f"arn:aws:iam::{CONSUMER}:role/lab": "Role", "*": "All"}
    asked = {"ServiceId": lab.service["ServiceId"]}
    added = lab.ec2.modify_vpc_endpoint_service_permissions(**asked, AddAllowedPrincipals=list(arns))
    rows = added["AddedPrincipals"]
    assert {row["Principal"]: row["PrincipalType"] for row in rows} == arns
    assert len({row["ServicePermissionId"] for row in rows}) == len(arns)
    shown = [row | {"Tags": []} for row in rows]
    assert lab.ec2.describe_vpc_endpoint_service_permissions(**asked)["AllowedPrincipals"] == shown
    accounts = [{"Name": "principal-type", "Values": ["Account"]}]
    assert (
        lab.ec2.describe_vpc_endpoint_service_permissions(**asked, Filters=accounts)["AllowedPrincipals"] == shown[:1]
    )


def test_a_private_instance_has_no_public_address(cloud: ContractCloud) -> None:
    """It has no association, not even an empty one; its volume has the image's root device name."""
    ec2 = cloud.client("ec2")
    _, subnet = network(ec2, "10.0.0.0/16")
    other = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["x86_64"]}])["Images"][0]["ImageId"]
    for ami in (cloud.ami, other):
        made = ec2.run_instances(ImageId=ami, InstanceType="t3.micro", SubnetId=subnet, MinCount=1, MaxCount=1)
        found = ec2.describe_instances(InstanceIds=[made["Instances"][0]["InstanceId"]])["Reservations"][0][
            "Instances"
        ][0]
        assert "Association" not in found["NetworkInterfaces"][0]
        assert [mapping["DeviceName"] for mapping in found["BlockDeviceMappings"]] == [found["RootDeviceName"]]


def test_an_instance_has_the_groups_of_its_interface(cloud: ContractCloud) -> None:
    """The groups are given and changed with the instance or the interface; the default is the VPC's default group."""
    ec2 = cloud.client("ec2")
    vpc, subnet = network(ec2, "10.0.0.0/16")
    first, second = (
        ec2.create_security_group(GroupName=name, Description="d", VpcId=vpc)["GroupId"] for name in ("a", "b")
    )
    interface = {"DeviceIndex": 0, "SubnetId": subnet, "Groups": [first], "AssociatePublicIpAddress": False}

    def run(**more: Any) -> str:
        made = ec2.run_instances(ImageId=cloud.ami, InstanceType="t3.micro", MinCount=1, MaxCount=1, **more)[
            "Instances"
        ][0]
        return str(made["InstanceId"])

    def groups(instance: str) -> list[list[str]]:
        row = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        nic = ec2.describe_network_interfaces(NetworkInterfaceIds=[row["NetworkInterfaces"][0]["NetworkInterfaceId"]])
        return [
            [group["GroupName"] for group in rows]
            for rows in (row["SecurityGroups"], nic["NetworkInterfaces"][0]["Groups"])
        ]

    assert groups(run(SubnetId=subnet)) == [["default"], ["default"]]
    assert groups(run(SubnetId=subnet, SecurityGroupIds=[first])) == [["a"], ["a"]]
    instance = run(NetworkInterfaces=[interface])
    assert groups(instance) == [["a"], ["a"]]
    ec2.modify_instance_attribute(InstanceId=instance, Groups=[second])
    assert groups(instance) == [["b"], ["b"]]


def test_an_interface_of_a_launch_goes_with_its_instance(cloud: ContractCloud) -> None:
    """An interface that the launch made is deleted; one that existed before, or is to stay, is not."""
    ec2 = cloud.client("ec2")
    _, subnet = network(ec2, "10.0.0.0/16")
    own = ec2.create_network_interface(SubnetId=subnet)["NetworkInterface"]["NetworkInterfaceId"]
    kept = {"DeviceIndex": 1, "SubnetId": subnet, "DeleteOnTermination": False}
    for interfaces in (
        [{"DeviceIndex": 0, "SubnetId": subnet, "AssociatePublicIpAddress": False}, kept],
        [{"DeviceIndex": 0, "NetworkInterfaceId": own}],
    ):
        made = ec2.run_instances(
            ImageId=cloud.ami, InstanceType="t3.micro", MinCount=1, MaxCount=1, NetworkInterfaces=interfaces
        )
        ec2.terminate_instances(InstanceIds=[made["Instances"][0]["InstanceId"]])
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 3
    cloud.wait(30)
    left = [interface["NetworkInterfaceId"] for interface in ec2.describe_network_interfaces()["NetworkInterfaces"]]
    assert own in left
    assert len(left) == 2


def test_groups_of_a_balancer_may_ignore_privatelink(lab: ServiceLab) -> None:
    """`on` with groups, `off` when set so, and nothing without groups."""
    elb = lab.cloud.client("elbv2")
    group = lab.ec2.create_security_group(GroupName="nlb", Description="d", VpcId=lab.vpc)["GroupId"]
    settings = {"Name": "grouped", "Type": "network", "Scheme": "internal", "Subnets": [lab.subnet]}
    arn = elb.create_load_balancer(**settings, SecurityGroups=[group])["LoadBalancers"][0]["LoadBalancerArn"]
    field = "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic"

    def word(balancer: str) -> str | None:
        rows = elb.describe_load_balancers(LoadBalancerArns=[balancer])["LoadBalancers"]
        found: str | None = rows[0].get(field)
        return found

    assert (word(arn), word(lab.balancer)) == ("on", None)
    answer = elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=[group], **{field: "off"})
    assert (answer["SecurityGroupIds"], answer[field], word(arn)) == ([group], "off", "off")


def test_a_tcp_listener_has_no_tls_policy(lab: ServiceLab) -> None:
    """Only a TLS listener has one."""
    elb = lab.cloud.client("elbv2")
    group = elb.create_target_group(Name="t", Protocol="TCP", Port=80, VpcId=lab.vpc)["TargetGroups"][0]
    action = {"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}
    made = elb.create_listener(LoadBalancerArn=lab.balancer, Protocol="TCP", Port=80, DefaultActions=[action])
    assert "SslPolicy" not in made["Listeners"][0]
