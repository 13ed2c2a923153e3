"""Another person's resource keeps AWS from deleting one of ours: `down` says within a minute what it is, and ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud, id_of

from privatelink_lab.engine import Built
from privatelink_lab.errors import AwsError

Guest = Callable[[Cloud, Built], str]  # puts something there, and returns its id
MOST = 300  # seconds of AWS's time from the start of `down` to its end


def group(cloud: Cloud, built: Built) -> str:
    """Another person's security group in the provider's VPC."""
    vpc = id_of(built, "provider/vpc")
    made = cloud.account().ec2.create_security_group(GroupName="GuardDuty-managed", Description="x", VpcId=vpc)
    return str(made["GroupId"])


def interface(cloud: Cloud, built: Built) -> str:
    """Another person's network interface in the provider's subnet."""
    subnet = id_of(built, "provider/subnet-1")
    made = cloud.account().ec2.create_network_interface(SubnetId=subnet, Description="of bob")
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def instance(cloud: Cloud, built: Built) -> str:
    """Another person's instance in the consumer's subnet."""
    images = cloud.account().ec2.describe_images(Owners=["amazon"])["Images"]
    subnet = id_of(built, "acme/subnet-1")
    image = str(images[0]["ImageId"])
    made = cloud.account().ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)
    return str(made["Instances"][0]["InstanceId"])


def gateway(cloud: Cloud, built: Built) -> str:
    """Another person's internet gateway at the consumer's VPC."""
    made = cloud.account().ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    cloud.clock.sleep(60)
    cloud.account().ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=id_of(built, "acme/vpc"))
    return str(made)


def rule(cloud: Cloud, built: Built) -> str:
    """A rule of another person's group that names the consumer's group."""
    vpc, ours = id_of(built, "acme/vpc"), id_of(built, "acme/security-group")
    made = cloud.account().ec2.create_security_group(GroupName="theirs", Description="x", VpcId=vpc)["GroupId"]
    cloud.clock.sleep(60)
    permission: Any = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": ours}]}
    cloud.account().ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[permission])
    return str(made)


GUESTS: dict[Guest, tuple[str, str]] = {  # what is there -> the key that it holds, and the command that ends it
    group: ("provider/vpc", "aws ec2 delete-security-group --group-id {}"),
    interface: ("provider/subnet-1", "aws ec2 delete-network-interface --network-interface-id {}"),
    instance: ("acme/subnet-1", "aws ec2 terminate-instances --instance-ids {}"),
    gateway: ("acme/vpc", "aws ec2 detach-internet-gateway --internet-gateway-id {}"),
    rule: ("acme/security-group", "aws ec2 describe-security-groups --group-ids {}"),
}


@pytest.mark.parametrize("guest", GUESTS, ids=lambda guest: guest.__name__)
def test_down_names_what_holds_it_and_ends(slow_cloud: Cloud, guest: Guest) -> None:
    """`down` deletes all else, names the other person's resource with a command, and ends with 3 within minutes."""
    lab = slow_cloud.lab()
    built = slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    id_ = guest(slow_cloud, built)
    slow_cloud.clock.sleep(120)
    began = slow_cloud.clock.now()
    removed = slow_cloud.down(lab)
    key, command = GUESTS[guest]
    assert removed.exit_code == 3
    error = removed.left[key]
    assert isinstance(error, AwsError)
    assert (error.code, id_ in str(error)) == ("DependencyViolation", True)
    assert command.format(id_) in error.hint
    assert slow_cloud.clock.now() - began < MOST
    assert not {"provider/nlb", "provider/endpoint-service", "acme/endpoint", "provider/web-server"} & set(removed.left)


def test_what_leaves_by_itself_is_waited_for(slow_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The interfaces of the lab's own balancer and endpoint stay for a while: nobody is told to delete them."""
    lab = slow_cloud.lab()
    slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    assert slow_cloud.down(lab).exit_code == 0


def test_what_aws_does_not_show_is_said(slow_cloud: Cloud) -> None:
    """Without the right to describe interfaces, `down` still names the group that holds the VPC."""
    lab = slow_cloud.lab()
    built = slow_cloud.up(lab)
    slow_cloud.clock.sleep(60)
    id_ = group(slow_cloud, built)
    slow_cloud.clock.sleep(60)
    slow_cloud.fail("DescribeInternetGateways", 403, "UnauthorizedOperation")
    removed = slow_cloud.down(lab)
    error = str(removed.left["provider/vpc"])
    assert id_ in error
    assert "what AWS does not show (DescribeInternetGateways: UnauthorizedOperation)" in error
