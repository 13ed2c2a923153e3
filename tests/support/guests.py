"""Other people's resources in the VPCs of a lab: each is put into the VPC of one party, and can be removed again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from privatelink_lab.aws import Account

Guest = Callable[["Place"], str]  # puts something there, and returns its id


class Place:
    """The VPC of one party of a lab, in its account; `wait` lets new ids become known everywhere."""

    def __init__(self, account: Account, party: str, ids: dict[str, str], wait: Callable[[], None]) -> None:
        self.account, self.ec2, self.wait, self.party = account, account.ec2, wait, party
        self.vpc, self.subnet = ids[f"{party}/vpc"], ids[f"{party}/subnet-1"]
        self.group = ids[f"{party}/security-group"]

    def rows(self, operation: str, rows: str, name: str, value: str) -> list[Any]:
        """What a describe shows under one filter."""
        return self.account.pages("ec2", operation, rows, Filters=[{"Name": name, "Values": [value]}])

    def is_whole(self) -> bool:
        """Whether VPC, subnet and group are all still there."""
        return all(
            (
                self.rows("describe_vpcs", "Vpcs", "vpc-id", self.vpc),
                self.rows("describe_subnets", "Subnets", "subnet-id", self.subnet),
                self.rows("describe_security_groups", "SecurityGroups", "group-id", self.group),
            )
        )


def group(place: Place) -> str:
    """A security group in the VPC."""
    made = place.ec2.create_security_group(GroupName="GuardDuty-managed", Description="x", VpcId=place.vpc)
    return str(made["GroupId"])


def subnet(place: Place) -> str:
    """A subnet in the VPC."""
    block = place.rows("describe_vpcs", "Vpcs", "vpc-id", place.vpc)[0]["CidrBlock"]
    base = block.rsplit(".", 2)[0]
    return str(place.ec2.create_subnet(VpcId=place.vpc, CidrBlock=f"{base}.200.0/24")["Subnet"]["SubnetId"])


def interface(place: Place) -> str:
    """A network interface in the subnet."""
    made = place.ec2.create_network_interface(SubnetId=place.subnet, Description="of bob")
    return str(made["NetworkInterface"]["NetworkInterfaceId"])


def instance(place: Place) -> str:
    """An instance in the subnet."""
    image = str(place.ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"])
    made = place.ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=place.subnet)
    return str(made["Instances"][0]["InstanceId"])


def gateway(place: Place) -> str:
    """An internet gateway at the VPC."""
    made = str(place.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])
    place.wait()
    place.ec2.attach_internet_gateway(InternetGatewayId=made, VpcId=place.vpc)
    return made


def rule(place: Place) -> str:
    """A security group whose rule names the lab's own."""
    request: Any = {"GroupName": "theirs", "Description": "x", "VpcId": place.vpc}
    made = place.ec2.create_security_group(**request)["GroupId"]
    place.wait()
    permission: Any = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": 2, "UserIdGroupPairs": [{"GroupId": place.group}]}
    place.ec2.authorize_security_group_ingress(GroupId=made, IpPermissions=[permission])
    return str(made)


def remove(place: Place, id_: str) -> None:
    """The other person takes it away."""
    ec2 = place.ec2
    if id_.startswith("igw-"):
        ec2.detach_internet_gateway(InternetGatewayId=id_, VpcId=place.vpc)
        ec2.delete_internet_gateway(InternetGatewayId=id_)
    elif id_.startswith("i-"):
        ec2.terminate_instances(InstanceIds=[id_])
    elif id_.startswith("eni-"):
        ec2.delete_network_interface(NetworkInterfaceId=id_)
    elif id_.startswith("subnet-"):
        ec2.delete_subnet(SubnetId=id_)
    else:
        ec2.delete_security_group(GroupId=id_)


GUESTS: dict[Guest, tuple[str, str]] = {  # what is there -> what of the lab it holds, and the command that ends it
    group: ("vpc", "aws ec2 delete-security-group --group-id {}"),
    subnet: ("vpc", "aws ec2 delete-subnet --subnet-id {}"),
    interface: ("subnet-1", "aws ec2 delete-network-interface --network-interface-id {}"),
    instance: ("subnet-1", "aws ec2 terminate-instances --instance-ids {}"),
    gateway: ("vpc", "aws ec2 detach-internet-gateway --internet-gateway-id {}"),
    rule: ("security-group", "aws ec2 describe-security-groups --group-ids {}"),
}
