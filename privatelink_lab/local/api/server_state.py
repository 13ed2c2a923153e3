"""What the local AWS knows beside moto's own stores: what happened when, what is due, which tokens were used."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from moto.moto_api._internal import mock_random

from privatelink_lab.local.api.clock import Scheduler
from privatelink_lab.local.api.faults import Faults
from privatelink_lab.local.network.agent_client import AgentClient, NoAgent


class Fact(Enum):
    """What is true of a resource from a moment on; the World keeps the moment."""

    CREATED = auto()  # of an id or ARN that is not visible everywhere yet
    RUNNING = auto()  # of an instance
    BALANCER_ACTIVE = auto()
    BALANCER_DELETED = auto()  # it stays in the lists for a moment
    LISTENING = auto()  # of a listener
    REGISTERED = auto()  # of a target group and a target
    FAILING = auto()  # of a target group and a target, by a fault
    SERVICE_CREATED = auto()


class Wait(Enum):
    """What a resource has to wait for; the World keeps the moment at which the wait ends."""

    VISIBLE = auto()  # an id, ARN or connection id: until then no list has it
    BOOTED = auto()  # an instance
    UNLOCKED = auto()  # a target group: until then it cannot be deleted
    ALLOWED = auto()  # a service and a principal: until then the principal does not find the service


@dataclass
class Visitor:
    """The machine for visitors of a subnet: it boots when a visitor comes and it does not run."""

    address: str
    boots: int = 0
    runs: bool = False


@dataclass
class World:
    """The state of one local AWS.

    Times are seconds of AWS time. `tokens` holds the settings and the id of every ClientToken,
    `settings` those under which a named resource was made, by ARN. `notifications` are kept by
    account and region, then id. `boots` counts the starts of each instance, `posted` holds its
    console as of the last post. `visitors` are kept by subnet id.
    """

    scheduler: Scheduler
    faults: Faults
    tokens: dict[tuple[str, ...], tuple[str, str]] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    facts: dict[tuple[Fact, tuple[str, ...]], float] = field(default_factory=dict)
    due: dict[tuple[Wait, tuple[str, ...]], float] = field(default_factory=dict)
    notifications: dict[tuple[str, str], dict[str, dict[str, Any]]] = field(default_factory=dict)
    traffic: AgentClient | NoAgent = field(default_factory=NoAgent)
    boots: dict[str, int] = field(default_factory=dict)
    posted: dict[str, bytes] = field(default_factory=dict)
    visitors: dict[str, Visitor] = field(default_factory=dict)

    def record(self, fact: Fact, *ids: str) -> None:
        """The fact is true from now on, unless it is true already."""
        self.facts.setdefault((fact, ids), self.scheduler.now())

    def forget(self, fact: Fact, *ids: str) -> None:
        """The fact is no longer true."""
        self.facts.pop((fact, ids), None)

    def is_true(self, fact: Fact, *ids: str) -> bool:
        """Whether the fact is true now."""
        return (fact, ids) in self.facts

    def since(self, fact: Fact, *ids: str) -> float:
        """The moment from which the fact is true; infinity while it is not."""
        return self.facts.get((fact, ids), float("inf"))

    def put_off(self, delay: str, wait: Wait, *ids: str) -> None:
        """The wait ends when the time of the transition `delay` has passed."""
        self.due[wait, ids] = self.scheduler.now() + self.scheduler.clock.delay(delay)

    def is_due(self, wait: Wait, *ids: str) -> bool:
        """Whether the wait has ended, or never began."""
        return self.scheduler.now() >= self.due.get((wait, ids), 0.0)

    def is_visible(self, resource_id: str) -> bool:
        """Whether calls find an id or ARN; the fault `not-found` hides new ones for longer."""
        hidden_until = self.since(Fact.CREATED, resource_id) + self.faults.seconds("not-found")
        is_hidden = self.is_true(Fact.CREATED, resource_id) and self.scheduler.now() < hidden_until
        return self.is_due(Wait.VISIBLE, resource_id) and not is_hidden

    def hide_new(self, resource_id: str) -> None:
        """A new id or ARN becomes visible after a random time, two seconds at most; a second call does nothing."""
        if (Wait.VISIBLE, (resource_id,)) not in self.due:
            self.record(Fact.CREATED, resource_id)
            wait = self.faults.random_delay(self.scheduler.clock.delay("id_visible"))
            self.due[Wait.VISIBLE, (resource_id,)] = self.scheduler.now() + wait


def new_id(prefix: str) -> str:
    """An id as EC2 makes them: the prefix, a dash, 17 hex digits."""
    return f"{prefix}-{mock_random.get_random_hex(17)}"
