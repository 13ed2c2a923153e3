"""Instances take their time."""

from __future__ import annotations

from typing import Any

import pytest
from support.aws_resources import add_group, code_of, instance_state, launch, network
from support.contract_aws import ContractCloud, LocalCloud
from support.stand_in_traffic import StandInTraffic, network_plan, stand_in, sync_once

from privatelink_lab.local.network.agent_client import InstanceEnded

UNKNOWN = "0123456789abcdef0"


def interfaces(cloud: ContractCloud, subnet: str) -> int:
    """The number of network interfaces in a subnet."""
    filters = [{"Name": "subnet-id", "Values": [subnet]}]
    return len(cloud.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"])


@pytest.mark.contract
def test_an_instance_boots_before_it_runs(cloud: ContractCloud) -> None:
    """It is pending first, and a describe does not change that; then running."""
    instance = launch(cloud, network(cloud.client("ec2"))[1])
    assert instance_state(cloud, instance) == "pending"
    cloud.until(lambda: instance_state(cloud, instance), "running")


def test_an_instance_boots_stops_starts_and_ends(cloud: ContractCloud) -> None:
    """Every transitional state is visible, and lasts as long as on AWS."""
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
def test_the_network_interface_stays_until_terminated(cloud: ContractCloud) -> None:
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


def test_a_terminated_instance_is_forgotten_after_an_hour(cloud: ContractCloud) -> None:
    """It is listed for about an hour, and not found then."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(3629)
    assert instance_state(cloud, instance) == "terminated"
    cloud.wait(1)
    assert code_of(ec2.describe_instances, InstanceIds=[instance]) == "InvalidInstanceID.NotFound"


def test_an_instance_ended_while_booting_never_runs(cloud: ContractCloud) -> None:
    """Its pending boot does not make it running."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    ec2.terminate_instances(InstanceIds=[instance])
    cloud.wait(15)
    assert instance_state(cloud, instance) == "shutting-down"


@pytest.mark.contract
def test_a_repeated_token_gives_the_same_instance(cloud: ContractCloud) -> None:
    """RunInstances is idempotent by its token; other parameters or a terminated instance are an error."""
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
def test_what_cannot_be_launched(cloud: ContractCloud) -> None:
    """Groups of another VPC, an image of another architecture, an unknown image, an unknown group."""
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


def test_a_type_that_the_zone_lacks(cloud: ContractCloud) -> None:
    """Unsupported: use1-az3 has no t3."""
    ec2 = cloud.client("ec2")
    subnet = network(ec2, zone="use1-az3")[1]
    asked = {"ImageId": cloud.ami, "SubnetId": subnet, "MinCount": 1, "MaxCount": 1}
    assert code_of(ec2.run_instances, InstanceType="t3.micro", **asked) == "Unsupported"


@pytest.mark.contract
def test_refusals_of_instance_states(cloud: ContractCloud) -> None:
    """A protected instance cannot be terminated, a pending one cannot be stopped, an unknown one is named."""
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


# Its console, and what it does to itself.


@pytest.fixture
def traffic(cloud: LocalCloud) -> StandInTraffic:
    """The console output of the machines, and how they end."""
    return stand_in(cloud.aws)


def booted(cloud: LocalCloud, **more: Any) -> str:
    """The id of an instance that has booted."""
    instance = launch(cloud, network(cloud.client("ec2"))[1], **more)
    cloud.wait(60)
    return instance


def boot(cloud: LocalCloud, instance: str) -> int:
    """How often it has booted, in the network plan."""
    return network_plan(cloud.aws).instances[instance].boot


def console(cloud: LocalCloud, instance: str, **asked: Any) -> str | None:
    """The Output of GetConsoleOutput; None without output."""
    output = cloud.client("ec2").get_console_output(InstanceId=instance, **asked).get("Output")
    return None if output is None else str(output)


def test_a_console_without_output_has_none(cloud: LocalCloud) -> None:
    """The response has no Output, not an empty one."""
    instance = booted(cloud)
    assert console(cloud, instance) is None
    assert console(cloud, instance, Latest=True) is None
    assert code_of(cloud.client("ec2").get_console_output, InstanceId=f"i-{UNKNOWN}") == "InvalidInstanceID.NotFound"


def test_a_console_is_posted_late_and_read_now_with_latest(cloud: LocalCloud, traffic: StandInTraffic) -> None:
    """With Latest the output of now; without it, the output comes some minutes after the start."""
    instance = booted(cloud)
    traffic.writes = lambda machine: f"{machine} says ä\n".encode()
    assert console(cloud, instance, Latest=True) == f"{instance} says ä\n"
    assert console(cloud, instance) is None
    cloud.wait(134)
    assert console(cloud, instance) is None
    cloud.wait(1)
    assert console(cloud, instance) == f"{instance} says ä\n"
    traffic.writes = lambda _: b"more"
    cloud.wait(600)
    assert console(cloud, instance) == f"{instance} says ä\n"  # what it writes later is posted at its end
    assert console(cloud, instance, Latest=True) == "more"


@pytest.mark.parametrize("call", ["stop_instances", "terminate_instances", "reboot_instances"])
def test_a_console_is_posted_at_each_transition(cloud: LocalCloud, traffic: StandInTraffic, call: str) -> None:
    """After a stop, a reboot and a termination it has the output until then, even when the machine is gone."""
    instance = booted(cloud)
    traffic.writes = lambda _: b"last words"
    getattr(cloud.client("ec2"), call)(InstanceIds=[instance])
    traffic.writes = lambda _: b""
    cloud.wait(30)
    assert console(cloud, instance) == "last words"
    assert console(cloud, instance, Latest=True) == "last words"


@pytest.mark.contract
def test_only_nitro_shows_its_console_at_any_time(cloud: ContractCloud) -> None:
    """Latest is UnsupportedOperation for a t2; without it, the call goes through."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1], InstanceType="t2.micro")
    assert code_of(ec2.get_console_output, InstanceId=instance, Latest=True) == "UnsupportedOperation"
    assert ec2.get_console_output(InstanceId=instance)["InstanceId"] == instance


@pytest.mark.contract
def test_what_does_not_run_cannot_be_rebooted(cloud: ContractCloud) -> None:
    """A reboot leaves an instance running; for one that shuts down it is IncorrectInstanceState."""
    ec2 = cloud.client("ec2")
    instance = launch(cloud, network(ec2)[1])
    cloud.until(lambda: instance_state(cloud, instance), "running")
    ec2.reboot_instances(InstanceIds=[instance])
    assert instance_state(cloud, instance) == "running"
    ec2.terminate_instances(InstanceIds=[instance])
    assert code_of(ec2.reboot_instances, InstanceIds=[instance]) == "IncorrectInstanceState"


@pytest.mark.parametrize(
    ("asked", "states"),
    [
        ({}, ["stopping", "stopped"]),
        ({"InstanceInitiatedShutdownBehavior": "stop"}, ["stopping", "stopped"]),
        ({"InstanceInitiatedShutdownBehavior": "terminate"}, ["shutting-down", "terminated"]),
    ],
    ids=["default", "stop", "terminate"],
)
def test_an_instance_that_shuts_itself_down(
    cloud: LocalCloud, traffic: StandInTraffic, asked: dict[str, str], states: list[str]
) -> None:
    """`shutdown` inside stops or terminates it, as its InstanceInitiatedShutdownBehavior says."""
    instance = booted(cloud, **asked)
    traffic.endings = [InstanceEnded(instance, boot(cloud, instance), "power-off")]
    sync_once(cloud.aws)
    seen = [instance_state(cloud, instance)]
    cloud.wait(30)
    assert [*seen, instance_state(cloud, instance)] == states


def test_an_instance_that_restarts_itself_boots_again(cloud: LocalCloud, traffic: StandInTraffic) -> None:
    """It stays running and boots again, whatever its InstanceInitiatedShutdownBehavior is."""
    instance = booted(cloud, InstanceInitiatedShutdownBehavior="terminate")
    traffic.endings = [InstanceEnded(instance, boot(cloud, instance), "restart")]
    sync_once(cloud.aws)
    assert (instance_state(cloud, instance), boot(cloud, instance)) == ("running", 0)
    cloud.wait(45)
    assert (instance_state(cloud, instance), boot(cloud, instance)) == ("running", 2)


def test_an_ending_that_is_no_shutdown_changes_nothing(cloud: LocalCloud, traffic: StandInTraffic) -> None:
    """A crash, and the end of an earlier boot, of a stopped instance and of an unknown one."""
    instance = booted(cloud)
    cloud.client("ec2").reboot_instances(InstanceIds=[instance])
    cloud.wait(45)
    traffic.endings = [
        InstanceEnded(instance, 2, "crash"),
        InstanceEnded(instance, 1, "power-off"),
        InstanceEnded(instance, 1, "restart"),
        InstanceEnded(f"i-{UNKNOWN}", 1, "power-off"),
        InstanceEnded("visitor of subnet-1", 1, "power-off"),
    ]
    sync_once(cloud.aws)
    assert (instance_state(cloud, instance), boot(cloud, instance)) == ("running", 2)
    cloud.client("ec2").stop_instances(InstanceIds=[instance])
    traffic.endings = [InstanceEnded(instance, 2, "power-off"), InstanceEnded(instance, 2, "restart")]
    sync_once(cloud.aws)
    assert instance_state(cloud, instance) == "stopping"
    cloud.wait(30)
    assert instance_state(cloud, instance) == "stopped"


def test_the_network_gets_a_new_plan_after_a_change(cloud: LocalCloud, traffic: StandInTraffic) -> None:
    """A new plan is sent after a call and after a due transition; without a change none is sent."""
    instance = launch(cloud, network(cloud.client("ec2"))[1])
    sync_once(cloud.aws)
    assert traffic.last_plan.instances[instance].boot == 0
    cloud.wait(60)
    sync_once(cloud.aws)
    assert traffic.last_plan.instances[instance].boot == 1
    before = traffic.last_plan
    cloud.wait(60)
    sync_once(cloud.aws)
    assert traffic.last_plan is before


TOO_MUCH = [
    ({"UserData": "#!/bin/sh\n" + "#" * 16384}, "InvalidParameterValue"),
    ({"MaxCount": 100_000}, "VcpuLimitExceeded"),
    ({"MinCount": -5, "MaxCount": -5}, "VcpuLimitExceeded"),
]


@pytest.mark.parametrize(("request_", "code"), TOO_MUCH)
def test_what_is_too_much_is_refused(cloud: LocalCloud, request_: dict[str, Any], code: str) -> None:
    """Sixteen KiB of user data, and so many instances of an account: AWS has limits, and so has this machine."""
    request = {"ImageId": "ami-12c6146b", "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1} | request_
    assert code_of(cloud.client("ec2").run_instances, **request) == code
