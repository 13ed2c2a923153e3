"""The AWS resources that tests of the local AWS create, and how they read them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.contract_aws import ContractCloud

BLOCK = "10.0.0.0/16"


@dataclass
class ServiceLab:
    """A VPC with a subnet, and a load balancer with a service that requires acceptance."""

    cloud: Any
    vpc: str
    subnet: str
    balancer: str
    service: dict[str, Any]

    @property
    def ec2(self) -> Any:
        """The provider's EC2."""
        return self.cloud.client("ec2")

    @property
    def service_id(self) -> str:
        """The id of its service."""
        return str(self.service["ServiceId"])

    def allow(self, *principals: str) -> None:
        """Let these principals find the service."""
        self.ec2.modify_vpc_endpoint_service_permissions(
            ServiceId=self.service_id, AddAllowedPrincipals=list(principals)
        )

    def admit(self) -> Any:
        """Let the other account find the service; its EC2."""
        self.allow(f"arn:aws:iam::{self.cloud.consumer}:root")
        return self.cloud.client("ec2", self.cloud.consumer)

    def request(self, ec2: Any = None, **more: Any) -> dict[str, Any]:
        """The parameters of CreateVpcEndpoint for an endpoint in a new VPC, by default in the provider's account."""
        vpc, subnet = network(ec2 or self.ec2, "10.1.0.0/16")
        given = {"VpcId": vpc, "SubnetIds": [subnet], "ServiceName": self.service["ServiceName"]}
        return {"VpcEndpointType": "Interface", **given, **more}

    def connect(self, ec2: Any = None, **more: Any) -> str:
        """The id of a new endpoint to the service that its provider can see."""
        ec2 = ec2 or self.ec2
        endpoint = create_endpoint(self.cloud, ec2, **self.request(ec2, **more))["VpcEndpointId"]
        self.cloud.until(lambda: endpoint in {row["VpcEndpointId"] for row in self.rows()}, True)
        return str(endpoint)

    def state(self, endpoint: str) -> str:
        """The state of an endpoint as its consumer in the provider's account sees it; "" when it is not found."""
        if outcome(self.ec2.describe_vpc_endpoints, VpcEndpointIds=[endpoint]) == "InvalidVpcEndpointId.NotFound":
            return ""
        answer = self.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])
        return str(answer["VpcEndpoints"][0]["State"])

    def rows(self, **filters: str) -> list[dict[str, Any]]:
        """The provider's view of its connections."""
        asked = [{"Name": name.replace("_", "-"), "Values": [v]} for name, v in filters.items()]
        answer = self.ec2.describe_vpc_endpoint_connections(Filters=asked)
        return list(answer["VpcEndpointConnections"])

    def decide(self, verb: str, *endpoints: str) -> dict[str, str]:
        """Endpoint id -> error code of what could not be accepted or rejected."""
        call = getattr(self.ec2, f"{verb}_vpc_endpoint_connections")
        answer = call(ServiceId=self.service_id, VpcEndpointIds=list(endpoints))
        return {row["ResourceId"]: row["Error"]["Code"] for row in answer["Unsuccessful"]}

    def delete_service(self) -> list[str]:
        """The error codes of its deletion."""
        answer = self.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[self.service_id])
        return [row["Error"]["Code"] for row in answer["Unsuccessful"]]


def network(ec2: Any, cidr: str = BLOCK, zone: str = "use1-az1") -> tuple[str, str]:
    """A VPC and its only subnet."""
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    return vpc, add_subnet(ec2, vpc, cidr.replace("/16", "/24"), zone)


def add_subnet(ec2: Any, vpc: str, cidr: str, zone: str = "use1-az1") -> str:
    """The id of a new subnet."""
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZoneId=zone)
    return str(made["Subnet"]["SubnetId"])


def add_group(ec2: Any, vpc: str, name: str = "web") -> str:
    """The id of a new security group."""
    return str(ec2.create_security_group(GroupName=name, Description="test", VpcId=vpc)["GroupId"])


def web_group(ec2: Any, vpc: str) -> str:
    """The id of a new security group that lets 10.0.0.0/8 in to port 80."""
    group = add_group(ec2, vpc)
    ranges = [{"CidrIp": "10.0.0.0/8"}]
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": ranges}
    ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule])
    return group


def make_balancer(elb: Any, subnet: str, name: str = "nlb") -> str:
    """The ARN of an internal network load balancer, which is provisioning."""
    made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[subnet])
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def active_balancer(cloud: ContractCloud, subnet: str, name: str = "nlb") -> str:
    """The ARN of an internal network load balancer that is active."""
    elb = cloud.client("elbv2")
    arn = make_balancer(elb, subnet, name)

    def state() -> str:
        return str(elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]["State"]["Code"])

    cloud.until(state, "active")
    return arn


def make_group(elb: Any, vpc: str, name: str = "web", **more: Any) -> str:
    """The ARN of a TCP target group."""
    answer = elb.create_target_group(Name=name, Protocol="TCP", Port=80, VpcId=vpc, TargetType="instance", **more)
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


def launch(cloud: ContractCloud, subnet: str, **more: Any) -> str:
    """The id of a new instance."""
    asked = {"InstanceType": "t3.micro", "SubnetId": subnet, "MinCount": 1, "MaxCount": 1} | more
    answer = cloud.client("ec2").run_instances(ImageId=cloud.ami, **asked)
    assert answer["Instances"][0]["State"]["Name"] == "pending"
    return str(answer["Instances"][0]["InstanceId"])


def serve(lab: ServiceLab, **more: Any) -> tuple[str, str]:
    """A web server behind the lab's balancer, registered and in service; its id and its target group."""
    elb = lab.cloud.client("elbv2")
    group = make_group(elb, lab.vpc, **more)
    listen(elb, lab.balancer, group)
    instance = launch(lab.cloud, lab.subnet, SecurityGroupIds=[web_group(lab.ec2, lab.vpc)])
    lab.cloud.wait(15)
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": instance}])
    lab.cloud.wait(60)
    return instance, group


def instance_state(cloud: ContractCloud, instance: str) -> str:
    """The state of an instance."""
    answer = cloud.client("ec2").describe_instances(InstanceIds=[instance])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def create_endpoint(cloud: ContractCloud, ec2: Any, **request: Any) -> dict[str, Any]:
    """A new endpoint; the create is repeated while the service is not ready."""
    made: list[dict[str, Any]] = []

    def create() -> str:
        try:
            made.append(ec2.create_vpc_endpoint(**request)["VpcEndpoint"])
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "made"

    if cloud.until(create, "made", *_FINAL) != "made":
        ec2.create_vpc_endpoint(**request)  # raises again
    return made[0]


_FINAL = ("InvalidParameter", "InvalidServiceName", "DuplicateSubnetsInSameZone", "InvalidGroup.NotFound")


def outcome(call: Callable[..., Any], **parameters: Any) -> str:
    """AWS's error code of a call; "" when it succeeds."""
    try:
        call(**parameters)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """AWS's error code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])


def health(elb: Any, group: str) -> tuple[str, str | None]:
    """State and reason of a group's only target."""
    answer = elb.describe_target_health(TargetGroupArn=group)
    found = answer["TargetHealthDescriptions"][0]["TargetHealth"]
    return found["State"], found.get("Reason")


def balancer_state(elb: Any, arn: str) -> str:
    """The state of a load balancer, or the error code of the describe."""
    code = outcome(elb.describe_load_balancers, LoadBalancerArns=[arn])
    if code:
        return code
    answer = elb.describe_load_balancers(LoadBalancerArns=[arn])
    return str(answer["LoadBalancers"][0]["State"]["Code"])
