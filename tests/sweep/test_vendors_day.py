"""A vendor's day: many customers ask, and two operators in two folders admit them by rule and run `up` at once."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.customers import known
from support.hook_proxy import HookProxy
from support.inventory import InventoriedAws
from support.processes import start_plab
from support.timeouts import PATIENCE, until

from privatelink_lab import tags
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.local.api.clock import AwsClock

SPEED = 100
STRANGER = "999999999999"  # a permission names it, and no customer
MANY, FEW = 30, 6  # customers
TWICE = 3  # of them ask a second time


def account_of(number: int) -> str:
    """The account of a customer."""
    return f"{200000000000 + number}"


@dataclass
class Day:
    """Two operators, and the customers."""

    aws: InventoriedAws
    machines: dict[Path, str]  # by folder: the URL of AWS, as that operator's machine sees it
    count: int

    def account(self, id_: str = "") -> Account:
        """The vendor's account, or a customer's."""
        address = Address(self.aws.url, self.aws.access_key_id, self.aws.secret_access_key)
        role = f"arn:aws:iam::{id_}:role/customer" if id_ else None
        return connect(profile=None, role_arn=role, region="us-east-1", address=address)

    def write(self, revoked: str = "") -> None:
        """The same config for both operators; one customer may be revoked."""
        lines = ["lab: api", "region: us-east-1", f"provider: {{service: {{allowed_principals: ['{STRANGER}']}}}}"]
        lines += ["customers:"]
        for number in range(self.count):
            access = ", access: revoked" if account_of(number) == revoked else ""
            lines.append(f"  c{number}: {{accounts: ['{account_of(number)}']{access}}}")
        for folder in self.machines:
            (folder / "plab.yaml").write_text("\n".join(lines) + "\n")

    def start(self, folder: Path, *words: str) -> subprocess.Popen[str]:
        """A command of an operator."""
        keys = {"AWS_ENDPOINT_URL": self.machines[folder], "AWS_ACCESS_KEY_ID": self.aws.access_key_id}
        return start_plab(folder, *words, "--json", **keys, AWS_SECRET_ACCESS_KEY=self.aws.secret_access_key)

    def both(self, *words: str) -> None:
        """Both operators run a command at once; both end well."""
        runs = [self.start(folder, *words) for folder in self.machines]
        ends = [(*run.communicate(timeout=PATIENCE), run.returncode) for run in runs]
        assert [code for *_, code in ends] == [0, 0], ends

    def service(self) -> dict[str, Any]:
        """The one service."""
        [row] = self.account().ec2.describe_vpc_endpoint_service_configurations()["ServiceConfigurations"]
        return dict(row)

    def rows(self) -> list[dict[str, Any]]:
        """Who is connected."""
        rows = self.account().ec2.describe_vpc_endpoint_connections()["VpcEndpointConnections"]
        return [dict(row) for row in rows]

    def states(self) -> dict[str, list[str]]:
        """By account: the states of its connections."""
        found: dict[str, list[str]] = {}
        for row in self.rows():
            found.setdefault(row["VpcEndpointOwner"], []).append(row["VpcEndpointState"])
        return {account: sorted(of) for account, of in found.items()}

    def ask(self, account: str) -> None:
        """A customer asks for a connection."""
        ec2: Any = self.account(account).ec2
        service = self.service()
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        zone = service["AvailabilityZoneIds"][0]
        made = known(lambda: ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24", AvailabilityZoneId=zone))
        request = {"VpcEndpointType": "Interface", "VpcId": vpc, "SubnetIds": [made["Subnet"]["SubnetId"]]}
        known(lambda: ec2.create_vpc_endpoint(**request, ServiceName=service["ServiceName"], PrivateDnsEnabled=False))


@pytest.fixture
def day(tmp_path: Path, *, whole: bool) -> Iterator[Day]:
    """Nothing is built yet."""
    folders = (tmp_path / "one", tmp_path / "two")
    for folder in folders:
        folder.mkdir()
    with InventoriedAws(AwsClock(SPEED)) as aws, HookProxy(aws.url) as one, HookProxy(aws.url) as two:
        yield Day(aws, dict(zip(folders, (one.url, two.url), strict=True)), MANY if whole else FEW)


class Watch:
    """`accept --watch` of both operators, until it is told to end."""

    def __init__(self, day: Day) -> None:
        self.runs = [day.start(folder, "accept", "--watch", "1") for folder in day.machines]

    def end(self) -> list[dict[str, Any]]:
        """The events of both; they end well on SIGTERM."""
        for run in self.runs:
            run.send_signal(signal.SIGTERM)
        ends = [(*run.communicate(timeout=PATIENCE), run.returncode) for run in self.runs]
        assert [code for *_, code in ends] == [0, 0], ends
        return [json.loads(line) for out, *_ in ends for line in out.splitlines()]


def test_a_vendors_day(day: Day) -> None:
    """Nobody wrong is admitted and nobody right is left out; every decision is written down; no run fails."""
    customers = [account_of(number) for number in range(day.count)]
    leaves, *stay = customers
    day.write()
    day.both("up", "--adopt")
    watch = Watch(day)
    for account in (*customers, STRANGER):
        day.ask(account)
    day.both("up", "--adopt")
    admitted = {account: ["available"] for account in customers}
    until(lambda: day.states() == admitted | {STRANGER: ["pendingAcceptance"]}, "admission of all")
    for account in stay[:TWICE]:
        day.ask(account)
    over = {account: ["available", "pendingAcceptance"] for account in stay[:TWICE]}
    until(lambda: day.states() == admitted | over | {STRANGER: ["pendingAcceptance"]}, "second requests")
    events = watch.end()
    day.write(revoked=leaves)
    day.both("up", "--adopt")
    watch = Watch(day)
    wanted = admitted | over | {STRANGER: ["pendingAcceptance"], leaves: ["rejected"]}
    until(lambda: day.states() == wanted, "the end of who is revoked")
    day.both("up", "--adopt")
    events += watch.end()
    assert day.states() == wanted
    _all_is_written_down(day, events, customers, stay[:TWICE])
    lines = [(kind, line) for kind, of_kind in day.aws.inventory().items() for line in of_kind]
    keys = [(kind, key) for kind, line in lines for key in re.findall(r"'plab:key': '([^']+)'", line)]
    assert [key for key, number in Counter(keys).items() if number > 1] == []


def _all_is_written_down(day: Day, events: list[dict[str, Any]], customers: list[str], twice: list[str]) -> None:
    """Each admission by a tag that names who, when and by what rule; each refusal by an event with its reason."""
    for row in day.rows():
        named = tags.of(row)
        if row["VpcEndpointState"] != "pendingAcceptance":
            name = f"c{customers.index(row['VpcEndpointOwner'])}"
            assert named[tags.RULE] == f"customer {name}"
            assert named[tags.BY].startswith("arn:aws:")
            assert named[tags.AT]
    reasons = {(event["owner"], event["reason"]) for event in events if event["event"] == "ruled"}
    assert {owner for owner, reason in reasons if reason == "limit-reached"} == set(twice)
    assert {owner for owner, reason in reasons if reason == "no-customer"} == {STRANGER}
    assert {owner for owner, reason in reasons if reason == "admit"} == set(customers)
