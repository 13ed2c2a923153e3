"""Labs of several makers in one account, of which nothing is left on this machine; and other people's things there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from privatelink_lab import engine, tags
from privatelink_lab.aws import Account, connect
from privatelink_lab.engine import Built
from privatelink_lab.kind import Kind, Row
from privatelink_lab.snapshot import has_ended
from privatelink_lab.steps import STEPS
from support.cloud import Cloud, config_of


@dataclass(frozen=True)
class Bystanders:
    """Other people's VPCs: one without tags, one with the lab's name alone, one with tags copied from the lab's VPC."""

    account: Account
    plain: str
    named: str
    copied: str
    tagged: list[int]  # how many tags each has

    @property
    def ids(self) -> list[str]:
        """All ids."""
        return [self.plain, self.named, self.copied]

    def exist(self) -> bool:
        """Whether all are still there, with the tags that they had."""
        rows = self.account.ec2.describe_vpcs(VpcIds=self.ids)["Vpcs"]
        return [len(tags.of(row)) for row in sorted(rows, key=lambda row: self.ids.index(row["VpcId"]))] == self.tagged


class Labs:
    """What is there of every lab, by its tags."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.regions = {"us-east-1"}
        self.bystanders: set[str] = set()  # ids whose tags no lab moves

    def build(self, name: str, maker: str, end: str, *, region: str = "us-east-1", **service: Any) -> Built:
        """A whole lab of a maker, whose end is that instant; its state is lost."""
        config = config_of(lab=name, region=region, provider={"service": service})
        built = self.cloud.up(self.cloud.lab(config, maker=f"{maker}@there", ttl="1h"))
        assert built.exit_code == 0
        self.regions.add(region)
        self.end(name, end)
        return built

    def end(self, name: str, end: str, *, kinds: Iterable[str] = ()) -> None:
        """Move the end of everything of a lab, or of these kinds; '' takes it away."""
        for account, kind, row in self._rows(name):
            if row[kind.id] in self.bystanders:
                continue
            if kind.name in kinds or not kinds:
                account.put_tags(kind.service, row[kind.id], {tags.EXPIRES: end})

    def names(self) -> list[str]:
        """Every lab of which something exists."""
        found = {tags.of(row)[tags.LAB] for _, _, row in self._rows("")}
        return sorted(found)

    def resources(self, name: str) -> int:
        """How many tagged resources a lab has."""
        return len(self._rows(name))

    def keys(self, name: str) -> set[str]:
        """The keys of what a lab has."""
        return {tags.of(row).get(tags.KEY, "") for _, _, row in self._rows(name)}

    def inventory(self, name: str) -> list[str]:
        """What a lab has, by id."""
        return sorted(row[kind.id] for _, kind, row in self._rows(name))

    def put_bystanders(self, name: str, *, region: str = "us-east-1") -> Bystanders:
        """Other people's VPCs beside a lab."""
        account = self._account(region)
        ids = [account.ec2.create_vpc(CidrBlock="10.77.0.0/16")["Vpc"]["VpcId"] for _ in range(3)]
        self.cloud.let_new_ids_propagate()
        vpc = next(row for _, kind, row in self._rows(name) if kind.name == "vpc")
        self.bystanders.update(ids)
        account.put_tags("ec2", ids[1], {tags.LAB: name})
        account.put_tags("ec2", ids[2], tags.own(tags.of(vpc)))
        plain, named, copied = ids
        return Bystanders(account, plain, named, copied, [0, 1, len(tags.own(tags.of(vpc)))])

    def _rows(self, name: str) -> list[tuple[Account, Kind, Row]]:
        """Everything that bears the tag of a lab, or of any lab, and has not ended."""
        found = []
        for account in map(self._account, sorted(self.regions)):
            for kind, by_lab in engine.tagged_labs(account, STEPS).rows.items():
                assert isinstance(by_lab, dict)
                rows = (row for lab, of_lab in by_lab.items() if not name or lab == name for row in of_lab)
                found += [(account, kind, row) for row in rows if not has_ended(row)]
        return found

    def _account(self, region: str) -> Account:
        return connect(profile=None, role_arn=None, region=region, address=self.cloud.address)
