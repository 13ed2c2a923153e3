"""The same lab as a script of boto3 calls, one after the other, with botocore's waiters: what many people have.

`python naive.py up|down STATE SPEED`. Ids go into the file STATE. SPEED is how much faster than AWS its clock is: the
waiters' pauses (15 seconds) are divided by it, so that they weigh as much as on AWS. It imports nothing of plab.
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

PAUSE = 5.0  # seconds between two tries of what AWS has no waiter for, as Terraform's provider has it
WAITER = 15.0  # seconds; botocore's own
TAG = "naive"
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
    """The clients, the ids so far, and the pace."""

    def __init__(self, path: Path, speed: float) -> None:
        config = botocore.config.Config(retries={"mode": "standard", "total_max_attempts": 3})
        self.ec2: Any = boto3.client("ec2", config=config)
        self.elbv2: Any = boto3.client("elbv2", config=config)
        self.path, self.speed = path, speed or 1000.0
        self.ids: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}

    def keep(self, name: str, id_: str) -> str:
        """Remember an id for `down`."""
        self.ids[name] = id_
        self.path.write_text(json.dumps(self.ids))
        return id_

    def wait(self, client: Any, name: str, delay: float = WAITER, **request: Any) -> Any:
        """One of botocore's waiters, at this clock's pace; it returns nothing."""
        return client.get_waiter(name).wait(**request, WaiterConfig={"Delay": delay / self.speed, "MaxAttempts": 400})

    def retry(self, call: Callable[[], Any]) -> Any:
        """Call until AWS no longer says that something is not there yet, or still there."""
        while True:
            try:
                return call()
            except WaiterError as error:  # its look met an id that is not known everywhere yet
                if "NotFound" not in str(error):
                    raise
            except ClientError as error:
                if not error.response["Error"]["Code"].endswith(NOT_YET):
                    raise
            time.sleep(PAUSE / self.speed)

    def until(self, look: Callable[[], bool]) -> None:
        """Look until it is so."""
        while not look():
            time.sleep(PAUSE / self.speed)


def tagged(kind: str, name: str) -> list[dict[str, Any]]:
    """The tags of a new resource."""
    return [{"ResourceType": kind, "Tags": [{"Key": "Name", "Value": f"{TAG}-{name}"}]}]


def network(do: Script, party: str, cidr: str, zone: str) -> None:
    """A VPC with a subnet and a group that admits the port."""
    ec2 = do.ec2
    vpc = ec2.create_vpc(CidrBlock=f"{cidr}/16", TagSpecifications=tagged("vpc", party))["Vpc"]["VpcId"]
    do.keep(f"{party}/vpc", vpc)
    do.wait(ec2, "vpc_exists", 1, VpcIds=[vpc])
    do.wait(ec2, "vpc_available", VpcIds=[vpc])
    request = {"VpcId": vpc, "CidrBlock": f"{cidr}/24", "AvailabilityZone": zone}
    subnet = ec2.create_subnet(**request, TagSpecifications=tagged("subnet", party))["Subnet"]["SubnetId"]
    do.keep(f"{party}/subnet", subnet)
    do.retry(lambda: do.wait(ec2, "subnet_available", SubnetIds=[subnet]))
    request = {"GroupName": f"{TAG}-{party}", "Description": party, "VpcId": vpc}
    group = do.keep(f"{party}/group", ec2.create_security_group(**request)["GroupId"])
    rule = {"IpProtocol": "tcp", "FromPort": 80, "ToPort": 80, "IpRanges": [{"CidrIp": f"{cidr}/16"}]}
    do.retry(lambda: ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[rule]))


def up(do: Script) -> None:
    """Build, one thing after the other."""
    ec2 = do.ec2
    zone = ec2.describe_availability_zones()["AvailabilityZones"][0]["ZoneName"]
    network(do, "provider", "10.0.0.0", zone)
    network(do, "consumer", "10.1.0.0", zone)
    run_server(do)
    balance(do)
    arn = do.ids["balancer"]
    request = {"AcceptanceRequired": True, "NetworkLoadBalancerArns": [arn]}
    service = ec2.create_vpc_endpoint_service_configuration(**request)["ServiceConfiguration"]
    do.keep("service", service["ServiceId"])
    endpoint = do.retry(
        lambda: ec2.create_vpc_endpoint(
            VpcEndpointType="Interface",
            ServiceName=service["ServiceName"],
            VpcId=do.ids["consumer/vpc"],
            SubnetIds=[do.ids["consumer/subnet"]],
            SecurityGroupIds=[do.ids["consumer/group"]],
        )
    )["VpcEndpoint"]["VpcEndpointId"]
    do.keep("endpoint", endpoint)
    do.until(lambda: connection(do) == "pendingAcceptance")
    refused = ec2.accept_vpc_endpoint_connections(ServiceId=service["ServiceId"], VpcEndpointIds=[endpoint])
    assert not refused["Unsuccessful"]
    do.until(lambda: connection(do) == "available")


def run_server(do: Script) -> None:
    """The web server."""
    image = boto3.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
    instance = do.retry(
        lambda: do.ec2.run_instances(
            ImageId=image,
            InstanceType="t3.micro",
            MinCount=1,
            MaxCount=1,
            SubnetId=do.ids["provider/subnet"],
            SecurityGroupIds=[do.ids["provider/group"]],
            UserData=USER_DATA,
            TagSpecifications=tagged("instance", "web-server"),
        )
    )["Instances"][0]["InstanceId"]
    do.keep("instance", instance)
    do.wait(do.ec2, "instance_running", InstanceIds=[instance])


def balance(do: Script) -> None:
    """Target group, balancer, listener, and a healthy target."""
    elbv2, port = do.elbv2, {"Protocol": "TCP", "Port": 80}
    checks = {
        "HealthCheckIntervalSeconds": 5,
        "HealthCheckTimeoutSeconds": 2,
        "HealthyThresholdCount": 2,
        "UnhealthyThresholdCount": 2,
    }
    request = {"Name": TAG, "VpcId": do.ids["provider/vpc"], "TargetType": "instance"} | port | checks
    group = do.keep("targets", elbv2.create_target_group(**request)["TargetGroups"][0]["TargetGroupArn"])
    targets = [{"Id": do.ids["instance"]}]
    do.retry(lambda: elbv2.register_targets(TargetGroupArn=group, Targets=targets))
    request = {"Name": TAG, "Type": "network", "Scheme": "internal", "Subnets": [do.ids["provider/subnet"]]}
    balancer = do.keep("balancer", elbv2.create_load_balancer(**request)["LoadBalancers"][0]["LoadBalancerArn"])
    do.retry(lambda: do.wait(elbv2, "load_balancer_available", LoadBalancerArns=[balancer]))
    attribute = {"Key": "load_balancing.cross_zone.enabled", "Value": "true"}
    elbv2.modify_load_balancer_attributes(LoadBalancerArn=balancer, Attributes=[attribute])
    forward = [{"Type": "forward", "TargetGroupArn": group}]
    do.retry(lambda: elbv2.create_listener(LoadBalancerArn=balancer, DefaultActions=forward, **port))
    do.wait(elbv2, "target_in_service", TargetGroupArn=group, Targets=targets)


def connection(do: Script) -> str:
    """The state of the endpoint's connection as the provider sees it; '' while it is not listed."""
    filters = [{"Name": "service-id", "Values": [do.ids["service"]]}]
    rows = do.ec2.describe_vpc_endpoint_connections(Filters=filters)["VpcEndpointConnections"]
    return next((row["VpcEndpointState"] for row in rows if row["VpcEndpointId"] == do.ids["endpoint"]), "")


def down(do: Script) -> None:
    """Delete, one thing after the other."""
    ec2, elbv2, ids = do.ec2, do.elbv2, do.ids
    ec2.delete_vpc_endpoints(VpcEndpointIds=[ids["endpoint"]])
    do.until(lambda: _is_gone(do, ids["endpoint"]))
    do.until(lambda: _service_goes(do))
    do.retry(lambda: elbv2.delete_load_balancer(LoadBalancerArn=ids["balancer"]))
    do.wait(elbv2, "load_balancers_deleted", LoadBalancerArns=[ids["balancer"]])
    do.retry(lambda: elbv2.delete_target_group(TargetGroupArn=ids["targets"]))
    ec2.terminate_instances(InstanceIds=[ids["instance"]])
    do.wait(ec2, "instance_terminated", InstanceIds=[ids["instance"]])
    for party in ("consumer", "provider"):
        group, subnet, vpc = (ids[f"{party}/{what}"] for what in ("group", "subnet", "vpc"))
        do.retry(partial(ec2.delete_security_group, GroupId=group))
        do.retry(partial(ec2.delete_subnet, SubnetId=subnet))
        do.retry(partial(ec2.delete_vpc, VpcId=vpc))
    do.path.unlink()


def _is_gone(do: Script, endpoint: str) -> bool:
    try:
        rows = do.ec2.describe_vpc_endpoints(VpcEndpointIds=[endpoint])["VpcEndpoints"]
    except ClientError:
        return True
    return all(row["State"] == "deleted" for row in rows)


def _service_goes(do: Script) -> bool:
    answer = do.ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[do.ids["service"]])
    return not answer["Unsuccessful"]


if __name__ == "__main__":
    script = Script(Path(sys.argv[2]), float(sys.argv[3]))
    {"up": up, "down": down}[sys.argv[1]](script)
