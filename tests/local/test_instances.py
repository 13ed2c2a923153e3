"""Instances take their time."""

from __future__ import annotations

from typing import Any

from .labs import AMI, Cloud, code_of, network


def launch(ec2: Any, subnet: str, **more: Any) -> str:
    """The id of a new instance."""
    answer = ec2.run_instances(ImageId=AMI, InstanceType="t3.micro", SubnetId=subnet, MinCount=1, MaxCount=1, **more)
    assert answer["Instances"][0]["State"]["Name"] == "pending"
    return str(answer["Instances"][0]["InstanceId"])


def state(ec2: Any, instance: str) -> str:
    """The word of DescribeInstances."""
    answer = ec2.describe_instances(InstanceIds=[instance])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def test_an_instance_boots_stops_starts_and_ends(cloud: Cloud) -> None:
    """Every state in between is seen, and lasts as long as on AWS."""
    ec2 = cloud.client("ec2")
    instance = launch(ec2, network(ec2, "10.0.0.0/16")[1])
    seen = [state(ec2, instance)]
    for call, seconds in ((None, 15), (ec2.stop_instances, 30), (ec2.start_instances, 15)):
        if call:
            call(InstanceIds=[instance])
            seen.append(state(ec2, instance))
        cloud.wait(seconds)
        seen.append(state(ec2, instance))
    assert seen == ["pending", "running", "stopping", "stopped", "pending", "running"]


def test_the_network_interface_stays_until_terminated(cloud: Cloud) -> None:
    """A subnet is not free while its instance is shutting down."""
    ec2 = cloud.client("ec2")
    instance = launch(ec2, network(ec2, "10.0.0.0/16")[1])
    cloud.wait(15)
    change = ec2.terminate_instances(InstanceIds=[instance])["TerminatingInstances"][0]
    assert (change["PreviousState"]["Name"], change["CurrentState"]["Name"]) == (
        "running",
        "shutting-down",
    )
    assert state(ec2, instance) == "shutting-down"
    assert len(ec2.describe_network_interfaces()["NetworkInterfaces"]) == 1
    cloud.wait(30)
    assert state(ec2, instance) == "terminated"
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == []
    ec2.terminate_instances(InstanceIds=[instance])


def test_an_instance_ended_while_booting_never_runs(cloud: Cloud) -> None:
    """The boot that was under way does not bring it back."""
    ec2 = cloud.client("ec2")
    instance = launch(ec2, network(ec2, "10.0.0.0/16")[1])
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(15)
    assert state(ec2, instance) == "shutting-down"


def test_a_repeated_token_gives_the_same_instance(cloud: Cloud) -> None:
    """RunInstances is idempotent by its token, and says so when the rest of the request differs."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2, "10.0.0.0/16")[1]
    first = launch(ec2, subnet, ClientToken="one")
    assert launch(ec2, subnet, ClientToken="one") == first
    assert launch(ec2, subnet, ClientToken="two") != first
    same: dict[str, Any] = {"SubnetId": subnet, "MinCount": 1, "MaxCount": 1, "ClientToken": "one"}
    other = code_of(ec2.run_instances, ImageId=AMI, InstanceType="t3.small", **same)
    assert other == "IdempotentParameterMismatch"
    ec2.terminate_instances(InstanceIds=[first])
    gone = code_of(ec2.run_instances, ImageId=AMI, InstanceType="t3.micro", **same)
    assert gone == "IdempotentInstanceTerminated"


def test_refusals_of_instance_states(cloud: Cloud) -> None:
    """A protected instance is not ended, one that boots is not stopped, an unknown one is named."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2, "10.0.0.0/16")[1]
    protected = launch(ec2, subnet)
    assert code_of(ec2.stop_instances, InstanceIds=[protected]) == "IncorrectInstanceState"
    ec2.modify_instance_attribute(InstanceId=protected, DisableApiTermination={"Value": True})
    assert code_of(ec2.terminate_instances, InstanceIds=[protected]) == "OperationNotPermitted"
    unknown = code_of(ec2.terminate_instances, InstanceIds=["i-0123456789abcdef0"])
    assert unknown == "InvalidInstanceID.NotFound"
