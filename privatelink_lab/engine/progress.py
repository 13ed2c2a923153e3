"""How far each key has come in one `up`: its phase, since when, and what the user is told about it."""

from __future__ import annotations

from collections.abc import Mapping

from privatelink_lab import waits
from privatelink_lab.engine.built import Built
from privatelink_lab.engine.pace import Pace
from privatelink_lab.errors import PlabError
from privatelink_lab.events import Failed, Finished, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource
from privatelink_lab.timeline import Timeline

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
        self._told: set[str] = set()  # of what is to wait, since it was looked at again
        self._missed: dict[str, float] = {}  # key -> when a look first missed what had stood
        self._later = AGAIN if standing is None else ""
        self._details: dict[str, str] = {}
        self._waiting_since: dict[str, float] = {}  # what a timeout counts from
        self._put_off_until: dict[str, float] = {}  # when a call that AWS did not take yet may go again
        self._needed_by: dict[str, list[str]] = {key: [] for key in resources}
        self._near: dict[str, list[str]] = {key: [] for key in resources}  # what it needs or awaits, and the reverse
        for key, resource in resources.items():
            for need in resources.keys() & {*resource.needs, *resource.awaits}:
                self._near[key].append(need)
                self._near[need].append(key)
            for need in resources.keys() & set(resource.needs):
                self._needed_by[need].append(key)
        self._pace = Pace(lab.clock)
        self._started = lab.clock.now()
        self._timeline = Timeline("up", self._started)

    # What is asked of it.

    def open(self) -> list[str]:
        """Keys that are still on their way."""
        return [key for key in self.unfinished() if not self._is_held(key)]

    def unfinished(self) -> list[str]:
        """Keys that are neither ready, failed nor blocked; a held one is looked at as long as the run goes on."""
        over = self.built.settled.keys() | self.built.failed.keys() | set(self.built.blocked)
        return [key for key in self.resources if key not in over]

    def is_to_be_read(self, key: str) -> bool:
        """Whether the look that comes now has to ask about it.

        Not about what was missing and cannot be made yet: who else makes it meanwhile is met when its turn comes, for
        what is to be made is looked at right before.
        """
        if self.phases.get(key, Phase.PENDING) is None:
            return self.has_needs(key) and not self.is_put_off(key)
        return self._pace.is_due(key)

    def is_put_off(self, key: str) -> bool:
        """Whether AWS did not take the last call for it, a moment ago."""
        return self.lab.clock.now() < self._put_off_until.get(key, 0.0)

    def pause(self) -> float:
        """Seconds until something is to be looked at or tried again."""
        now = self.lab.clock.now()
        missing = [key for key in self.open() if self.phases.get(key, Phase.PENDING) is None]
        tries = [max(waits.FLOOR, self._put_off_until.get(key, now) - now) for key in missing if self.has_needs(key)]
        there = self._pace.pause(key for key in self.open() if key not in missing)
        return min(there, *tries) if tries else there

    def has_needs(self, key: str) -> bool:
        """Whether all that it stands on is ready or held."""
        return all(self.phases.get(need) in SATISFIED for need in self.resources[key].needs)

    def is_lost(self, key: str) -> bool:
        """Whether something that it needs or awaits has failed; or does not stand, and nobody is making it (`make`)."""
        resource, lost = self.resources[key], self.built.failed.keys() | set(self.built.blocked)
        at_hand = self.resources.keys() | self.built.settled.keys()
        return bool(lost & {*resource.needs, *resource.awaits}) or not at_hand >= set(resource.needs)

    def is_undecided(self, key: str) -> bool:
        """Whether it stood in this run, and what it stands on is looked at again: what is seen of it means nothing."""
        return key in self._stood and not self.has_needs(key)

    def waited(self, key: str) -> float:
        """Seconds that it has waited since the last call or the first wait."""
        now = self.lab.clock.now()
        return now - self._waiting_since.setdefault(key, now)

    def _is_held(self, key: str) -> bool:
        """Held for good: unless what needs it is ready already, for then AWS has yet to show that here too."""
        return self.phases.get(key) is Phase.HELD and all(
            self.phases.get(after) is not Phase.READY for after in self._needed_by[key]
        )

    # What it is told.

    def read(self, keys: list[str]) -> None:
        """A look has asked about these."""
        self._pace.looked(keys)

    def see(self, key: str, found: tuple[Found, ...]) -> None:
        """A look has seen something of it."""
        self.built.seen[key] = found
        self._missed.pop(key, None)

    def settle(self, key: str, found: Found) -> None:
        """It is as asked; what stands near it is worth a look."""
        self.phases[key] = Phase.READY
        self.built.settled[key] = (found,)
        was_told = key in self._told
        self._told.discard(key)
        if self._stood.pop(key, None) == found.id and not was_told:  # it was only doubted, and nobody has heard of it
            return
        self._ends(key)
        self._pace.look_again(self._near[key])
        self.lab.emit(Finished(key, self.resources[key].step, found.id, "ready", found.detail))

    def wait(self, key: str, phase: Phase | None, id_: str, detail: str, *, bounded: bool = True) -> None:
        """It is not there yet; too long is a failure, unless what it waits for is `bounded` by itself."""
        waited = self.waited(key)
        self.phases[key] = phase
        if self._details.get(key) != detail:
            self._pace.changed(key)
            self._details[key] = detail
            self._told.add(key)
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        if phase is not None and key not in self._stood:
            self._begins(key)
        if phase is Phase.HELD:
            self._ends(key)
        held = phase is Phase.HELD and self._is_held(key)
        patience = self.resources[key].patience
        if bounded and not held and waited > patience.timeout:
            message = f"{key} is still {detail!r} after {patience.timeout / 60:.0f} minutes."
            self.fail(key, PlabError(message, hint=self._later))

    def doubt(self) -> None:
        """What was ready in this run is to be looked at again; what anybody else vouched for is not."""
        for key in self.resources.keys() & self.built.settled.keys():
            self._stood[key] = self.built.settled.pop(key)[0].id
            self.phases[key] = Phase.PENDING
            self._waiting_since.pop(key, None)  # its patience counts anew, or one throttle now would be a failure
            self._told.discard(key)
            self._pace.look_again([key])

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
        """A call for it goes out; the run is one that changes something, and is remembered."""
        self._begins(key)
        self.lab.state.timeline = self._timeline

    def took(self, key: str, *, again: bool = False) -> None:
        """A call for it took effect, or the same one did `again`: it and what is near it are worth a look.

        Its patience counts anew from the first of them.
        """
        self._details[key] = ""
        if not again:
            self._waiting_since[key] = self.lab.clock.now()
        self._pace.look_again([key, *self._near[key]])

    def put_off(self, key: str, seconds: float) -> None:
        """AWS did not take a call for it: not again for so long."""
        self._put_off_until[key] = self.lab.clock.now() + seconds

    def note(self) -> None:
        """Remember how long the run has gone on, should it be stopped."""
        self._timeline.note(self.lab.clock.now(), over=False)

    def conclude(self) -> Built:
        """The result; what is held is done."""
        for key, resource in self.resources.items():
            if self.phases.get(key) is Phase.HELD and key not in self.built.blocked:
                found = self.built.seen[key][0]
                self.built.settled[key] = (found,)
                self.lab.emit(Finished(key, resource.step, found.id, "held", found.detail))
        self.built.blocked.sort(key=list(self.resources).index)
        self._timeline.note(self.lab.clock.now(), over=True)
        self.built.seconds = round(self.lab.clock.now() - self._started, 2)
        return self.built

    def _begins(self, key: str) -> None:
        self._timeline.begin(key, self.lab.clock.now(), self.resources[key].needs)

    def _ends(self, key: str) -> None:
        own = self.resources[key]
        self._timeline.end(key, self.lab.clock.now(), (*own.needs, *own.awaits))
