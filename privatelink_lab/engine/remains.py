"""What is still there while a lab is torn down: what each look saw of it, and what the user is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from privatelink_lab import waits
from privatelink_lab.engine.pace import Pace
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.events import Failed, Finished, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.timeline import Timeline


@dataclass
class Removed:
    """The receipt of a `down`: what was deleted (ids by noun), and what is left and why."""

    deleted: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, PlabError] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0 when nothing is left, else 3."""
        return 3 if self.left else 0


class Remains:
    """The keys of which something is there, or may be; it calls nobody. `consented` are the ids that may be cut."""

    def __init__(self, lab: Lab, consented: Mapping[str, set[str]]) -> None:
        self.lab, self._consented = lab, consented
        self.resources: dict[str, Resource] = {}  # what can be deleted
        self.found: dict[str, tuple[Found, ...]] = {}  # () while a look has yet to say whether anything is there
        self.removed = Removed()
        self.changed_at = lab.clock.now()
        self._needed_by: dict[str, list[str]] = {}
        self._ever: dict[str, set[str]] = {}
        self._details: dict[str, str] = {}
        self._waiting_since: dict[str, float] = {}
        self._sent: dict[str, float] = {}
        self._refused: dict[str, float] = {}  # key -> since when AWS refuses, because something lives in it or holds on
        self._put_off_until: dict[str, float] = {}
        self._pace = Pace(lab.clock)
        self._timeline = Timeline("down", lab.clock.now())

    def know(self, resources: Mapping[str, Resource], deletable: Mapping[str, Resource]) -> None:
        """Take over what a survey has looked at, and which of it may be deleted."""
        self.resources |= deletable
        for key in resources:
            self._needed_by[key] = [other.key for other in resources.values() if key in other.needs]

    # What is asked of it.

    def open(self) -> list[str]:
        """Keys that are there, or may be, and are not given up."""
        return [key for key in self.found if key not in self.removed.left]

    def to_be_read(self) -> list[str]:
        """Keys that the look that comes now has to ask about: not of what something else still stands on."""
        return [key for key in self.open() if self._may_differ(key) and self._pace.is_due(key)]

    def standing(self, keys: list[str]) -> dict[str, tuple[Found, ...]]:
        """What the look that asks about `keys` may take as it was seen before."""
        return {key: found for key, found in self.found.items() if found and key not in keys}

    def due(self, resend: float) -> list[str]:
        """What is there, needed by nothing that is still there, and not asked of AWS in the last `resend` seconds."""
        now = self.lab.clock.now()
        return [
            key
            for key in self.open()
            if self.living(key)
            and not self._is_held(key)
            and now - self._sent.get(key, -resend) >= resend
            and now >= self._put_off_until.get(key, 0.0)
        ]

    def living(self, key: str) -> list[str]:
        """The ids of a key that are not leaving yet."""
        return [one.id for one in self.found[key] if one.phase is not Phase.LEAVING]

    def can_wait(self) -> bool:
        """Whether something is on its way, so that a later look may differ."""
        return any(self._is_moving(key) or key in self._refused for key in self.open())

    def is_in_use(self) -> bool:
        """Whether AWS refuses to delete something, because something that we may not know of is in it."""
        return bool(self._refused)

    def pause(self) -> float:
        """Seconds until something is to be looked at or tried again."""
        now = self.lab.clock.now()
        there = self._pace.pause(key for key in self.open() if self._may_differ(key))
        tries = [max(0.0, self._put_off_until[key] - now) for key in self.open() if self._is_refused(key)]
        return min(there, *tries) if tries else there

    def _is_refused(self, key: str) -> bool:
        """Whether it is to be tried again: not while it is known what has to go first."""
        return key in self._refused and not self._is_held(key)

    def _may_differ(self, key: str) -> bool:
        return self._is_moving(key) or not self._is_held(key)

    def _is_moving(self, key: str) -> bool:
        return key in self._sent or len(self.living(key)) < len(self.found[key]) or not self.found[key]

    def _is_held(self, key: str) -> bool:
        """Whether something that is there has to go first."""
        return any(True for _ in self._holders(key))

    def _holders(self, key: str) -> Iterator[str]:
        """What stands on it, directly or on what is gone already, and has not let go of it."""
        for other in self._needed_by.get(key, ()):
            if other not in self.found:
                yield from self._holders(other)
            elif not (self.found[other] and not self.living(other) and key in self.resources[other].releases):
                yield other

    # What it is told.

    def started(self, keys: Iterable[str]) -> None:
        """Their deletion is asked of AWS."""
        for key in keys:
            if key not in self._waiting_since:
                self.lab.emit(Started(key, self.resources[key].step, "delete", self.living(key)[0]))
            self._begins(key)
            self.lab.state.timeline = self._timeline

    def sent(self, key: str) -> None:
        """AWS has taken it."""
        self._sent[key] = self.changed_at = self.lab.clock.now()
        self._refused.pop(key, None)
        self._pace.look_again([key])

    def refused(self, key: str, code: str) -> None:
        """AWS has not, because something lives in it, or holds on: not again at once."""
        now = self.lab.clock.now()
        since = self._refused.setdefault(key, now)
        self._put_off_until[key] = now + waits.retry_interval(now - since)
        self.wait(key, self.living(key)[0], code)

    def read(self, keys: list[str]) -> None:
        """A look has asked about these."""
        self._pace.looked(keys)

    def there(self, key: str, found: tuple[Found, ...]) -> None:
        """A look has seen it."""
        self.found[key] = found
        self._ever.setdefault(key, set()).update(one.id for one in found)
        self.lab.state.born.pop(key, None)
        living = self.living(key)
        strangers = set(living) - self._consented.get(key, set())
        if self.resources[key].create is None and strangers:
            message = f"{', '.join(sorted(strangers))} came while the lab was going; nobody has agreed to cut it."
            self.leave(key, PlabError(message, hint="plab down shows it and asks."))
        elif not living or key in self._sent:
            self.wait(key, found[0].id, found[0].detail)

    def expect(self, key: str) -> None:
        """Something may be there that no look has shown yet."""
        self.found.setdefault(key, ())

    def gone(self, key: str) -> None:
        """A look has not seen it: if it ever was there, it is deleted."""
        self.found.pop(key, None)
        self._refused.pop(key, None)
        if key not in self._ever:
            return
        resource, ids = self.resources[key], sorted(self._ever.pop(key))
        self.removed.deleted.setdefault(resource.noun, []).extend(ids)
        self.lab.state.gone(key)
        self.changed_at = self.lab.clock.now()
        self._timeline.end(key, self.changed_at, self._went_before(key))
        self._pace.look_again(resource.needs)
        for other in self.resources.values():
            if key in other.awaits and other.key not in self.removed.left:
                self.expect(other.key)
        self.lab.emit(Finished(key, resource.step, ", ".join(ids), "deleted", "deleted"))

    def wait(self, key: str, id_: str, detail: str) -> None:
        """It is not gone yet; too long is a failure."""
        self._begins(key)
        if self._details.get(key) != detail:
            self._details[key] = detail
            self._pace.changed(key)
            self.changed_at = self.lab.clock.now()
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        timeout = self.resources[key].patience.timeout
        if self.lab.clock.now() - self._waiting_since[key] > timeout:
            message = f"{key} ({id_}) is still {detail!r} after {timeout / 60:.0f} minutes."
            self.leave(key, PlabError(message, hint="Run plab down again."))

    def cannot_look(self, key: str, error: PlabError, *, patient: bool) -> None:
        """A look at it failed; no answer is no failure while one is `patient`."""
        if isinstance(error, AwsError) and waits.is_unanswered(error) and patient:
            self.expect(key)
            self.wait(key, "", error.code)
        elif isinstance(error, AwsError) and waits.is_gone(error):
            self.gone(key)
        else:
            self.leave(key, error)

    def leave(self, key: str, error: PlabError) -> None:
        """It stays."""
        self.removed.left[key] = error
        self.lab.emit(Failed(key, self.resources[key].step, error))

    def give_up(self) -> None:
        """What is left stands under something that could not be deleted."""
        left = set(self.removed.left)
        for key in self.open():
            holders = ", ".join(sorted(self._all_after(key) & left))
            self.leave(key, PlabError(f"{key} stays, because {holders} could not be deleted.", hint="plab down"))

    def _all_after(self, key: str) -> set[str]:
        after = set(self._needed_by.get(key, ()))
        return after.union(*(self._all_after(each) for each in after))

    def _begins(self, key: str) -> None:
        now = self.lab.clock.now()
        self._waiting_since.setdefault(key, now)
        self._timeline.begin(key, now, self._went_before(key))

    def _went_before(self, key: str) -> list[str]:
        return [*self._needed_by.get(key, ()), *self.resources[key].awaits]
