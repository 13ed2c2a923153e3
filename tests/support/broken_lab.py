"""Whole labs, and hands that break them: each function breaks one thing, as a person would."""

from __future__ import annotations

import json
import shlex
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from privatelink_lab.aws import Account
from privatelink_lab.lab import Lab
from support import aws_cli
from support.cloud import Cloud
from support.command_line import Ran, Run

EVERYTHING: Any = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]


class Hand(ABC):
    """A person with the keys of a lab, whose resources are known by their keys."""

    cloud: Cloud

    @abstractmethod
    def id(self, key: str) -> str:
        """The id of a key."""

    @property
    def account(self) -> Account:
        """The account of both sides."""
        return self.cloud.account()

    @property
    def ec2(self) -> Any:
        """EC2 of that account."""
        return self.account.ec2

    @property
    def customer(self) -> Any:
        """EC2 of acme's account."""
        return self.ec2

    @property
    def elbv2(self) -> Any:
        """ELBv2 of that account."""
        return self.account.elbv2

    @property
    def listener(self) -> str:
        """The ARN of the listener."""
        return self.id("provider/nlb/listener")

    @property
    def service(self) -> str:
        """The id of the endpoint service."""
        return self.id("provider/endpoint-service")

    @property
    def endpoint(self) -> str:
        """The id of acme's endpoint."""
        return self.id("acme/endpoint")


@dataclass
class BuiltLab(Hand):
    """A lab in this process."""

    cloud: Cloud
    lab: Lab

    def id(self, key: str) -> str:
        """The id of a key, by the state."""
        return self.lab.state.ids[key]

    @property
    def customer(self) -> Any:
        """EC2 of acme's account."""
        return self.lab.account("acme").ec2


@dataclass
class BrokenLab(Hand):
    """A lab `test` on the command line with one consumer, acme, and what a test does to it."""

    cloud: Cloud
    run: Run
    folder: Path

    def id(self, key: str) -> str:
        """The id of a key, by the state."""
        state = json.loads((self.folder / ".plab" / "test.json").read_text())
        return str(state["ids"][key])

    def up(self, *words: str) -> Ran:
        """`plab up`, a minute later."""
        self.cloud.let_new_ids_propagate()
        return self.run("up", "-q", *words)

    def change_config(self, old: str, new: str) -> None:
        """Write another plab.yaml."""
        file = self.folder / "plab.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def why(self, *words: str) -> list[dict[str, Any]]:
        """What `plab why --json` says of each path."""
        self.cloud.let_new_ids_propagate()
        ran = self.run("why", *words, "--json")
        found: list[dict[str, Any]] = ran.json[-1]["paths"]
        return found

    def type(self, line: str) -> None:
        """Type a printed line: commands of plab and of the AWS CLI, as they stand."""
        self.cloud.let_new_ids_propagate()
        for command in line.split(" && "):
            if command.startswith("plab "):
                asks = ("-y",) if any(word in command for word in ("--replace", "accept", "reject")) else ()
                ran = self.run(*shlex.split(command)[1:], *asks)
                assert ran.code == 0, f"{command}: {ran.err}"
            else:
                aws_cli.type_in(self.account, command)
        self.cloud.let_new_ids_propagate()


Break = Callable[[Hand], object]


def revoke(lab: Hand, key: str) -> None:
    """Take a group's ingress rules away."""
    group, ec2 = lab.id(key), lab.customer if key.startswith("acme/") else lab.ec2
    if rules := ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]:
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)


def admit_one_client(lab: Hand) -> None:
    """Let the endpoint's group admit one address alone."""
    revoke(lab, "acme/security-group")
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.1.200.7/32"}]}
    lab.customer.authorize_security_group_ingress(GroupId=lab.id("acme/security-group"), IpPermissions=[rule])


def admit_one_node(lab: Hand) -> None:
    """Let the server's group admit the balancer's node in the first zone alone."""
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": "10.0.1.0/24"}]}
    lab.ec2.revoke_security_group_ingress(GroupId=lab.id("provider/security-group"), IpPermissions=[rule])


def resolve_nothing(lab: Hand) -> None:
    """Switch AWS's resolver off in the consumer's VPC."""
    lab.customer.modify_vpc_attribute(VpcId=lab.id("acme/vpc"), EnableDnsSupport={"Value": False})


def other_group(lab: Hand, vpc: str) -> str:
    """A new group in a VPC, without rules."""
    ec2 = lab.customer if vpc == lab.id("acme/vpc") else lab.ec2
    made = ec2.create_security_group(GroupName="empty", Description="empty", VpcId=vpc)
    lab.cloud.let_new_ids_propagate()
    return str(made["GroupId"])


def swap_endpoint_group(lab: Hand) -> None:
    """Give the endpoint another group."""
    group = other_group(lab, lab.id("acme/vpc"))
    old = lab.id("acme/security-group")
    change = {"AddSecurityGroupIds": [group], "RemoveSecurityGroupIds": [old]}
    lab.customer.modify_vpc_endpoint(VpcEndpointId=lab.endpoint, **change)


def swap_server_group(lab: Hand) -> None:
    """Give the web server another group."""
    group = other_group(lab, lab.id("provider/vpc"))
    lab.ec2.modify_instance_attribute(InstanceId=lab.id("provider/web-server"), Groups=[group])


def deregister(lab: Hand) -> None:
    """Take the web server out of its target group."""
    server = [{"Id": lab.id("provider/web-server")}]
    lab.elbv2.deregister_targets(TargetGroupArn=lab.id("provider/target-group"), Targets=server)


def register_on_81(lab: Hand) -> None:
    """Register the web server on another port."""
    group, server = lab.id("provider/target-group"), lab.id("provider/web-server")
    lab.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": server}])
    lab.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": server, "Port": 81}])


def forward_elsewhere(lab: Hand) -> None:
    """Let the listener forward to a new group without targets."""
    vpc = lab.id("provider/vpc")
    made = lab.elbv2.create_target_group(Name="by-hand", Protocol="TCP", Port=80, VpcId=vpc)["TargetGroups"][0]
    lab.cloud.let_new_ids_propagate()
    action = [{"Type": "forward", "TargetGroupArn": made["TargetGroupArn"]}]
    lab.elbv2.modify_listener(ListenerArn=lab.listener, DefaultActions=action)


def listen_on_81(lab: Hand) -> None:
    """Move the listener to another port."""
    lab.elbv2.modify_listener(ListenerArn=lab.listener, Port=81)


def check_http(lab: Hand) -> None:
    """Let the health check ask for a port where nobody listens."""
    group = lab.id("provider/target-group")
    lab.elbv2.modify_target_group(TargetGroupArn=group, HealthCheckPort="81")


def reject(lab: Hand) -> None:
    """Reject acme's endpoint."""
    lab.ec2.reject_vpc_endpoint_connections(ServiceId=lab.service, VpcEndpointIds=[lab.endpoint])


def stop_crossing_zones(lab: Hand) -> None:
    """Let the balancer keep to its zones."""
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": "false"}
    lab.elbv2.modify_load_balancer_attributes(LoadBalancerArn=lab.id("provider/nlb"), Attributes=[attribute])


def leave_a_zone(lab: Hand, subnet: str = "acme/subnet-2") -> None:
    """Take the endpoint out of one of its subnets."""
    lab.customer.modify_vpc_endpoint(VpcEndpointId=lab.endpoint, RemoveSubnetIds=[lab.id(subnet)])


def ask_twice(lab: Hand) -> None:
    """A second endpoint to the service in acme's VPC."""
    row = lab.ec2.describe_vpc_endpoints(VpcEndpointIds=[lab.endpoint])["VpcEndpoints"][0]
    lab.ec2.create_vpc_endpoint(
        VpcEndpointType="Interface",
        VpcId=row["VpcId"],
        ServiceName=row["ServiceName"],
        SubnetIds=row["SubnetIds"],
        PrivateDnsEnabled=False,
    )


def delete_service(lab: Hand) -> None:
    """Reject acme and delete the service."""
    reject(lab)
    lab.cloud.let_new_ids_propagate()
    lab.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[lab.service])


def replace_service(lab: Hand) -> None:
    """Another service takes the place of the first one: acme's endpoint asks the one that is gone."""
    row = lab.ec2.describe_vpc_endpoint_service_configurations(ServiceIds=[lab.service])["ServiceConfigurations"][0]
    delete_service(lab)
    lab.ec2.create_vpc_endpoint_service_configuration(
        NetworkLoadBalancerArns=row["NetworkLoadBalancerArns"],
        AcceptanceRequired=True,
        TagSpecifications=[{"ResourceType": "vpc-endpoint-service", "Tags": row["Tags"]}],
    )


def forbid(lab: Hand, account: str = "222222222222") -> None:
    """Take an account's permission away."""
    principal = f"arn:aws:iam::{account}:root"
    lab.ec2.modify_vpc_endpoint_service_permissions(ServiceId=lab.service, RemoveAllowedPrincipals=[principal])


def forbid_and_delete(lab: Hand) -> None:
    """Take acme's permission away, and delete its endpoint."""
    forbid(lab)
    lab.cloud.account("arn:aws:iam::222222222222:role/acme").ec2.delete_vpc_endpoints(VpcEndpointIds=[lab.endpoint])


def register_in_another_zone(lab: Hand) -> None:
    """Register an instance in a zone that the balancer does not have, in place of the web server."""
    vpc = lab.id("provider/vpc")
    made = lab.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.9.0/24", AvailabilityZoneId="use1-az6")["Subnet"]
    lab.cloud.let_new_ids_propagate()
    row = lab.ec2.describe_instances(InstanceIds=[lab.id("provider/web-server")])["Reservations"][0]["Instances"][0]
    launched = lab.ec2.run_instances(
        ImageId=row["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        SubnetId=made["SubnetId"],
        SecurityGroupIds=[lab.id("provider/security-group")],
    )
    lab.cloud.let_new_ids_propagate()
    group = lab.id("provider/target-group")
    lab.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": launched["Instances"][0]["InstanceId"]}])
    lab.ec2.authorize_security_group_ingress(
        GroupId=lab.id("provider/security-group"), IpProtocol="tcp", FromPort=80, ToPort=80, CidrIp="10.0.9.0/24"
    )


def stop_requiring(lab: Hand) -> None:
    """The service accepts by itself from now on; who asked before still waits."""
    lab.ec2.modify_vpc_endpoint_service_configuration(ServiceId=lab.service, AcceptanceRequired=False)


def allow_a_role(lab: Hand, account: str = "333333333333") -> None:
    """The service allows one role of an account."""
    role = f"arn:aws:iam::{account}:role/ci"
    lab.ec2.modify_vpc_endpoint_service_permissions(ServiceId=lab.service, AddAllowedPrincipals=[role])


def another_vpc(lab: Hand, *zones: str) -> str:
    """A VPC of acme's own with a subnet in each of these zones, as the config names it."""
    vpc = lab.ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
    lab.cloud.let_new_ids_propagate()
    ids = []
    for number, zone in enumerate(zones):
        made = lab.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.5.{number}.0/24", AvailabilityZoneId=zone)
        ids.append(made["Subnet"]["SubnetId"])
    lab.cloud.let_new_ids_propagate()
    return f"consumers: [{{name: acme, vpc: {{id: {vpc}, subnet_ids: [{', '.join(ids)}]}}}}]"
