"""Hands of others: one thing is changed between runs; it is shown, repaired or left alone with a word, and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support.cloud import Cloud

from privatelink_lab import engine
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.steps import STEPS

Hand = Callable[[Cloud, Built], None]


def id_of(built: Built, key: str) -> str:
    """The id of what was built under a key."""
    return built.done[key][0].id


def delete_endpoint(cloud: Cloud, built: Built) -> None:
    """The consumer deletes its endpoint."""
    cloud.account().ec2.delete_vpc_endpoints(VpcEndpointIds=[id_of(built, "acme/endpoint")])


def delete_listener(cloud: Cloud, built: Built) -> None:
    """The balancer listens no more."""
    cloud.account().elbv2.delete_listener(ListenerArn=id_of(built, "provider/nlb/listener"))


def delete_listener_and_group(cloud: Cloud, built: Built) -> None:
    """The target group goes, and with it the registration."""
    delete_listener(cloud, built)
    cloud.let_new_ids_propagate()
    cloud.account().elbv2.delete_target_group(TargetGroupArn=id_of(built, "provider/target-group"))


def delete_service(cloud: Cloud, built: Built) -> None:
    """The service goes; the endpoint is left behind, rejected."""
    ec2, service = cloud.account().ec2, id_of(built, "provider/endpoint-service")
    ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[id_of(built, "acme/endpoint")])
    cloud.let_new_ids_propagate()
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])


def stop_server(cloud: Cloud, built: Built) -> None:
    """The instance is stopped."""
    cloud.account().ec2.stop_instances(InstanceIds=[id_of(built, "provider/web-server")])


def terminate_server(cloud: Cloud, built: Built) -> None:
    """The instance is gone."""
    cloud.account().ec2.terminate_instances(InstanceIds=[id_of(built, "provider/web-server")])


def reject(cloud: Cloud, built: Built) -> None:
    """Somebody cuts the connection."""
    ec2, service = cloud.account().ec2, id_of(built, "provider/endpoint-service")
    ec2.reject_vpc_endpoint_connections(ServiceId=service, VpcEndpointIds=[id_of(built, "acme/endpoint")])


def protect_server(cloud: Cloud, built: Built) -> None:
    """Nobody may terminate the instance."""
    server = id_of(built, "provider/web-server")
    cloud.account().ec2.modify_instance_attribute(InstanceId=server, DisableApiTermination={"Value": True})


def untag_group(cloud: Cloud, built: Built) -> None:
    """A security group loses the lab's tag: it is nobody's of ours any more."""
    tag: Any = [{"Key": "plab:lab"}]
    cloud.account().ec2.delete_tags(Resources=[id_of(built, "acme/security-group")], Tags=tag)


REPAIRED: dict[Hand, tuple[str, str]] = {
    delete_endpoint: ("acme/endpoint", "missing"),
    delete_listener: ("provider/nlb/listener", "missing"),
    delete_listener_and_group: ("provider/target-group", "missing"),
    stop_server: ("provider/web-server", "stopped"),
    terminate_server: ("provider/web-server", "missing"),
}


@pytest.mark.parametrize("hand", REPAIRED, ids=lambda hand: hand.__name__)
def test_up_repairs_it(cloud: Cloud, lab: Lab, hand: Hand) -> None:
    """Deleted or stopped by hand: shown, made again or started, and removed in the end."""
    before = cloud.aws.inventory()
    built = cloud.up(lab)
    hand(cloud, built)
    cloud.let_new_ids_propagate()
    key, state = REPAIRED[hand]
    assert cloud.phases(lab)[key] == state
    again = cloud.up(lab)
    assert again.exit_code == 0, again.failed
    assert "missing" not in cloud.phases(lab).values()
    assert cloud.down(lab).exit_code == 0
    cloud.let_new_ids_propagate()
    assert cloud.aws.inventory() == before


@pytest.mark.parametrize(
    ("hand", "key", "words"),
    [
        (reject, "acme/endpoint", "was rejected; plab never re-admits a rejected endpoint"),
        (delete_service, "acme/endpoint", "was rejected"),
        (untag_group, "acme/security-group", "bears no tag of this lab"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_up_says_what_it_will_not_touch(cloud: Cloud, lab: Lab, hand: Hand, key: str, words: str) -> None:
    """What somebody decided, or what is not the lab's any more, is left alone, and said."""
    built = cloud.up(lab)
    hand(cloud, built)
    cloud.let_new_ids_propagate()
    again = cloud.up(lab)
    assert again.exit_code == 1
    assert words in str(again.failed[key])


@pytest.mark.parametrize("hand", [reject, delete_service], ids=lambda hand: hand.__name__)
def test_down_finishes_all_the_same(cloud: Cloud, lab: Lab, hand: Hand) -> None:
    """Nothing is left, whatever somebody cut before."""
    before = cloud.aws.inventory()
    hand(cloud, cloud.up(lab))
    cloud.let_new_ids_propagate()
    assert cloud.down(lab).exit_code == 0
    cloud.let_new_ids_propagate()
    assert cloud.aws.inventory() == before


def test_down_says_what_is_protected(cloud: Cloud, lab: Lab) -> None:
    """Termination protection by hand: exit 3 with AWS's word; what does not stand on it goes; then the rest."""
    built = cloud.up(lab)
    protect_server(cloud, built)
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert "OperationNotPermitted" in str(removed.left["provider/web-server"])
    assert "endpoint service" in removed.deleted
    server = id_of(built, "provider/web-server")
    cloud.account().ec2.modify_instance_attribute(InstanceId=server, DisableApiTermination={"Value": False})
    assert cloud.down(lab).exit_code == 0


def test_down_leaves_alone_what_is_not_tagged(cloud: Cloud, lab: Lab) -> None:
    """Somebody's own group in the lab's VPC: the VPC is left with AWS's word, and his group is as it was."""
    built = cloud.up(lab)
    ec2 = cloud.account().ec2
    own = ec2.create_security_group(GroupName="own", Description="by hand", VpcId=id_of(built, "acme/vpc"))["GroupId"]
    cloud.let_new_ids_propagate()
    removed = cloud.down(lab)
    assert removed.exit_code == 3
    assert set(removed.left) == {"acme/vpc"}
    assert "DependencyViolation" in str(removed.left["acme/vpc"])
    assert ec2.describe_security_groups(GroupIds=[own])["SecurityGroups"]
    ec2.delete_security_group(GroupId=own)
    assert engine.down(lab, STEPS, engine.survey(lab, STEPS)).exit_code == 0
