"""What is still there while a lab is torn down: what each look saw of it, and what the user is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from privatelink_lab import waits
from privatelink_lab.engine.pace import Pace
from privatelink_lab.errors import AwsError, PlabError
from privatelink_lab.events import Failed, Finished, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.timeline import Timeline

RESEND = 10.0  # seconds before a delete that AWS took goes out again while describes still show the thing


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
        self._waiting_since: dict[str, float] = {}  # what a timeout counts from
        self._announced: set[str] = set()
        self._sent: set[str] = set()  # AWS has taken it
        self._refused: dict[str, float] = {}  # key -> since when AWS refuses, because something lives in it or holds on
        self._not_before: dict[str, float] = {}  # when its deletion may be asked of AWS again
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
        """Keys that the look that comes now has to ask about."""
        return [key for key in self._awaited() if self._pace.is_due(key)]

    def standing(self, keys: list[str]) -> dict[str, tuple[Found, ...]]:
        """What the look that asks about `keys` may take as it was seen before."""
        return {key: found for key, found in self.found.items() if found and key not in keys}

    def due(self) -> list[str]:
        """What is there, needed by nothing that is still there, and has not just been asked of AWS."""
        now = self.lab.clock.now()
        return [key for key in self.open() if self._is_free(key) and now >= self._not_before.get(key, 0.0)]

    def living(self, key: str) -> list[str]:
        """The ids of a key that are not leaving yet."""
        return [one.id for one in self.found[key] if one.phase is not Phase.LEAVING]

    def can_wait(self) -> bool:
        """Whether a later look or call may find something else than the last one."""
        return bool(self._awaited())

    def is_in_use(self) -> bool:
        """Whether AWS refuses to delete something, because something that we may not know of is in it."""
        return any(self._is_free(key) for key in self._refused)

    def pause(self) -> float:
        """Seconds until something is to be looked at or tried again."""
        now, awaited = self.lab.clock.now(), self._awaited()
        tries = [self._not_before[key] - now for key in awaited if key in self._refused and self._is_free(key)]
        return max(0.0, min(self._pace.pause(awaited), *tries)) if tries else self._pace.pause(awaited)

    def _awaited(self) -> list[str]:
        """What is on its way, or next: all but what only stands there until something else has gone."""
        return [key for key in self.open() if self._is_moving(key) or self._is_free(key)]

    def _is_moving(self, key: str) -> bool:
        return key in self._sent or len(self.living(key)) < len(self.found[key]) or not self.found[key]

    def _is_free(self, key: str) -> bool:
        """Whether it is there, and nothing that is still there has to go first."""
        return bool(self.living(key)) and not self._is_held(key)

    def _is_held(self, key: str) -> bool:
        """Whether something stands on it, directly or on what is gone already."""
        return any(self._holds(other, key) for other in self._needed_by.get(key, ()))

    def _holds(self, other: str, key: str) -> bool:
        if other not in self.found:
            return self._is_held(other)
        is_leaving = self.found[other] and not self.living(other)
        return not (is_leaving and key in self.resources[other].releases)

    # What it is told.

    def started(self, keys: Iterable[str]) -> None:
        """Their deletion is asked of AWS."""
        now = self.lab.clock.now()
        for key in keys:
            if key not in self._announced:
                self._announced.add(key)
                self._waiting_since[key] = now
                self.lab.emit(Started(key, self.resources[key].step, "delete", self.living(key)[0]))
            self._timeline.begin(key, now, self._went_before(key))
            self.lab.state.timeline = self._timeline

    def sent(self, key: str) -> None:
        """AWS has taken it; not again for a while, for describes may still show it as it was."""
        self._sent.add(key)
        self.changed_at = self.lab.clock.now()
        self._not_before[key] = self.changed_at + RESEND
        self._refused.pop(key, None)
        self._pace.look_again([key])

    def refused(self, key: str, code: str) -> None:
        """AWS has not, because something lives in it, or holds on: not again at once."""
        now = self.lab.clock.now()
        since = self._refused.setdefault(key, now)
        self._not_before[key] = now + waits.retry_interval(now - since)
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
        elif not living or (key in self._sent and key not in self._refused):
            self._refused.pop(key, None)
            self._timeline.begin(key, self.lab.clock.now(), self._went_before(key))
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
        counted = self.removed.deleted.setdefault(resource.noun, [])
        counted += [id_ for id_ in ids if id_ not in counted]  # one look may miss what a later one shows again
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
        now = self.lab.clock.now()
        if self._details.get(key) != detail:
            self._details[key] = detail
            self._pace.changed(key)
            self.changed_at = now
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        timeout = self.resources[key].patience.timeout
        if now - self._waiting_since.setdefault(key, now) > timeout:
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

    def recall(self, key: str) -> None:
        """It was given up, and the last look does not see it any more."""
        del self.removed.left[key]
        self.gone(key)

    def give_up(self) -> None:
        """What is left stands under something that could not be deleted."""
        left = set(self.removed.left)
        for key in self.open():
            holders = ", ".join(sorted(self._all_after(key) & left))
            self.leave(key, PlabError(f"{key} stays, because {holders} could not be deleted.", hint="plab down"))

    def _all_after(self, key: str) -> set[str]:
        after = set(self._needed_by.get(key, ()))
        return after.union(*(self._all_after(each) for each in after))

    def stopped(self) -> None:
        """The run ends before its end."""
        self._timeline.note(self.lab.clock.now(), over=False)

    def conclude(self) -> Removed:
        """The receipt; nothing is left to do."""
        self._timeline.note(self.lab.clock.now(), over=True)
        return self.removed

    def _went_before(self, key: str) -> list[str]:
        return [*self._needed_by.get(key, ()), *self.resources[key].awaits]
