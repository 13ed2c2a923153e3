"""Who has only one side's credentials: each half is judged by itself, says what it does not see, and both are one."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.validate import ParamValidator
from support import aws_cli, broken_lab
from support.broken_lab import BrokenLab
from support.cloud import Cloud, config_of
from support.command_line import Run
from support.customers import ask

from privatelink_lab.aws import Account, connect
from privatelink_lab.commands.why import evidence_of
from privatelink_lab.errors import AwsError
from privatelink_lab.why import judge

ROLE = "arn:aws:iam::222222222222:role/acme"
STRANGER = "arn:aws:iam::333333333333:role/stranger"
CONFIG = f"lab: test\nregion: us-east-1\nconsumers: [{{name: acme, role_arn: '{ROLE}'}}]\n"


@pytest.fixture
def two(at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokenLab:
    """A lab across two accounts, closed at both ends; its folder is another one, so that ids have to be named."""
    (tmp_path / "plab.yaml").write_text(CONFIG)
    lab = BrokenLab(at_cloud, run, tmp_path)
    assert lab.up().code == 0
    broken_lab.revoke(lab, "provider/security-group")
    group = lab.id("acme/security-group")
    ec2: Any = at_cloud.account(ROLE).ec2
    rules = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"][0]["IpPermissions"]
    ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=rules)
    (tmp_path / "plab.yaml").unlink()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    at_cloud.let_new_ids_propagate()
    return lab


def as_customer(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment has the keys of acme's account."""
    keys = cloud.account(ROLE)._session.get_credentials()
    assert keys is not None
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys.secret_key)
    monkeypatch.setenv("AWS_SESSION_TOKEN", str(keys.token))


def test_each_side_alone_and_both(two: BrokenLab, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The provider sees its closed target, the customer its closed endpoint; both files show both, in order."""
    [mine] = run("why", two.service, "--save", "provider.json", "--json").json[-1]["paths"]
    assert (mine["code"], mine["account"]) == ("target-group-closed", "222222222222")
    assert mine["unseen"] == [
        f"the consumer's half (account 222222222222); who has its credentials: plab why --save FILE {two.endpoint}"
    ]
    as_customer(two.cloud, monkeypatch)
    [theirs] = run("why", two.endpoint, "--save", "customer.json", "--json").json[-1]["paths"]
    assert (theirs["code"], theirs["fix"]) == ("endpoint-group-closed", "")
    assert [text.partition(";")[0] for text in theirs["unseen"]] == ["the provider's half"]
    ran = run("why", two.endpoint, "--from", "provider.json", "--from", "customer.json", "--json")
    [both] = ran.json[-1]["paths"]
    assert (both["code"], [row["code"] for row in both["also"]]) == ("endpoint-group-closed", ["target-group-closed"])
    assert both["unseen"] == []
    saved = (tmp_path / "customer.json").read_text()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in saved
    assert os.environ["AWS_SESSION_TOKEN"] not in saved


@pytest.mark.parametrize(
    ("sums", "said"),
    [
        ((0, 0), "available; no connection came from it in the last hour, so look at the customer's half first"),
        ((12, 3), "available; 12 new connections and 3 resets in the last hour"),
        ((), "available"),
    ],
)
def test_what_cloudwatch_shows_of_a_half_that_is_not_seen(
    two: BrokenLab, run: Run, monkeypatch: pytest.MonkeyPatch, sums: tuple[float, ...], said: str
) -> None:
    """The provider alone: one GetMetricData, which botocore's model takes, says whether anything came."""
    plain, asked = Account.pages, []

    def pages(account: Account, service: str, operation: str, result: str, **request: Any) -> list[dict[str, Any]]:
        if service != "cloudwatch":
            return plain(account, service, operation, result, **request)
        model = account.client(service, once=False).meta.service_model.operation_model("GetMetricData")
        assert not ParamValidator().validate(request, model.input_shape).has_errors()
        asked.append([query["MetricStat"]["Metric"]["MetricName"] for query in request["MetricDataQueries"]])
        return [{"Id": f"m{number}", "Values": [value]} for number, value in enumerate(sums, start=1)]

    monkeypatch.setattr(Account, "pages", pages)
    out = run("why", two.service).out
    [line] = [line for line in out.splitlines() if line.startswith("  acceptance ")]
    assert line.split(None, 2)[2] == said
    assert asked == [["PortAllocationErrorCount", "NewConnections", "RstPacketsSent"]]


def test_where_cloudwatch_is_closed_nothing_is_missed(two: BrokenLab, run: Run) -> None:
    """It is optional: the local AWS has none, and `why` neither fails nor complains."""
    [path] = run("why", two.service, "--json").json[-1]["paths"]
    assert (path["code"], len(path["unseen"])) == ("target-group-closed", 1)


def test_an_account_that_has_not_asked_yet(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """`why ACCOUNT_ID`: the provider's half says whether its request would be taken, and advises to admit nobody."""
    lab = BrokenLab(at_cloud, run, tmp_path)
    lab.up()
    [path] = lab.why("333333333333")
    assert path["code"] == "not-permitted"
    assert path["fix"].startswith("the line to add to the config: allowed_principals: ['333333333333']")
    assert "accept" not in json.dumps(path)
    lab.type(path["by_hand"])
    assert lab.run("why", "333333333333").code == 1  # it is not built
    assert lab.why("333333333333")[0]["code"] is None


def test_an_account_that_asks_from_another_region(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The Region is offered, the account allowed; then what is left is a request that does not name the Region."""
    lab = BrokenLab(at_cloud, run, tmp_path)
    lab.up()
    who = ("333333333333", "--region", "eu-west-1")
    for code in ("region-not-offered", "not-permitted"):
        [path] = lab.why(*who)
        assert path["code"] == code
        lab.type(path["by_hand"])
    there = connect(profile=None, role_arn=STRANGER, region="eu-west-1", address=at_cloud.address)
    vpc = there.ec2.create_vpc(CidrBlock="10.3.0.0/16")["Vpc"]["VpcId"]
    at_cloud.let_new_ids_propagate()
    subnet = there.ec2.create_subnet(VpcId=vpc, CidrBlock="10.3.0.0/24")["Subnet"]["SubnetId"]
    at_cloud.let_new_ids_propagate()
    asked: Any = {"VpcEndpointType": "Interface", "VpcId": vpc, "SubnetIds": [subnet], "PrivateDnsEnabled": False}
    asked["ServiceName"] = path["service_name"]
    with pytest.raises(AwsError, match="InvalidServiceName"):
        there.ec2.create_vpc_endpoint(**asked)
    [path] = lab.why(*who)
    assert (path["code"], path["confidence"]) == ("service-region-missing", "likely")
    assert aws_cli.type_in(there, path["by_hand"])["ServiceDetails"][0]["ServiceRegion"] == "us-east-1"
    there.ec2.create_vpc_endpoint(**asked, ServiceRegion="us-east-1")
    at_cloud.let_new_ids_propagate()
    [path] = lab.why(*who)
    assert (path["code"], path["fix"]) == ("waiting-for-acceptance", "")
    lab.run("accept", "-y", path["endpoint"])
    at_cloud.let_new_ids_propagate()
    assert [path["code"] for path in lab.why(*who)] == [None]


def test_an_endpoint_that_is_listed_and_of_another_account(at_cloud: Cloud, run: Run, tmp_path: Path) -> None:
    """The config admits an id of carol's, and it is of somebody else's account: it waits until the config is right."""
    lab = BrokenLab(at_cloud, run, tmp_path)
    config = "lab: test\nregion: us-east-1\ncustomers:\n  carol: {accounts: ['333333333333', '444444444444']}\n"
    (tmp_path / "plab.yaml").write_text(config)
    service = lab.run("up", "--json").json[-1]["service_name"]
    at_cloud.let_new_ids_propagate()
    endpoint = ask(at_cloud, service, "444444444444")
    listed = f"carol: {{accounts: ['333333333333'], admit: [{endpoint}]}}\n  dave: {{accounts: ['444444444444']}}\n"
    (tmp_path / "plab.yaml").write_text(config.partition("carol")[0] + listed)
    [path] = lab.why(endpoint)
    assert (path["code"], path["confidence"], path["also"]) == ("wrong-owner", "proved", [])
    assert path["evidence"] == f"{endpoint} is of account 444444444444, expected is 333333333333"
    assert path["fix"] == "the line to correct in the config: accounts or admit of the customer"
    assert lab.run("accept", "--rules", "--json").json[-1]["accepted"] == [endpoint]  # by the rule of its own customer
    (tmp_path / "plab.yaml").write_text(config)
    assert [path["code"] for path in lab.why(endpoint)] == [None]


@pytest.mark.parametrize("words", [("acme", "--region", "eu-west-1"), ("333333333333", "--region", "mars-1")])
def test_a_region_that_means_nothing(at_cloud: Cloud, run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    """Exit 2 before anything is asked: a consumer has its Region, and AWS has not every name."""
    BrokenLab(at_cloud, run, tmp_path).up()
    at_cloud.calls()
    assert run("why", *words).code == 2
    assert at_cloud.calls() == []


def test_a_role_that_is_not_the_one_that_is_allowed(two: BrokenLab, run: Run, tmp_path: Path) -> None:
    """The service allows one role of acme's account, and plab asks as another: proved, and `plab up` allows both."""
    (tmp_path / "plab.yaml").write_text(CONFIG)
    broken_lab.forbid_and_delete(two)
    broken_lab.allow_a_role(two, "222222222222")
    [path] = two.why("acme")
    assert (path["code"], path["confidence"], path["fix"]) == ("role-principal-mismatch", "proved", "plab up")
    two.type(path["fix"])
    assert [path["code"] for path in two.why("acme")] == [None]


def test_why_asks_little(cloud: Cloud) -> None:
    """At most 25 calls for one consumer, 3 more for each further one, 10 where it has an account of its own."""

    def asked(*consumers: dict[str, Any]) -> int:
        lab = cloud.lab(config_of(*consumers))
        assert cloud.up(lab).exit_code == 0
        cloud.let_new_ids_propagate()
        again = cloud.lab(lab.config, lab.state)
        cloud.calls()
        assert all(not verdict.causes for verdict in judge(evidence_of(again)))
        count = len(cloud.calls())
        assert cloud.changes() == []
        cloud.down(lab)
        return count

    alone = asked({"name": "acme"})
    assert alone <= 25
    assert asked(*({"name": f"c{number}"} for number in range(4))) <= alone + 9
    assert asked({"name": "acme"}, {"name": "far", "role_arn": ROLE}) <= alone + 10
