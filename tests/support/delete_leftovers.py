"""Deletes the resources that contract tests have created on the real AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from privatelink_lab.clock import Clock, RealClock

PROPAGATION_TIME = 5.0  # seconds until every call knows a new id
PATIENCE = 1200.0  # seconds for everything to go
Undo = Callable[[Any, dict[str, Any]], Any]

UNDO: Mapping[str, Undo] = {
    "CreateVpc": lambda ec2, made: ec2.delete_vpc(VpcId=made["Vpc"]["VpcId"]),
    "CreateSubnet": lambda ec2, made: ec2.delete_subnet(SubnetId=made["Subnet"]["SubnetId"]),
    "CreateSecurityGroup": lambda ec2, made: ec2.delete_security_group(GroupId=made["GroupId"]),
    "CreateNetworkInterface": lambda ec2, made: ec2.delete_network_interface(
        NetworkInterfaceId=made["NetworkInterface"]["NetworkInterfaceId"]
    ),
    "RunInstances": lambda ec2, made: ec2.terminate_instances(
        InstanceIds=[instance["InstanceId"] for instance in made["Instances"]]
    ),
    "CreateVpcEndpoint": lambda ec2, made: ec2.delete_vpc_endpoints(
        VpcEndpointIds=[made["VpcEndpoint"]["VpcEndpointId"]]
    ),
    "CreateVpcEndpointServiceConfiguration": lambda ec2, made: ec2.delete_vpc_endpoint_service_configurations(
        ServiceIds=[made["ServiceConfiguration"]["ServiceId"]]
    ),
    "CreateVpcEndpointConnectionNotification": lambda ec2, made: ec2.delete_vpc_endpoint_connection_notifications(
        ConnectionNotificationIds=[made["ConnectionNotification"]["ConnectionNotificationId"]]
    ),
    "CreateLoadBalancer": lambda elb, made: elb.delete_load_balancer(
        LoadBalancerArn=made["LoadBalancers"][0]["LoadBalancerArn"]
    ),
    "CreateTargetGroup": lambda elb, made: elb.delete_target_group(
        TargetGroupArn=made["TargetGroups"][0]["TargetGroupArn"]
    ),
}
"""Action -> the call that takes back what it made."""


@dataclass
class Leftovers:
    """The creates that are not undone yet, oldest first; `clock` is AWS's time."""

    clock: Clock = field(default_factory=RealClock)
    made: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)

    def watch(self, client: Any) -> None:
        """Record what `client` creates from now on, and wait until it is visible."""

        def note(parsed: dict[str, Any], model: Any, **_: Any) -> None:
            if model.name in UNDO and parsed["ResponseMetadata"]["HTTPStatusCode"] < 300:
                self.made.append((model.name, client, parsed))
                self.clock.sleep(PROPAGATION_TIME)

        client.meta.events.register("after-call", note)

    def delete(self) -> None:
        """Delete everything, newest first, until nothing is left; raises AssertionError after PATIENCE seconds."""
        deadline = self.clock.now() + PATIENCE
        while self.made and self.clock.now() < deadline:
            self.made = [entry for entry in reversed(self.made) if not _took_back(*entry)][::-1]
            self.clock.sleep(PROPAGATION_TIME if self.made else 0)
        assert not self.made, f"left on AWS: {self.made}"


def _took_back(action: str, client: Any, made: dict[str, Any]) -> bool:
    try:
        answer = UNDO[action](client, made)
    except ClientError as error:
        return error.response["Error"]["Code"].endswith("NotFound")
    return all(row["Error"]["Code"].endswith("NotFound") for row in answer.get("Unsuccessful", []))
