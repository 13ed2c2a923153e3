"""How far each key has come in one `up`: its phase, since when, and what the user is told about it."""

from __future__ import annotations

from collections.abc import Mapping

from privatelink_lab.engine.built import Built
from privatelink_lab.errors import PlabError
from privatelink_lab.events import Failed, Finished, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource

AGAIN = "Run plab up again to wait on, or plab down to give up."


class Progress:
    """What is settled, on its way, failed or blocked; it tells the user of every change and calls nobody.

    With `standing`, what an earlier look found READY and nobody is to touch.
    """

    def __init__(
        self, lab: Lab, resources: dict[str, Resource], standing: Mapping[str, tuple[Found, ...]] | None
    ) -> None:
        self.lab, self.resources = lab, resources
        self.built = Built(resources, settled=dict(standing or {}))
        self.phases: dict[str, Phase | None] = dict.fromkeys(self.built.settled, Phase.READY)  # None: missing
        self._stood: dict[str, str] = {}  # key -> id of what was settled in this run and is looked at again
        self._missed: dict[str, float] = {}  # key -> when a look first missed what had stood
        self._later = AGAIN if standing is None else ""
        self._details: dict[str, str] = {}
        self._waiting_since: dict[str, float] = {}  # what a timeout counts from
        self._began: dict[str, float] = {}
        self._started = self._changed_at = lab.clock.now()

    # What is asked of it.

    def open(self) -> list[str]:
        """Keys that are still on their way."""
        return [key for key in self.unfinished() if not self._is_held(key)]

    def unfinished(self) -> list[str]:
        """Keys that are neither ready, failed nor blocked; a held one is looked at as long as the run goes on."""
        over = self.built.settled.keys() | self.built.failed.keys() | set(self.built.blocked)
        return [key for key in self.resources if key not in over]

    def may_differ(self, key: str) -> bool:
        """Whether a look may see something new: not of what was missing and cannot be made yet.

        Who else makes it meanwhile is met when its turn comes: what is to be made is looked at first.
        """
        return self.phases.get(key, Phase.PENDING) is not None or self.has_needs(key)

    def has_needs(self, key: str) -> bool:
        """Whether all that it stands on is ready or held."""
        return all(self.phases.get(need) in SATISFIED for need in self.resources[key].needs)

    def is_lost(self, key: str) -> bool:
        """Whether something that it needs or awaits has failed; or does not stand, and nobody is making it (`make`)."""
        resource, lost = self.resources[key], self.built.failed.keys() | set(self.built.blocked)
        at_hand = self.resources.keys() | self.built.settled.keys()
        return bool(lost & {*resource.needs, *resource.awaits}) or not at_hand >= set(resource.needs)

    def unchanged_for(self) -> float:
        """Seconds since something last changed: what the next interval is a share of."""
        return self.lab.clock.now() - self._changed_at

    def waited(self, key: str) -> float:
        """Seconds that it has waited since the last call or the first wait."""
        now = self.lab.clock.now()
        return now - self._waiting_since.setdefault(key, now)

    def _is_held(self, key: str) -> bool:
        """Held for good: unless what needs it is ready already, for then AWS has yet to show that here too."""
        after = [r.key for r in self.resources.values() if key in r.needs]
        return self.phases.get(key) is Phase.HELD and all(self.phases.get(k) is not Phase.READY for k in after)

    # What it is told.

    def settle(self, key: str, found: Found) -> None:
        """It is as asked."""
        self.phases[key] = Phase.READY
        self.built.settled[key] = (found,)
        self._missed.pop(key, None)
        if self._stood.pop(key, None) == found.id:  # it was only doubted
            return
        self._changed(key)
        self.lab.state.timeline[key] = [self._since_start(self._began.get(key)), self._since_start(None)]
        self.lab.emit(Finished(key, self.resources[key].step, found.id, "ready", found.detail))

    def wait(self, key: str, phase: Phase | None, id_: str, detail: str) -> None:
        """It is not there yet; too long is a failure."""
        waited = self.waited(key)
        self.phases[key] = phase
        if self._details.get(key) != detail:
            self._changed(key)
            self._details[key] = detail
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        held = phase is Phase.HELD and self._is_held(key)
        patience = self.resources[key].patience
        if not held and waited > patience.timeout:
            message = f"{key} is still {detail!r} after {patience.timeout / 60:.0f} minutes."
            self.fail(key, PlabError(message, hint=self._later))

    def doubt(self) -> None:
        """What was ready in this run is to be looked at again; what anybody else vouched for is not."""
        for key in self.resources.keys() & self.built.settled.keys():
            self._stood[key] = self.built.settled.pop(key)[0].id
            self.phases[key] = Phase.PENDING
            self._waiting_since.pop(key, None)  # its patience counts anew, or one throttle now would be a failure

    def miss(self, key: str) -> None:
        """It is not there; what this run has seen there is gone by another's hand."""
        if key in self._stood:
            self._miss_what_stood(key)
            return
        self.phases[key] = None
        if key in self.lab.state.ids:
            self.lab.state.gone(key)
        self.lab.state.intents.pop(key, None)

    def _miss_what_stood(self, key: str) -> None:
        """One look may have asked a replica that lags; only what stays away for its settling window is gone."""
        now = self.lab.clock.now()
        if now - self._missed.setdefault(key, now) < self.lab.settle(self.resources[key]):
            self.wait(key, Phase.PENDING, self._stood[key], "was there, and is not seen now")
            return
        text = f"{key} ({self._stood[key]}) was there and is gone: somebody else deletes what this run builds."
        self.fail(key, PlabError(text, hint="plab status"))

    def fail(self, key: str, error: PlabError) -> None:
        """It will not get there."""
        self.phases[key] = Phase.FAILED
        self.built.failed[key] = error
        self.lab.emit(Failed(key, self.resources[key].step, error))

    def block(self) -> None:
        """What needs or awaits something failed will not get there; it is counted, and the rest goes on."""
        for key in self.open():
            if self.is_lost(key):
                self.built.blocked.append(key)

    def begin(self, key: str) -> None:
        """A call for it goes out."""
        self._began.setdefault(key, self.lab.clock.now())

    def took(self, key: str) -> None:
        """A call for it took effect: its patience counts anew."""
        self._details[key] = ""
        self._waiting_since[key] = self.lab.clock.now()
        self._changed(key)

    def conclude(self) -> Built:
        """The result; what is held is done."""
        for key, resource in self.resources.items():
            if self.phases.get(key) is Phase.HELD and key not in self.built.blocked:
                found = self.built.seen[key][0]
                self.built.settled[key] = (found,)
                self.lab.emit(Finished(key, resource.step, found.id, "held", found.detail))
        self.built.blocked.sort(key=list(self.resources).index)
        self.built.seconds = self._since_start(None)
        return self.built

    def _changed(self, key: str) -> None:
        self._changed_at = self.lab.clock.now()
        self._began.setdefault(key, self._changed_at)

    def _since_start(self, moment: float | None) -> float:
        return round((self.lab.clock.now() if moment is None else moment) - self._started, 2)
