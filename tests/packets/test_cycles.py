"""Nothing piles up: after many labs the carrier has as many processes, descriptors and namespaces as after none."""

from __future__ import annotations

import time
from pathlib import Path

from conftest import config_of

from privatelink_lab import engine
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.lab import Lab
from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.network.link import Traffic
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.state import State
from privatelink_lab.steps import STEPS

from .processes import descendants
from .scenes import until

CYCLES = 20


class Hasty:
    """The machine's clock, for somebody who never waits longer than a tenth of a second."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait a little."""
        time.sleep(min(seconds, 0.1))

    def wake(self) -> None:
        """Nobody sleeps long."""


def traces(pid: int) -> tuple[int, int, int]:
    """Processes, descriptors of all of them, and namespaces that they live in."""
    family = descendants(pid)
    descriptors = sum(len(list(Path(f"/proc/{each}/fd").iterdir())) for each in family)
    kinds = ("ipc", "mnt", "net", "pid", "user", "uts")
    namespaces = {Path(f"/proc/{each}/ns/{kind}").readlink() for each in family for kind in kinds}
    return len(family), descriptors, len(namespaces)


def test_twenty_labs_leave_no_trace(traffic: Traffic) -> None:
    """Twenty times up and down, with packets: the page is served each time, and nothing stays of it."""
    own = Traffic().wait()
    assert isinstance(own, Traffic)
    with LocalAws(AwsClock(speed=0), traffic=own) as aws:
        before, account = None, account_on(aws)
        for cycle in range(CYCLES):
            lab = Lab(config_of(), State(lab="test"), lambda _: account, Hasty(), lambda _: None)
            built = engine.up(lab, STEPS)
            assert not built.failed, (cycle, built.failed)
            assert len(descendants(own.process.pid)) > 3
            removed = engine.down(lab, STEPS, engine.survey(lab, STEPS))
            assert not removed.left, (cycle, removed.left)
            if before is None:
                until(lambda: len(descendants(own.process.pid)) == 2, "end of the machines")
                before = traces(own.process.pid)
        until(lambda: traces(own.process.pid) == before, f"trace like the first, {before}")
        family = descendants(own.process.pid)
    assert not [each for each in family if Path(f"/proc/{each}").exists()]


def account_on(aws: LocalAws) -> Account:
    """The account of a local AWS; making its clients takes as long as half a lab, so all labs share it."""
    address = Address(aws.url, aws.access_key_id, aws.secret_access_key)
    return connect(profile=None, role_arn=None, region="us-east-1", address=address)
