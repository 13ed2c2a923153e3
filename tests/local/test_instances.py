"""Instances take their time."""

from __future__ import annotations

from typing import Any

import pytest

from .clouds import Cloud
from .labs import add_group, code_of, instance_state, launch, network

UNKNOWN = "0123456789abcdef0"


def interfaces(cloud: Cloud, subnet: str) -> int:
    """How many network interfaces live in a subnet."""
    filters = [{"Name": "subnet-id", "Values": [subnet]}]
    return len(cloud.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


@pytest.mark.contract
def test_an_instance_boots_before_it_runs(cloud: Cloud) -> None:
    """It is pending first, also when looked at; then running."""
    instance = launch(cloud, network(cloud.client("ec2"))[1])
    assert instance_state(cloud, instance) == "pending"
    cloud.until(lambda: instance_state(cloud, instance), "running")


def test_an_instance_boots_stops_starts_and_ends(cloud: Cloud) -> None:
    """Every state in between is seen, and lasts as long as on AWS."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    seen = [instance_state(cloud, instance)]
    for call, seconds in ((None, 15), (ec2.stop_instances, 30), (ec2.start_instances, 15)):
        if call:
            call(InstanceIds=[instance])
            seen.append(instance_state(cloud, instance))
        cloud.wait(seconds)
        seen.append(instance_state(cloud, instance))
    assert seen == ["pending", "running", "stopping", "stopped", "pending", "running"]


@pytest.mark.contract
def test_the_network_interface_stays_until_terminated(cloud: Cloud) -> None:
    """A subnet is not free while its instance is shutting down; a terminated instance stays in the list."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2)[1]
    instance = launch(cloud, subnet)
    change = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert change["CurrentState"]["Name"] == "shutting-down"
    assert instance_state(cloud, instance) == "shutting-down"
    assert interfaces(cloud, subnet) == 1
    assert code_of(ec2.delete_subnet, SubnetId=subnet) == "DependencyViolation"
    cloud.until(lambda: instance_state(cloud, instance), "terminated")
    cloud.until(lambda: interfaces(cloud, subnet), 0)
    ec2.terminate_instances(InstanceIds=[instance])


def test_a_terminated_instance_is_forgotten_after_an_hour(cloud: Cloud) -> None:
    """It is listed for about an hour, and not found then."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(3629)
    assert instance_state(cloud, instance) == "terminated"
    cloud.wait(1)
    assert code_of(ec2.describe_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"


def test_an_instance_ended_while_booting_never_runs(cloud: Cloud) -> None:
    """The boot that was under way does not bring it back."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(15)
    assert instance_state(cloud, instance) == "shutting-down"


@pytest.mark.contract
def test_a_repeated_token_gives_the_same_instance(cloud: Cloud) -> None:
    """RunInstances is idempotent by its token; it says so when the rest differs, and when the instance has ended."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2)[1]
    first = launch(cloud, subnet, ClientToken="one")
    assert launch(cloud, subnet, ClientToken="one") == first
    same: dict[str, Any] = {
        "ImageId": cloud.ami,
        "SubnetId": subnet,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": "one",
    }
    assert code_of(ec2.run_instances, InstanceType="t3.small", **same) == "IdempotentParameterMismatch"
    ec2.terminate_instances(InstanceIds=[first])
    cloud.until(lambda: instance_state(cloud, first), "terminated")
    assert code_of(ec2.run_instances, InstanceType="t3.micro", **same) == "IdempotentInstanceTerminated"


@pytest.mark.contract
def test_what_cannot_be_launched(cloud: Cloud) -> None:
    """Groups of another VPC, an image of another architecture, an image and a group that are not there."""
    ec2 = cloud.client("ec2")
    subnet, foreign = network(ec2)[1], add_group(ec2, network(ec2, "10.8.0.0/16")[0])

    def code(**more: Any) -> str:
        asked = {"ImageId": cloud.ami, "InstanceType": "t3.micro", "SubnetId": subnet, "MinCount": 1, "MaxCount": 1}
        return code_of(ec2.run_instances, **(asked | more))

    assert code(SecurityGroupIds=[foreign]) == "InvalidParameter"
    assert code(InstanceType="t4g.nano") == "InvalidParameterValue"
    assert code(ImageId=f"ami-{UNKNOWN}") == "InvalidAMIID.NotFound"
    assert code(SecurityGroupIds=[f"sg-{UNKNOWN}"]) == "InvalidGroup.NotFound"
    assert interfaces(cloud, subnet) == 0


def test_a_type_that_the_zone_has_not(cloud: Cloud) -> None:
    """Unsupported: us-east-1e has no t3."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2, zone="us-east-1e")[1]
    asked = {"ImageId": cloud.ami, "SubnetId": subnet, "MinCount": 1, "MaxCount": 1}
    assert code_of(ec2.run_instances, InstanceType="t3.micro", **asked) == "Unsupported"


@pytest.mark.contract
def test_refusals_of_instance_states(cloud: Cloud) -> None:
    """A protected instance is not ended, one that boots is not stopped, an unknown one is named."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2)[1]
    protected = launch(cloud, subnet)
    assert code_of(ec2.stop_instances, InstanceIds=[protected]) == "IncorrectInstanceState"
    cloud.until(lambda: instance_state(cloud, protected), "running")
    ending = launch(cloud, subnet)
    ec2.terminate_instances(InstanceIds=[ending])
    assert code_of(ec2.stop_instances, InstanceIds=[protected, ending]) == "IncorrectInstanceState"
    assert instance_state(cloud, protected) == "running"
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": True})
    assert code_of(ec2.terminate_instances, InstanceIds=[protected]) == "OperationNotPermitted"
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": False})
    assert code_of(ec2.terminate_instances, InstanceIds=[f"i-{UNKNOWN}"]) == "InvalidInstanceID.NotFound"
