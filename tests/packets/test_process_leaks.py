"""Nothing leaks: after many labs the agent has as many processes, descriptors and namespaces as after one."""

from __future__ import annotations

import time
from pathlib import Path

from support.cloud import config_of
from support.processes import descendants
from support.timeouts import until

from privatelink_lab import engine
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.lab import Lab
from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.network.agent_client import AgentClient
from privatelink_lab.local.server.local_aws import LocalAws
from privatelink_lab.state import State
from privatelink_lab.steps import STEPS

CYCLES = 20


class ShortSleepClock:
    """The machine's clock, on which no sleep is longer than a tenth of a second."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Sleep for at most 0.1 seconds."""
        time.sleep(min(seconds, 0.1))

    def wake(self) -> None:
        """Do nothing: no sleep is long."""


def resources_of(pid: int) -> tuple[int, int, int]:
    """The number of a process's descendants, of their descriptors and of their namespaces; zeros if one just ends."""
    pids = descendants(pid)
    try:
        return len(pids), *_held_by(pids)
    except OSError:
        return 0, 0, 0


def _held_by(pids: set[int]) -> tuple[int, int]:
    descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
    kinds = ("ipc", "mnt", "net", "pid", "user", "uts")
    namespaces = {Path(f"/proc/{pid}/ns/{kind}").readlink() for pid in pids for kind in kinds}
    return descriptors, len(namespaces)


def test_twenty_labs_leave_no_trace(agent: AgentClient) -> None:
    """`up` and `down` twenty times, with packets: the page is served every time, and nothing is left."""
    own = AgentClient().wait()
    assert isinstance(own, AgentClient)
    with LocalAws(AwsClock(speed=0), traffic=own) as aws:
        before, account = None, account_on(aws)
        for cycle in range(CYCLES):
            lab = Lab(config_of(), State(lab="test"), lambda _: account, ShortSleepClock(), lambda _: None)
            built = engine.up(lab, STEPS)
            assert not built.failed, (cycle, built.failed)
            assert len(descendants(own.process.pid)) > 3
            removed = engine.down(lab, STEPS, engine.survey(lab, STEPS))
            assert not removed.left, (cycle, removed.left)
            if before is None:
                until(lambda: len(descendants(own.process.pid)) == 2, "end of the instances")
                before = resources_of(own.process.pid)
        until(lambda: resources_of(own.process.pid) == before, f"return to {before}")
        pids = descendants(own.process.pid)
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def account_on(aws: LocalAws) -> Account:
    """The account of a local AWS. All labs share it, because creating its clients takes as long as half a lab."""
    address = Address(aws.url, aws.access_key_id, aws.secret_access_key)
    return connect(profile=None, role_arn=None, region="us-east-1", address=address)
