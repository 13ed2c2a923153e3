"""Two runs of `plab up --adopt` on one lab at once, on two machines: two labs on one cloud, in virtual time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from privatelink_lab import engine
from privatelink_lab.config import Config
from privatelink_lab.engine import Built
from privatelink_lab.lab import Lab
from privatelink_lab.state import Party, State
from privatelink_lab.steps import STEPS
from support.cloud import READS, Cloud, VirtualClock, config_of, duplicates

MAKERS = ("alice@here", "bob@there")


class Killed(BaseException):
    """The machine of a run has gone."""


class SharedClock:
    """Virtual time that passes once every run sleeps, up to the first that wakes."""

    def __init__(self, clock: VirtualClock, runs: int) -> None:
        self.clock, self.awake = clock, runs
        self.sleeping: list[float] = []
        self.changed = threading.Condition()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.time

    def sleep(self, seconds: float) -> None:
        """Return when it is so late."""
        with self.changed:
            until = self.clock.time + seconds
            self.sleeping.append(until)
            self.stop()
            self.changed.wait_for(lambda: self.clock.time >= until)

    def stop(self) -> None:
        """One run less is awake."""
        with self.changed:
            self.awake -= 1
            if not self.awake and self.sleeping:
                self.clock.time = max(self.clock.time, min(self.sleeping))
                self.awake = sum(until <= self.clock.time for until in self.sleeping)
                self.sleeping = [until for until in self.sleeping if until > self.clock.time]
            self.changed.notify_all()

    def wake(self) -> None:
        """Do nothing: no test interrupts a run."""


@dataclass
class Spoilt:
    """What happens to the change of a run with this number, before or after its effect: a delay, or the run's end."""

    number: int = 0  # 0: nothing
    after: bool = False
    seconds: float | None = None  # None: the run is killed
    action: str = ""  # the change, once it has come
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def watch(self, lab: Lab) -> Lab:
        """The same lab, whose changes are counted."""
        plain = lab.connect

        def connect(party: Party) -> Any:
            account = plain(party)
            account._session.events.register("after-call" if self.after else "before-call", self._count(lab))
            return account

        lab.connect = connect
        return lab

    def _count(self, lab: Lab) -> Callable[..., None]:
        def count(model: Any, **_: Any) -> None:
            with self._lock:
                self.number -= not model.name.startswith(READS)
                if self.number or self.action or model.name.startswith(READS):
                    return
                self.action = model.name
            if self.seconds is None:
                raise Killed(model.name)
            lab.clock.sleep(self.seconds)

        return count


class TwoRuns:
    """The runs of alice and of bob, each with a state of its own."""

    def __init__(self, cloud: Cloud, config: Config) -> None:
        self.cloud, self.config = cloud, config
        self.states = [State(config.lab) for _ in MAKERS]
        self.before = cloud.aws.inventory()

    def lab(self, number: int, clock: Any = None) -> Lab:
        """The lab of a run."""
        lab = self.cloud.lab(self.config, self.states[number], maker=MAKERS[number])
        lab.clock = clock or self.cloud.clock
        return lab

    def at_once(self, spoilt: Iterable[Spoilt] = (), *, again: bool = True) -> list[Built | None]:
        """How both end that begin at once; a run that is killed begins `again`, or has no end."""
        clock, what = SharedClock(self.cloud.clock, len(MAKERS)), dict(enumerate(spoilt))

        def run(number: int) -> Built | None:
            try:
                try:
                    return self.cloud.up(what.get(number, Spoilt()).watch(self.lab(number, clock)), adopt=True)
                except Killed:
                    return self.cloud.up(self.lab(number, clock), adopt=True) if again else None
            finally:
                clock.stop()

        with ThreadPoolExecutor(len(MAKERS)) as pool:
            return list(pool.map(run, range(len(MAKERS))))

    def one_by_one(self) -> list[Built]:
        """How each ends that begins when the other has ended."""
        self.cloud.clock.time += 60
        return [self.cloud.up(self.lab(number), adopt=True) for number in range(len(MAKERS))]


def begun(cloud: Cloud, before: Lab | None = None) -> Lab:
    """The lab of alice, new or with the state of before; another account may connect to it."""
    config = config_of(provider={"service": {"allowed_principals": ["444455556666"]}})
    return cloud.lab(config, before.state if before else None, maker=MAKERS[0])


def runs_of(cloud: Cloud, case: str) -> TwoRuns:
    """Two runs that `begin` a lab, or of which each adds a `consumer` to a lab that exists."""
    runs = TwoRuns(cloud, config_of({"name": "acme"}, {"name": "beta"}))
    if case == "consumer":
        assert cloud.up(cloud.lab(maker="carol@there")).exit_code == 0
        cloud.clock.time += 120
    cloud.calls()
    return runs


def left_over(runs: TwoRuns) -> list[str]:
    """What exists twice, and what is left of the lab after a `down` of alice."""
    twice = [key for _, key in duplicates(runs.cloud)]
    lab = runs.lab(0)
    engine.claim_or_refuse(lab, engine.survey(lab, STEPS, to_delete=True).snapshot, adopt=True)
    removed = runs.cloud.down(lab)
    runs.cloud.clock.time += 600  # until AWS shows nothing of it
    now = runs.cloud.aws.inventory()
    lost = {line for kind in now | runs.before for line in {*now.get(kind, [])} ^ {*runs.before.get(kind, [])}}
    return [*twice, *removed.left, *sorted(lost)]
