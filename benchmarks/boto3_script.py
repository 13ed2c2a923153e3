"""The same lab as a script of boto3 calls in sequence, with botocore's waiters: what many people use today.

`python boto3_script.py up|down STATE SPEED`. STATE is the file for the ids. SPEED is how many times faster than AWS
the server's clock is: the waiters' pauses (15 seconds) are divided by it. The script imports nothing of plab.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from botocore.exceptions import ClientError, WaiterError

RETRY_PAUSE = 5.0  # seconds between two tries if botocore has no waiter, as in Terraform's provider
WAITER_PAUSE = 15.0  # seconds; botocore's own
NAME = "boto3-script"
NOT_YET = (
    "NotFound",
    "InvalidServiceName",
    "Unavailable",
    "DependencyViolation",
    "ResourceInUse",
    "ResourceInUseException",
)
USER_DATA = "#!/bin/sh\nmkdir -p /srv/www\nsystemd-run python3 -m http.server 80 --directory /srv/www\n"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"


class Script:
    """The clients, the ids so far, and the speed."""

    def __init__(self, path: Path, speed: float) -> None:
        config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 3})
        self.ec2: Any = boto3.client("ec2", config=config)
        self.elbv2: Any = boto3.client("elbv2", config=config)
        self.path, self.speed = path, speed or 1000.0
        self.ids: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def save(self, name: str, id_: str) -> str:
        """Write an id to the file, for `down`."""
        self.ids[name] = id_
        self.path.write_text(json.dumps(self.ids))
        return id_

    def wait(self, client: Any, name: str, delay: float = WAITER_PAUSE, **request: Any) -> Any:
        """Run one of botocore's waiters, at the speed of the server's clock; returns None."""
        return client.get_waiter(name).wait(**request, WaiterConfig={"Delay": delay / self.speed, "MaxAttempts": 400})

    def retry(self, call: Callable[[], Any]) -> Any:
        """Call until AWS no longer answers that something does not exist yet or is still in use."""
        while True:
            try:
                return call()
            except WaiterError as error:  # the id is not known everywhere yet
                if "NotFound" not in str(error):
                    raise
            except ClientError as error:
                if not error.response["Error"]["Code"].endswith(NOT_YET):
                    raise
            time.sleep(RETRY_PAUSE / self.speed)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Check until the condition is true."""
        while not condition():
            time.sleep(RETRY_PAUSE / self.speed)


def tagged(kind: str, name: str) -> list[dict[str, Any]]:
    """The tags of a new resource."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": f"{NAME}-{name}"}]}]


def network(script: Script, party: str, cidr: str, zone: str) -> None:
    """Create a VPC with a subnet and a security group that admits port 80."""
    ec2 = script.ec2
    vpc = ec2.create_vpc(CidrBlock=f"{cidr}/16", TagSpecifications=tagged("vpc", party))["Vpc"]["VpcId"]
    script.save(f"{party}/vpc", vpc)
    script.wait(ec2, "vpc_exists", 1, VpcIds=[vpc])
    script.wait(ec2, "vpc_available", VpcIds=[vpc])
    request = {"VpcId": vpc, "CidrBlock": f"{cidr}/24", "AvailabilityZone": zone}
    subnet = ec2.create_subnet(**request, TagSpecifications=tagged("subnet", party))["Subnet"]["SubnetId"]
    script.save(f"{party}/subnet", subnet)
    script.retry(lambda: script.wait(ec2, "subnet_available", SubnetIds=[subnet]))
    request = {"GroupName": f"{NAME}-{party}", "Description": party, "VpcId": vpc}
    group = script.save(f"{party}/group", ec2.create_security_group(**request)["GroupId"])
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": f"{cidr}/16"}]}
    script.retry(lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule]))


def up(script: Script) -> None:
    """Create all resources in sequence."""
    ec2 = script.ec2
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    network(script, "provider", "10.0.0.0", zone)
    network(script, "consumer", "10.1.0.0", zone)
    run_server(script)
    create_balancer(script)
    arn = script.ids["balancer"]
    request = {"AcceptanceRequired": True, "NetworkLoadBalancerArns": [arn]}
    service = ec2.create_vpc_endpoint_service_configuration(**request)["ServiceConfiguration"]
    script.save("service", service["ServiceId"])
    endpoint = script.retry(
        lambda: ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            ServiceName=service["ServiceName"],
            VpcId=script.ids["consumer/vpc"],
            SubnetIds=[script.ids["consumer/subnet"]],
            SecurityGroupIds=[script.ids["consumer/group"]],
        )
    )["VpcEndpoint"]["VpcEndpointId"]
    script.save("endpoint", endpoint)
    script.wait_until(lambda: connection_state(script) == "pendingAcceptance")
    refused = ec2.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])
    assert not refused["Unsuccessful"]
    script.wait_until(lambda: connection_state(script) == "available")


def run_server(script: Script) -> None:
    """Launch the web server."""
    image = boto3.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
    instance = script.retry(
        lambda: script.ec2.run_instances(
            ImageId=image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=script.ids["provider/subnet"],
            SecurityGroupIds=[script.ids["provider/group"]],
            UserData=USER_DATA,
            TagSpecifications=tagged("instance", "web-server"),
        )
    )["Instances"][0]["InstanceId"]
    script.save("instance", instance)
    script.wait(script.ec2, "instance_running", InstanceIds=[instance])


def create_balancer(script: Script) -> None:
    """Create target group, balancer and listener, and wait for a healthy target."""
    elbv2, port = script.elbv2, {"Protocol": "TCP", "Port": 80}
    checks = {
        "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 2,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2,
    }
    request = {"Name": NAME, "VpcId": script.ids["provider/vpc"], "TargetType": "instance"} | port | checks
    group = script.save("targets", elbv2.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"])
    targets = [{"Id": script.ids["instance"]}]
    script.retry(lambda: elbv2.register_targets(TargetGroupArn=group, Targets=targets))
    request = {"Name": NAME, "Type": "network", "Scheme": "internal", "Subnets": [script.ids["provider/subnet"]]}
    balancer = script.save("balancer", elbv2.create_load_balancer(**request)["LoadBalancers"][0]["LoadBalancerArn"])
    script.retry(lambda: script.wait(elbv2, "load_balancer_available", LoadBalancerArns=[balancer]))
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=[attribute])
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    script.retry(lambda: elbv2.create_listener(LoadBalancerArn=balancer, DefaultActions=forward, **port))
    script.wait(elbv2, "target_in_service", TargetGroupArn=group, Targets=targets)


def connection_state(script: Script) -> str:
    """The state of the endpoint's connection for the provider; '' while it is not listed."""
    filters = [{"Name": "service-id", "Values": [script.ids["service"]]}]
    rows = script.ec2.describe_vpc_endpoint_connections(Filters=filters)["VpcEndpointConnections"]
    return next((row["VpcEndpointState"] for row in rows if row["VpcEndpointId"] == script.ids["endpoint"]), "")


def down(script: Script) -> None:
    """Delete all resources in sequence."""
    ec2, elbv2, ids = script.ec2, script.elbv2, script.ids
    ec2.delete_vpc_endpoints(VpcEndpointIds=[ids["endpoint"]])
    script.wait_until(lambda: _is_gone(script, ids["endpoint"]))
    script.wait_until(lambda: _delete_service(script))
    script.retry(lambda: elbv2.delete_load_balancer(LoadBalancerArn=ids["balancer"]))
    script.wait(elbv2, "load_balancers_deleted", LoadBalancerArns=[ids["balancer"]])
    script.retry(lambda: elbv2.delete_target_group(TargetGroupArn=ids["targets"]))
    ec2.terminate_instances(InstanceIds=[ids["instance"]])
    script.wait(ec2, "instance_terminated", InstanceIds=[ids["instance"]])
    for party in ("consumer", "provider"):
        group, subnet, vpc = (ids[f"{party}/{what}"] for what in ("group", "subnet", "vpc"))
        script.retry(partial(ec2.delete_security_group, GroupId=group))
        script.retry(partial(ec2.delete_subnet, SubnetId=subnet))
        script.retry(partial(ec2.delete_vpc, VpcId=vpc))
    script.path.unlink()


def _is_gone(script: Script, endpoint: str) -> bool:
    try:
        rows = script.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    except ClientError:
        return True
    return all(row["State"] == "deleted" for row in rows)


def _delete_service(script: Script) -> bool:
    answer = script.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[script.ids["service"]])
    return not answer["Unsuccessful"]


if __name__ == "__main__":
    {"up": up, "down": down}[sys.argv[1]](Script(Path(sys.argv[2]), float(sys.argv[3])))
