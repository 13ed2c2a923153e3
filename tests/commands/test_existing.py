"""What is there before the lab: a balancer or a service that the config names is read, never changed or deleted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.cloud import Cloud
from support.command_line import Run
from support.customers import ask

from privatelink_lab import tags

ACME, SOMEBODY = "222222222222", "999999999999"
ROOT = "arn:aws:iam::{}:root"
PERMISSIONS = "provider/endpoint-service/permissions"
CONFIG = """\
lab: api
region: us-east-1
provider: {{{there}}}
customers:
  acme: {{accounts: ['222222222222']}}
consumers: {consumers}
"""


def write(folder: Path, there: str, consumers: str = "[]") -> None:
    """The config of a lab whose provider's side is there."""
    (folder / "plab.yaml").write_text(CONFIG.format(there=there, consumers=consumers))


@dataclass(frozen=True)
class There:
    """What somebody has made by API: a balancer that listens, and its subnets and target group."""

    arn: str
    subnets: list[str]


def make_balancer(cloud: Cloud, name: str, subnets: list[str], scheme: str = "internal") -> str:
    """The ARN of a new balancer without a listener."""
    elbv2: Any = cloud.account().elbv2
    made = elbv2.create_load_balancer(Name=name, Type="network", Scheme=scheme, Subnets=subnets)
    cloud.let_new_ids_propagate()
    return str(made["LoadBalancers"][0]["LoadBalancerArn"])


@pytest.fixture
def there(at_cloud: Cloud) -> There:
    """A balancer with a listener on port 80, in two zones."""
    ec2: Any = at_cloud.account().ec2
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    at_cloud.let_new_ids_propagate()
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{zone}.0/24", AvailabilityZoneId=f"use1-az{zone}")["Subnet"][
            "SubnetId"
        ]
        for zone in (1, 2)
    ]
    at_cloud.let_new_ids_propagate()
    arn, elbv2 = make_balancer(at_cloud, "api", subnets), at_cloud.account().elbv2
    group = elbv2.create_target_group(Name="api", Protocol="TCP", Port=80, VpcId=vpc)["TargetGroups"][0][
        "TargetGroupArn"
    ]
    at_cloud.let_new_ids_propagate()
    action: Any = {"Type": "forward", "TargetGroupArn": group}
    elbv2.create_listener(LoadBalancerArn=arn, Protocol="TCP", Port=80, DefaultActions=[action])
    at_cloud.let_new_ids_propagate()
    return There(arn, subnets)


@pytest.fixture
def service(at_cloud: Cloud, there: There) -> str:
    """The id of a service on it, with a permission of somebody's."""
    ec2: Any = at_cloud.account().ec2
    made = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[there.arn], AcceptanceRequired=True)
    at_cloud.let_new_ids_propagate()
    id_ = made["ServiceConfiguration"]["ServiceId"]
    ec2.modify_vpc_endpoint_service_permissions(ServiceId=id_, AddAllowedPrincipals=[ROOT.format(SOMEBODY)])
    return str(id_)


def test_service_on_a_balancer_that_is_there(at_cloud: Cloud, run: Run, there: There, tmp_path: Path) -> None:
    """`up` makes the service and its permission alone; `down` deletes only these, and cuts nobody without `--force`."""
    write(tmp_path, f"nlb: {there.arn}")
    before = at_cloud.aws.inventory()
    at_cloud.calls()
    built = run("up", "--json")
    assert built.code == 0, built.err
    made = {"CreateVpcEndpointServiceConfiguration", "ModifyVpcEndpointServicePermissions"}
    assert set(at_cloud.changes()) == made
    at_cloud.let_new_ids_propagate()
    rows = {row["key"]: row for row in run("status", "--json").json[-1]["resources"]}
    assert "active, tcp 80; it was there before the lab" in rows["provider/nlb"]["detail"]
    assert {row["phase"] for row in rows.values()} == {"ready"}
    at_cloud.calls()
    assert run("up", "-q").code == 0
    assert at_cloud.changes() == []
    endpoint = ask(at_cloud, built.json[-1]["service_name"], ACME)
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == [endpoint]
    assert endpoint in run("down", "-y").err
    at_cloud.calls()
    assert run("down", "-y", "--force").code == 0
    assert set(at_cloud.changes()) == {"RejectVpcEndpointConnections", "DeleteVpcEndpointServiceConfigurations"}
    after = at_cloud.aws.inventory()
    assert [line for kind, lines in before.items() for line in lines if line not in after[kind]] == []


def test_consumer_of_ones_own_beside_it(at_cloud: Cloud, run: Run, there: There, tmp_path: Path) -> None:
    """A consumer goes into a zone of the balancer, and its group admits the listener's port."""
    write(tmp_path, f"nlb: {there.arn}", "[{name: mine}]")
    assert run("up", "-q").code == 0
    at_cloud.let_new_ids_propagate()
    rows = {row["key"]: row for row in run("status", "--json").json[-1]["resources"]}
    assert {row["phase"] for row in rows.values()} == {"ready"}
    assert rows["mine/security-group/ingress"]["detail"].startswith("tcp 80 from")
    assert "empty-target-group" in run("why").out  # nobody has registered a target there
    assert run("down", "-y").code == 0


@pytest.mark.parametrize(
    ("arn", "says"),
    [
        ("arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/none/0123456789abcdef", "NotFound"),
        ("without listener", "has no listener of protocol TCP or TLS."),
        ("with a service", "carries vpce-svc-"),
    ],
)
def test_balancer_that_cannot_serve(
    request: pytest.FixtureRequest, run: Run, tmp_path: Path, arn: str, says: str
) -> None:
    """It is refused before anything is made, in `--dry-run` as well."""
    at_cloud, there = request.getfixturevalue("at_cloud"), request.getfixturevalue("there")
    if arn == "without listener":
        arn = make_balancer(at_cloud, "empty", there.subnets, "internet-facing")
    elif arn == "with a service":
        request.getfixturevalue("service")
        arn = there.arn
    write(tmp_path, f"nlb: {arn}")
    at_cloud.calls()
    for words in (["up", "--dry-run"], ["up", "-q"]):
        refused = run(*words)
        assert refused.code == 1
        assert says in refused.err
    assert at_cloud.changes() == []


def principals(cloud: Cloud, service: str) -> dict[str, str]:
    """By account that may ask: the lab that its permission's tag names, '' for none."""
    rows = cloud.account().ec2.describe_vpc_endpoint_service_permissions(ServiceId=service)["AllowedPrincipals"]
    return {row["Principal"].split(":")[4]: tags.of(row).get(tags.LAB, "") for row in rows}


def test_customers_of_a_service_that_is_there(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """Permissions are given, tagged and taken away, customers are admitted by rule; the service stays as it is."""
    write(tmp_path, f"service: {{id: {service}}}")
    at_cloud.calls()
    built = run("up", "--json")
    assert built.code == 0, built.err
    assert at_cloud.changes() == ["ModifyVpcEndpointServicePermissions", "CreateTags"]
    assert principals(at_cloud, service) == {SOMEBODY: "", ACME: "api"}
    rows = {row["key"]: row for row in run("status", "--json").json[-1]["resources"]}
    assert f"1 given by plab; also {ROOT.format(SOMEBODY)}, which plab leaves alone" == rows[PERMISSIONS]["detail"]
    assert run("up", "-q").code == 0
    assert at_cloud.changes() == []
    at_cloud.let_new_ids_propagate()
    endpoint = ask(at_cloud, built.json[-1]["service_name"], ACME)
    assert run("accept", "--rules", "--json").json[-1]["accepted"] == [endpoint]
    at_cloud.calls()
    removed = run("down", "-y")
    assert removed.code == 0, removed.err
    assert f"{service} was there before the lab, and stays, with its connections: {endpoint}." in removed.err
    assert at_cloud.changes() == ["ModifyVpcEndpointServicePermissions"]
    assert principals(at_cloud, service) == {SOMEBODY: ""}


def test_who_is_revoked_loses_a_permission_of_plab_alone(
    at_cloud: Cloud, run: Run, service: str, tmp_path: Path
) -> None:
    """A permission that somebody else gave stays, and `status` names it."""
    write(tmp_path, f"service: {{id: {service}}}")
    assert run("up", "-q").code == 0
    config = (tmp_path / "plab.yaml").read_text()
    changed = config.replace("['222222222222']}", "['222222222222'], access: revoked}")
    changed = changed.replace("consumers:", f"  other: {{accounts: ['{SOMEBODY}'], access: revoked}}\nconsumers:")
    (tmp_path / "plab.yaml").write_text(changed)
    assert run("up", "-q").code == 0
    assert principals(at_cloud, service) == {SOMEBODY: ""}


def test_a_run_that_is_killed_between_permission_and_tag(
    at_cloud: Cloud, run: Run, service: str, tmp_path: Path
) -> None:
    """The state has noted first what `up` was about to give, so the next run tags it."""
    write(tmp_path, f"service: {{id: {service}}}")
    at_cloud.fail("CreateTags", 403, "UnauthorizedOperation")
    assert run("up", "-q").code == 1
    assert principals(at_cloud, service) == {SOMEBODY: "", ACME: ""}
    at_cloud.heal()
    at_cloud.calls()
    assert run("up", "-q").code == 0
    assert at_cloud.changes() == ["CreateTags"]
    assert principals(at_cloud, service) == {SOMEBODY: "", ACME: "api"}


def test_rules_have_no_say_where_aws_admits_everybody(at_cloud: Cloud, run: Run, service: str, tmp_path: Path) -> None:
    """A service that requires no acceptance admits every allowed account; `accept --rules` says so."""
    ec2: Any = at_cloud.account().ec2
    ec2.modify_vpc_endpoint_service_configuration(ServiceId=service, AcceptanceRequired=False)
    write(tmp_path, f"service: {{id: {service}}}")
    assert run("up", "-q").code == 0
    refused = run("accept", "--rules")
    assert refused.code == 2
    assert "AWS admits every allowed account" in refused.err


def test_a_lab_that_was_built_is_not_turned_into_one_on_a_balancer(
    at_cloud: Cloud, run: Run, there: There, tmp_path: Path
) -> None:
    """What the lab has made before would be forgotten, so `up` refuses; the earlier config removes it."""
    (tmp_path / "plab.yaml").write_text("lab: api\nregion: us-east-1\n")
    assert run("up", "-q").code == 0
    at_cloud.let_new_ids_propagate()
    write(tmp_path, f"nlb: {there.arn}")
    at_cloud.calls()
    refused = run("up", "-q")
    assert refused.code == 2
    assert "The lab has made provider/vpc," in refused.err
    assert at_cloud.changes() == []
    assert run("down", "-y").code == 0
