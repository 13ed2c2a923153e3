"""What the tests of the local AWS build in it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from privatelink_lab.local.server import LocalAws

AMI = "ami-0abcdef1234567890"
CONSUMER = "222233334444"


@dataclass
class Cloud:
    """The server, its clock, and clients that are closed at the end of the test."""

    aws: LocalAws
    seconds: list[float]
    stack: ExitStack = field(default_factory=ExitStack)
    clients: dict[tuple[str, ...], Any] = field(default_factory=dict)

    def wait(self, seconds: float) -> None:
        """Let so many seconds of AWS time pass."""
        self.seconds[0] += seconds

    def client(self, service: str, account: str = "", region: str = "us-east-1") -> Any:
        """A boto3 client of the server's account, or of another by AssumeRole; made once."""
        which = (service, account, region, self.aws.access_key_id)
        if which not in self.clients:
            self.clients[which] = self._connect(service, account, region)
        return self.clients[which]

    def _connect(self, service: str, account: str, region: str) -> Any:
        keys: dict[str, Any] = self.assume(account) if account else self.keys()
        config = Config(retries={"total_max_attempts": 1})
        session: Any = boto3  # its stubs want the service's name as a literal
        client = session.client(service, endpoint_url=self.aws.url, region_name=region, config=config, **keys)
        self.stack.callback(client.close)
        return client

    def keys(self) -> dict[str, str]:
        """The server's own keys, as boto3 names them."""
        return {
            "aws_access_key_id": self.aws.access_key_id,
            "aws_secret_access_key": self.aws.secret_access_key,
        }

    def assume(self, account: str, role: str = "lab") -> dict[str, str]:
        """Keys of a role in another account, from AssumeRole."""
        arn = f"arn:aws:iam::{account}:role/{role}"
        answer = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")
        given = answer["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }


@dataclass
class Lab:
    """A VPC with a subnet, and a balancer with a service that asks for acceptance."""

    cloud: Cloud
    vpc: str
    subnet: str
    balancer: str
    service: dict[str, Any]

    @property
    def ec2(self) -> Any:
        """The provider's EC2."""
        return self.cloud.client("ec2")

    def connect(self, ec2: Any = None, **more: Any) -> str:
        """The id of a new endpoint to the service, from the provider's own account by default."""
        ec2 = ec2 or self.ec2
        vpc, subnet = network(ec2, "10.1.0.0/16")
        answer = ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            VpcId=vpc,
            SubnetIds=[subnet],
            ServiceName=self.service["ServiceName"],
            **more,
        )
        return str(answer["VpcEndpoint"]["VpcEndpointId"])

    def state(self, endpoint: str) -> str:
        """The state of an endpoint as its consumer in the provider's account sees it."""
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
        answer = call(ServiceId=self.service["ServiceId"], VpcEndpointIds=list(endpoints))
        return {each["ResourceId"]: each["Error"]["Code"] for each in answer["Unsuccessful"]}


def network(ec2: Any, cidr: str) -> tuple[str, str]:
    """A VPC and its only subnet."""
    vpc = ec2.create_vpc(CidrBlock=cidr)["Vpc"]["VpcId"]
    made = ec2.create_subnet(VpcId=vpc, CidrBlock=cidr.replace("/16", "/24"), AvailabilityZone="us-east-1a")
    return vpc, made["Subnet"]["SubnetId"]


def make_balancer(elb: Any, subnet: str, name: str = "nlb") -> str:
    """The ARN of an internal network load balancer."""
    made = elb.create_load_balancer(Name=name, Type="network", Scheme="internal", Subnets=[subnet])
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


def code_of(call: Callable[..., Any], **parameters: Any) -> str:
    """AWS's error code of a call that must fail."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return str(caught.value.response["Error"]["Code"])
