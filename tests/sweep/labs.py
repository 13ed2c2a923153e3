"""A lab on the local AWS whose commands can be struck: real processes through the proxy, the rest in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conftest import Cloud, Run

from .proxy import Proxy

PLAB = Path(sys.executable).with_name("plab")
ROLE = "arn:aws:iam::222222222222:role/lab"
CONFIG = """\
lab: test
region: us-east-1
creation_grace_period: 0
consumers:
  - name: acme
  - name: beta
    role_arn: {role}
    vpc: {{id: {vpc}, subnet_ids: [{subnet}]}}
"""


@dataclass
class StruckLab:
    """One consumer in a VPC that the lab makes, one in another account and a VPC of its own."""

    cloud: Cloud
    run: Run
    folder: Path
    proxy: Proxy
    before: dict[str, list[str]] = field(default_factory=dict)
    whole: Counter[str] = field(default_factory=Counter)
    process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Make the consumer's own VPC, and see how many things of each kind a whole lab has."""
        ec2 = self.cloud.account(ROLE).ec2
        vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.5.0.0/24", AvailabilityZoneId="use1-az1")["Subnet"][
            "SubnetId"
        ]
        (self.folder / "plab.yaml").write_text(CONFIG.format(role=ROLE, vpc=vpc, subnet=subnet))
        self.before = self.cloud.aws.inventory()
        self.must("up", "-q")
        self.whole = self.counts()
        self.must("down", "-y", "-q")
        assert self.leaked() == []

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / ".plab" / "test.json"

    def must(self, *words: str) -> None:
        """A command that ends well."""
        ran = self.run(*words)
        assert ran.code == 0, f"{words}: {ran.code}\n{ran.out}\n{ran.err}"

    def process_of(self, *words: str) -> tuple[int, str]:
        """How a process ends whose calls go through the proxy, and what it says, once they have had their effect."""
        self.process = start(self.folder, self.proxy.url, *words)
        out, err = self.process.communicate(timeout=120)
        self.proxy.settle()
        return self.process.returncode, out + err

    def send(self, *signals: int) -> None:
        """Send the process these signals."""
        assert self.process is not None
        for each in signals:
            self.process.send_signal(each)

    def counts(self) -> Counter[str]:
        """How many things of each kind there are."""
        return Counter({kind: len(lines) for kind, lines in self.cloud.aws.inventory().items()})

    def leaked(self) -> list[str]:
        """What is there that was not there before, or is not as it was."""
        now = self.cloud.aws.inventory()
        return [line for kind in {*now, *self.before} for line in _apart(now.get(kind, []), self.before.get(kind, []))]

    def duplicated(self) -> dict[str, int]:
        """The kinds of which there is more, or less, than in a whole lab.

        Not targets: a target group keeps the registration of an instance that is gone, which is nothing and costs so.
        """
        now, whole = self.counts(), self.whole
        return {k: now[k] - whole[k] for k in now | whole if k != "target" and now[k] != whole[k]}


def start(folder: Path, url: str, *words: str) -> subprocess.Popen[str]:
    """A command as a process of its own, with AWS at this address."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [PLAB, *words],
        cwd=folder,
        env=os.environ | {"AWS_ENDPOINT_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def _apart(one: list[str], other: list[str]) -> list[Any]:
    return sorted(set(one) ^ set(other))
