"""A lab whose commands can be interrupted: as processes through a proxy, or undisturbed in this process."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cloud import Cloud
from support.command_line import Run
from support.hook_proxy import HookProxy
from support.processes import start_plab
from support.timeouts import PATIENCE

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


Count = Callable[[str, int], None]  # adds a number to a figure of `make sweep`


@dataclass
class ProxiedLab:
    """A lab with one consumer in a new VPC, and one in an existing VPC of another account."""

    cloud: Cloud
    run: Run
    folder: Path
    proxy: HookProxy
    before: dict[str, list[str]] = field(default_factory=dict)
    whole: Counter[str] = field(default_factory=Counter)
    process: subprocess.Popen[str] | None = None

    def prepare(self) -> None:
        """Create the existing VPC, and count the resources of every kind in a whole lab."""
        ec2 = self.cloud.account(ROLE).ec2
        vpc = ec2.create_vpc(CidrBlock="10.5.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.5.0.0/24", AvailabilityZoneId="use1-az1")["Subnet"][
            "SubnetId"
        ]
        (self.folder / "plab.yaml").write_text(CONFIG.format(role=ROLE, vpc=vpc, subnet=subnet))
        self.before = self.cloud.aws.inventory()
        self.run_well("up", "-q")
        self.whole = self.counts()
        self.run_well("down", "-y", "-q")
        assert self.leaked() == []

    @property
    def state(self) -> Path:
        """The state file."""
        return self.folder / ".plab" / "test.json"

    def run_well(self, *words: str) -> None:
        """Run a command in this process; it must end with exit code 0."""
        ran = self.run(*words)
        assert ran.code == 0, f"{words}: {ran.code}\n{ran.out}\n{ran.err}"

    def run_proxied(self, *words: str) -> tuple[int, str]:
        """The exit code and output of a command as a process, whose calls go through the proxy."""
        self.process = start_plab(self.folder, *words, AWS_ENDPOINT_URL=self.proxy.url)
        out, err = self.process.communicate(timeout=PATIENCE)
        self.proxy.wait_until_closed()
        return self.process.returncode, out + err

    def send(self, *signals: int) -> None:
        """Send the process these signals."""
        assert self.process is not None
        for number in signals:
            self.process.send_signal(number)

    def counts(self) -> Counter[str]:
        """The number of resources of every kind."""
        return Counter({kind: len(lines) for kind, lines in self.cloud.aws.inventory().items()})

    def leaked(self) -> list[str]:
        """The resources that were not there before or have changed, and those that are missing."""
        now = self.cloud.aws.inventory()
        return [
            line for kind in {*now, *self.before} for line in _difference(now.get(kind, []), self.before.get(kind, []))
        ]

    def duplicated(self) -> dict[str, int]:
        """The kinds of resources of which there are more or fewer than in a whole lab.

        Targets are left out: a target group keeps the registration of a terminated instance, at no cost.
        """
        now, whole = self.counts(), self.whole
        return {kind: now[kind] - whole[kind] for kind in now | whole if kind != "target" and now[kind] != whole[kind]}


def _difference(one: list[str], other: list[str]) -> list[Any]:
    return sorted(set(one) ^ set(other))
