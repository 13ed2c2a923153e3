"""`plab iam-policy`: the actions that it allows are the calls that plab makes, and the rights that are no calls."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.cloud import Cloud, config_of, id_of
from support.command_line import Run
from support.customers import ask
from support.foreign_account import STRANGER, connect_stranger
from support.labs import Labs
from support.stand_in_traffic import stand_in

from privatelink_lab import engine
from privatelink_lab.aws import Account
from privatelink_lab.commands import by_rules
from privatelink_lab.commands.iam_policy import policy
from privatelink_lab.config import Config
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party
from privatelink_lab.steps import STEPS
from privatelink_lab.steps._security_group import RULE_TEXT
from privatelink_lab.steps.probe import LINE_PREFIX, ProbeTask, probe
from privatelink_lab.ui.output import Screen

ACME = {"name": "acme", "role_arn": "arn:aws:iam::222222222222:role/acme"}
# Of a lab on a balancer that was there, and of one whose service is somebody else's.
OF_EXISTING = {"ec2:DescribeAvailabilityZones", "ec2:DescribeVpcEndpointServices"}
NO_CALLS = {"ec2:CreateTags", "elasticloadbalancing:AddTags", "iam:CreateServiceLinkedRole"}  # rights of another call
DELETES = ("Delete", "Terminate")
OLD_RULE = {"CidrIp": "10.0.0.0/8", "Description": RULE_TEXT}
CUSTOMERS = {"acme": {"accounts": ["333333333333"]}}
Calls = defaultdict[str, set[str]]


def recorded(cloud: Cloud, config: Config, calls: Calls, before: Lab | None = None) -> Lab:
    """A lab that notes which IAM actions it uses as the provider and as the consumer."""
    lab = cloud.lab(config, state=before.state if before else None)
    plain = lab.connect

    def connect(party: Party) -> Account:
        account = plain(party)
        side = "consumer" if party.role_arn else "provider"

        def note(model: Any, **_: Any) -> None:
            if (
                model.service_model.signing_name != "sts"
            ):  # AssumeRole is the caller's; GetCallerIdentity takes no right
                calls[side].add(f"{model.service_model.signing_name}:{model.name}")

        account._session.events.register("before-call", note)
        return account

    lab.connect = connect
    return lab


def change_by_hand(cloud: Cloud, lab: Lab, built: engine.Built) -> None:
    """Change by hand what `up` sets again, and connect another account."""
    account = cloud.account()
    account.ec2.stop_instances(InstanceIds=[id_of(built, "provider/web-server")])
    vpc = id_of(built, "provider/vpc")
    made = account.elbv2.create_target_group(Name="by-hand", Protocol="TCP", Port=80, VpcId=vpc)
    group = made["TargetGroups"][0]["TargetGroupArn"]
    cloud.let_new_ids_propagate()
    actions: Any = [{"Type": "forward", "TargetGroupArn": group}]
    account.elbv2.modify_listener(ListenerArn=id_of(built, "provider/nlb/listener"), DefaultActions=actions)
    everything: Any = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    old: Any = [{"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "IpRanges": [OLD_RULE]}]  # of an earlier config
    for key, role in (("provider/security-group", None), ("acme/security-group", ACME["role_arn"])):
        cloud.account(role).ec2.revoke_security_group_egress(GroupId=id_of(built, key), IpPermissions=everything)
        cloud.account(role).ec2.authorize_security_group_ingress(GroupId=id_of(built, key), IpPermissions=old)
    target_group = id_of(built, "provider/target-group")
    proxy: Any = {"Key": "proxy_protocol_v2.enabled", "Value": "true"}
    account.elbv2.modify_target_group(TargetGroupArn=target_group, HealthyThresholdCount=5)
    account.elbv2.modify_target_group_attributes(TargetGroupArn=target_group, Attributes=[proxy])
    endpoint = id_of(built, "acme/endpoint")
    policy = '{"Statement": []}'
    cloud.account(ACME["role_arn"]).ec2.modify_vpc_endpoint(VpcEndpointId=endpoint, PolicyDocument=policy)
    connect_stranger(cloud, built)


def move_server(cloud: Cloud, built: engine.Built) -> str:
    """Give the web server another security group, and return its id."""
    ec2 = cloud.account().ec2
    made = ec2.create_security_group(GroupName="other", Description="other", VpcId=id_of(built, "provider/vpc"))
    cloud.let_new_ids_propagate()
    ec2.modify_instance_attribute(InstanceId=id_of(built, "provider/web-server"), Groups=[made["GroupId"]])
    return str(made["GroupId"])


def put_guests(cloud: Cloud, lab: Lab) -> Callable[[], None]:
    """Another person's security group in both VPCs, which hold them; returns what removes them."""
    guests = []
    for key, role in (("provider/vpc", None), ("acme/vpc", ACME["role_arn"])):
        ec2 = cloud.account(role).ec2
        made = ec2.create_security_group(GroupName="guest", Description="guest", VpcId=lab.state.ids[key])
        guests.append((ec2, made["GroupId"]))

    def leave() -> None:
        for ec2, id_ in guests:
            ec2.delete_security_group(GroupId=id_)

    return leave


def whole_life(cloud: Cloud) -> Calls:
    """Build a lab across two accounts, repair it, change it, probe it and delete it; returns the actions by side."""
    stand_in(cloud.aws).writes = lambda _: f"{LINE_PREFIX} {json.dumps({'end': True, 'tries': 1})}\n".encode()
    calls: Calls = defaultdict(set)
    asks = {"allowed_principals": [STRANGER.split(":")[4]]}
    lab = recorded(cloud, config_of(ACME, provider={"service": asks}), calls)
    change_by_hand(cloud, lab, cloud.up(lab))
    cloud.clock.sleep(60)
    repaired = recorded(cloud, config_of(ACME, provider={"service": {"acceptance_required": False}}), calls, lab)
    assert cloud.up(repaired).exit_code == 0
    cloud.clock.sleep(60)
    changed = recorded(cloud, config_of(ACME, provider={"web_server": {"message": "another"}}), calls, repaired)
    built = cloud.up(changed)
    assert built.exit_code == 0
    group = move_server(cloud, built)
    cloud.clock.sleep(60)
    assert cloud.up(recorded(cloud, changed.config, calls, changed)).exit_code == 0
    cloud.account().ec2.delete_security_group(GroupId=group)
    verified = recorded(cloud, changed.config, calls, changed)
    probed = probe(verified, "acme", ProbeTask(requests=1, seconds=60, run="one"))
    assert engine.create_only(verified, {probed.key: probed}, engine.survey(verified, STEPS)).exit_code == 0
    leave = put_guests(cloud, verified)
    assert cloud.down(verified).exit_code == 3
    leave()
    assert cloud.down(verified).exit_code == 0
    return calls


def allowed(*sides: str) -> set[str]:
    """The actions of these policies."""
    return {action for side in sides for s in policy(side, "test")["Statement"] for action in s["Action"]}


def test_the_policies_are_what_a_whole_life_of_a_lab_calls(cloud: Cloud) -> None:
    """With the printed policies AWS refuses no call of a lab's life, and they hold no action that plab never calls."""
    calls = whole_life(cloud)
    assert allowed("provider") - NO_CALLS - OF_EXISTING == calls["provider"]
    assert allowed("consumer", "verify") - NO_CALLS - OF_EXISTING == calls["consumer"]
    assert allowed("provider", "consumer") > OF_EXISTING


@pytest.mark.parametrize("side", ["provider", "consumer", "verify"])
def test_only_what_deletes_carries_the_lab_s_tag(side: str) -> None:
    """AWS allows a delete for what bears the tag of this lab; every other action has no condition."""
    free, tagged = policy(side, "mine")["Statement"]
    assert tagged["Condition"] == {"StringEquals": {"aws:ResourceTag/plab:lab": "mine"}}
    assert all(action.partition(":")[2].startswith(DELETES) for action in tagged["Action"])
    assert not any(action.partition(":")[2].startswith(DELETES) for action in free["Action"])
    assert "Condition" not in free


def test_the_policy_of_reap_deletes_any_lab_and_makes_nothing(at_cloud: Cloud, run: Run) -> None:
    """It holds what `plab reap --all-regions` calls, deletes what bears the tag of a lab, and can create nothing."""
    free, tagged = policy("reap", "mine")["Statement"]
    assert tagged["Condition"] == {"StringLike": {"aws:ResourceTag/plab:lab": "*"}}
    reads = ("ec2:Describe", "ec2:Get", "elasticloadbalancing:Describe")
    assert all(action.startswith(reads) for action in free["Action"])
    labs = Labs(at_cloud)
    labs.build("old", "ann", "2026-01-01T00:00:00Z")
    at_cloud.calls()
    assert run("reap", "-y", "--all-regions").code == 0
    calls = {name for name in at_cloud.calls() if name != "GetCallerIdentity"}
    assert labs.names() == []
    assert calls <= {action.partition(":")[2] for action in allowed("reap")}


@pytest.mark.parametrize("kind", ["provider", "consumer"])
def test_who_may_create_may_tag(kind: str) -> None:
    """AWS refuses a create with tags to credentials without the right to tag."""
    actions = allowed(kind)
    assert "ec2:CreateTags" in actions
    assert ("elasticloadbalancing:AddTags" in actions) == ("elasticloadbalancing:CreateLoadBalancer" in actions)


def test_it_prints_the_policy_of_the_config_s_lab_and_calls_nothing(run: Run, at_cloud: Cloud, tmp_path: Path) -> None:
    """A user pastes what stdout has; without a config the policy is for the default lab."""
    (tmp_path / "plab.yaml").write_text("lab: mine\nregion: us-east-1\n", encoding="utf-8")
    at_cloud.calls()
    assert json.loads(run("iam-policy", "provider").out) == policy("provider", "mine")
    (tmp_path / "plab.yaml").unlink()
    assert json.loads(run("iam-policy", "verify").out) == policy("verify", "privatelink-lab")
    assert at_cloud.calls() == []


def test_the_page_shows_what_the_command_prints() -> None:
    """The policies of docs/iam.md are those of the default lab."""
    page = (Path(__file__).parents[2] / "docs" / "iam.md").read_text(encoding="utf-8")
    shown = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    assert shown == [
        policy(side, "privatelink-lab") for side in ("provider", "consumer", "verify", "why", "reap", "acceptor")
    ]


def test_an_acceptor_calls_what_its_policy_has(cloud: Cloud) -> None:
    """One look of `plab accept --watch` finds the customer, admits it and writes it down, and calls nothing else."""
    config = Config.model_validate({"lab": "test", "region": "us-east-1", "customers": CUSTOMERS})
    lab = cloud.lab(config)
    built = cloud.up(lab)
    cloud.let_new_ids_propagate()
    ask(cloud, built.done["provider/endpoint-service"][0].shows["service_name"], "333333333333")
    calls: Calls = defaultdict(set)
    stub: Any = SimpleNamespace(lab=recorded(cloud, config, calls, lab), screen=Screen())
    assert len(by_rules._look(stub, {})) == 1
    [statement] = policy("acceptor", "test")["Statement"]
    assert calls["provider"] == set(statement["Action"])
