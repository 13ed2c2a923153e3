"""The local AWS in this process, with the clock and the faults that a test chooses."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from privatelink_lab import engine
from privatelink_lab.aws import Account, Address, connect
from privatelink_lab.config import Config
from privatelink_lab.engine import Built, Removed
from privatelink_lab.events import Event
from privatelink_lab.lab import Lab
from privatelink_lab.local.api.clock import AwsClock
from privatelink_lab.local.control_client import parse_fault
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS
from support.inventory import InventoriedAws

READS = ("Describe", "Get", "AssumeRole", "status")


class VirtualClock:
    """Time that passes only in `sleep`; plab and the local AWS share it.

    The command line has a real clock. Where that runs, time `flows` as well.
    """

    def __init__(self) -> None:
        self.time = 1_700_000_000.0
        self.flows = False
        self.sleeps = 0
        self.before_sleep: Callable[[], None] = lambda: None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.time + (time.monotonic() if self.flows else 0)

    def sleep(self, seconds: float) -> None:
        """Let time pass at once."""
        self.before_sleep()
        self.sleeps += 1
        self.time += seconds

    def wake(self) -> None:
        """Do nothing: no thread really sleeps."""


@dataclass
class Cloud:
    """The local AWS, its clock, and the calls and events that a test reads."""

    aws: InventoriedAws
    clock: VirtualClock
    lines: list[str] = field(default_factory=list)
    always: list[dict[str, Any]] = field(default_factory=list)  # faults of the whole run
    events: list[Event] = field(default_factory=list)

    @property
    def address(self) -> Address:
        """Its URL and its keys."""
        return Address(self.aws.url, self.aws.access_key_id, self.aws.secret_access_key)

    def account(self, role_arn: str | None = None) -> Account:
        """An account in it: its own, or a role's."""
        return connect(profile=None, role_arn=role_arn, region="us-east-1", address=self.address)

    def lab(self, config: Config | None = None, state: State | None = None, **overrides: Any) -> Lab:
        """A lab of that config on this cloud."""
        config = config or config_of()

        def reach(party: Party) -> Account:
            return connect(profile=party.profile, role_arn=party.role_arn, region=config.region, address=self.address)

        state = state or State(lab=config.lab)
        return Lab(config, state, reach, self.clock, self.events.append, **overrides)

    def up(self, lab: Lab, **options: Any) -> Built:
        """`plab up`."""
        return engine.up(lab, STEPS, **options)

    def up_again(self, lab: Lab, config: Config | None = None) -> Built:
        """The next `plab up`, a minute later, from the state of the last one."""
        self.clock.sleep(60)
        return self.up(self.lab(config, state=lab.state))

    def down(self, lab: Lab) -> Removed:
        """`plab down`."""
        return engine.down(lab, STEPS, engine.survey(lab, STEPS, to_delete=True))

    def fail(self, action: str, status: int, code: str) -> None:
        """Let AWS refuse an action from now on."""
        refusal = {"kind": "error", "action": action, "status": status, "code": code}
        self.aws.choose_faults([*self.always, refusal])

    def heal(self) -> None:
        """End the faults that a test chose; those of the whole run stay."""
        self.aws.choose_faults(self.always)

    def let_new_ids_propagate(self) -> None:
        """Let a minute pass, so that every call knows what a test has made itself."""
        self.clock.time += 60

    def calls(self) -> list[str]:
        """The API operations since the last `calls()`, in order."""
        lines, self.lines[:] = list(self.lines), []
        return [line.split()[2] for line in lines]

    def changes(self) -> list[str]:
        """The mutating operations since the last `calls()`."""
        return [call for call in self.calls() if not call.startswith(READS)]

    def phases(self, lab: Lab) -> dict[str, str]:
        """What a survey sees: key -> AWS's word, without absent resources that plab never makes."""
        seen = engine.survey(lab, STEPS)
        return {
            key: found[0].detail if found else "missing"
            for key, found in seen.found.items()
            if found or seen.resources[key].type.made_by_plab
        }


def config_of(*consumers: Any, **values: Any) -> Config:
    """A config with these consumers (dicts; default: one called acme) and other values."""
    rows = consumers or ({"name": "acme"},)
    return Config.model_validate({"lab": "test", "region": "us-east-1"} | values | {"consumers": rows})


def duplicates(cloud: Cloud) -> list[tuple[str, str]]:
    """The kinds and keys of the resources that exist more than once."""
    keys = Counter(
        (kind, key)
        for kind, lines in cloud.aws.inventory().items()
        for line in lines
        for key in re.findall(r"'plab:key': '([^']+)'", line)
    )
    return [key for key, count in keys.items() if count > 1]


def id_of(built: Built, key: str) -> str:
    """The id that `up` ended with under a key."""
    return built.done[key][0].id


def cloud_at(speed: float, faults: Iterable[str] = ()) -> Iterator[Cloud]:
    """A local AWS in this process, `speed` times as fast as AWS, with these faults."""
    clock = VirtualClock()
    lines: list[str] = []
    with InventoriedAws(AwsClock(speed=speed, wall=clock.now), log=lines.append) as server:
        lines.clear()
        cloud = Cloud(server, clock, lines, [parse_fault(fault) for fault in faults])
        cloud.heal()
        yield cloud
