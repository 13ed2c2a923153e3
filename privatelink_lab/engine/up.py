"""Building: look, create what is missing, mend what drifted, until every key is ready or held."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab import waits
from privatelink_lab.engine.built import Built
from privatelink_lab.engine.survey import Survey, in_parallel, know_maker, look_at, planned
from privatelink_lab.errors import AwsError, LostAnswer, PlabError
from privatelink_lab.events import Failed, Finished, Started, Waiting
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look
from privatelink_lab.resource import SATISFIED, Found, Phase, Resource, Step, Token

RESEND = 10.0  # seconds before a mend goes out again while describes still show the old
AGAIN = "Run plab up again to wait on, or plab down to give up."


def up(lab: Lab, steps: Sequence[Step], *, adopt: bool = False) -> Built:
    """Build, continue or repair the lab; returns how each key ended.

    Raises NotOurs for somebody else's lab (unless `adopt`), Interrupted, StateError.
    """
    lab.begin()
    for step in steps:
        step.check(lab)
    resources = {key: r for key, r in planned(lab, steps).items() if r.create}
    run = _Up(lab, resources, adopt=adopt)
    try:
        return waits.until(run.tick, clock=lab.clock, waited=run.waited)
    finally:
        lab.state.save()


def make(lab: Lab, resources: dict[str, Resource], seen: Survey) -> Built:
    """Make just these, on top of what a survey found READY; returns how each key ended. Raises Interrupted."""
    standing = {
        key: found
        for key, found in seen.found.items()
        if found and found[0].phase is Phase.READY and key not in resources
    }
    run = _Up(lab, resources, standing=standing)
    return waits.until(run.tick, clock=lab.clock, waited=run.waited)


class _Up:
    def __init__(
        self,
        lab: Lab,
        resources: dict[str, Resource],
        *,
        adopt: bool = False,
        standing: dict[str, tuple[Found, ...]] | None = None,
    ) -> None:
        self.lab, self.resources = lab, resources
        self.built = Built(resources, settled=dict(standing or {}))
        self.adopt, self.known = adopt, standing is not None  # who saw what stands knows whose it is
        self.later = AGAIN if standing is None else ""
        self.phases: dict[str, Phase | None] = dict.fromkeys(self.built.settled, Phase.READY)  # None: missing
        self.details: dict[str, str] = {}
        self.mended: dict[str, float] = {}
        self.refused_until: dict[str, float] = {}  # when a call that AWS did not take yet may go again
        self.waiting_since: dict[str, float] = {}  # what a timeout counts from
        self.began: dict[str, float] = {}
        self.tried: set[tuple[str, str]] = set()  # (key, action) of this tick: a stale describe must not make us spin
        self.started = self.changed = lab.clock.now()

    def waited(self) -> float:
        """Seconds since something last changed: what the next interval is a share of."""
        return self.lab.clock.now() - self.changed

    def tick(self) -> Built | None:
        """Look and act until nothing can be done at once; the result when all is settled."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            look = look_at(self.lab, self.resources, self.built.settled)
            self._observe(look)
            if not self._open():
                return self._conclude()
            if not self._act(look):
                return None

    # What the look says.

    def _open(self) -> list[str]:
        """Keys that are still on their way."""
        return [key for key in self._unfinished() if not self._held(key)]

    def _unfinished(self) -> list[str]:
        """Keys that are neither ready, failed nor blocked; a held one is looked at as long as the run goes on."""
        over = self.built.settled.keys() | self.built.failed.keys() | set(self.built.blocked)
        return [key for key in self.resources if key not in over]

    def _held(self, key: str) -> bool:
        """Held for good: unless what needs it is ready already, for then AWS has yet to show that here too."""
        after = [r.key for r in self.resources.values() if key in r.needs]
        return self.phases.get(key) is Phase.HELD and all(self.phases.get(k) is not Phase.READY for k in after)

    def _observe(self, look: Look) -> None:
        keys = self._unfinished()
        answers = in_parallel(keys, look.found)
        if not self.known:
            know_maker(self.lab, look, adopt=self.adopt)
            self.known = True
        for key, answer in zip(keys, answers, strict=True):
            if not isinstance(answer, PlabError) and answer:
                self.built.seen[key] = answer
            if self._lost(key):  # needs come first in the order: why it fails has been said there
                self.built.blocked.append(key)
            elif isinstance(answer, PlabError):
                self._cannot_look(key, answer)
            else:
                self._judge(key, answer)
        self._block()

    def _cannot_look(self, key: str, error: PlabError) -> None:
        """A throttle, a lost answer, or a parent that was just made and is not known everywhere: look again."""
        if isinstance(error, AwsError) and (isinstance(error, LostAnswer) or waits.may_be_seen_later(error)):
            self._waiting(key, Phase.PENDING, "", error.code)
        else:
            self._fail(key, error)

    def _judge(self, key: str, found: tuple[Found, ...]) -> None:
        living = [one for one in found if one.phase is not Phase.LEAVING]
        if len(living) > 1:
            ids = ", ".join(one.id for one in living)
            hint = f"Delete all but one of them, or everything with `plab down`: {ids}"
            self._fail(key, PlabError(f"{key} exists {len(living)} times: {ids}.", hint=hint))
        elif living:
            self._judge_one(key, living[0])
        elif found:
            self.lab.state.born.pop(key, None)
            self._waiting(key, Phase.LEAVING, found[0].id, found[0].detail)
        elif self.lab.is_fresh(self.resources[key]):
            self._waiting(key, Phase.PENDING, self.lab.state.ids.get(key, ""), "not visible yet")
        else:
            self._missing(key)

    def _judge_one(self, key: str, found: Found) -> None:
        self.lab.state.seen(key, found.id)
        hint = f"plab up --replace {key}" if self.resources[key].delete else ""
        if found.phase is Phase.READY and self._has_needs(key):
            self._settle(key, found)
        elif found.phase is Phase.READY:  # what it stands on may still be replaced under it
            self._waiting(key, Phase.PENDING, found.id, found.detail)
        elif found.phase is Phase.FAILED:
            self._fail(key, PlabError(f"{key} ({found.id}) {found.detail}.", hint=hint))
        elif found.phase is Phase.DRIFTED and self.resources[key].mend is None:
            self._fail(key, PlabError(f"{key} ({found.id}) is not as asked: {found.detail}.", hint=hint))
        else:
            self._waiting(key, found.phase, found.id, found.detail)

    def _settle(self, key: str, found: Found) -> None:
        self.phases[key] = Phase.READY
        self.built.settled[key] = (found,)
        self._changed(key)
        self.lab.state.timeline[key] = [self._since_start(self.began.get(key)), self._since_start(None)]
        self.lab.emit(Finished(key, self.resources[key].step, found.id, "ready", found.detail))

    def _waiting(self, key: str, phase: Phase | None, id_: str, detail: str) -> None:
        since = self.waiting_since.setdefault(key, self.lab.clock.now())
        self.phases[key] = phase
        if self.details.get(key) != detail:
            self._changed(key)
            self.details[key] = detail
            self.lab.emit(Waiting(key, self.resources[key].step, id_, detail))
        held = phase is Phase.HELD and self._held(key)
        patience = self.resources[key].patience
        if not held and self.lab.clock.now() - since > patience.timeout:
            minutes = patience.timeout / 60
            message = f"{key} is still {detail!r} after {minutes:.0f} minutes."
            self._fail(key, PlabError(message, hint=self.later))

    def _missing(self, key: str) -> None:
        self.phases[key] = None
        if key in self.lab.state.ids:
            self.lab.state.gone(key)
        self.lab.state.intents.pop(key, None)

    def _fail(self, key: str, error: PlabError) -> None:
        self.phases[key] = Phase.FAILED
        self.built.failed[key] = error
        self.lab.emit(Failed(key, self.resources[key].step, error))

    def _block(self) -> None:
        """What needs or awaits something failed will not get there; it is counted, and the rest goes on."""
        for key in self._open():
            if self._lost(key):
                self.built.blocked.append(key)

    def _lost(self, key: str) -> bool:
        """Whether something that it needs or awaits has failed; or does not stand, and nobody is making it (`make`)."""
        resource, lost = self.resources[key], self.built.failed.keys() | set(self.built.blocked)
        at_hand = self.resources.keys() | self.built.settled.keys()
        return bool(lost & {*resource.needs, *resource.awaits}) or not at_hand >= set(resource.needs)

    def _changed(self, key: str) -> None:
        self.changed = self.lab.clock.now()
        self.began.setdefault(key, self.changed)

    def _since_start(self, moment: float | None) -> float:
        return round((self.lab.clock.now() if moment is None else moment) - self.started, 2)

    # What can be done about it.

    def _act(self, look: Look) -> bool:
        """Send every create and mend that is due, at once; whether any of them took effect."""
        due = [key for key in self._open() if self._due(key)]
        if not due:
            return False
        creates = [key for key in due if self.phases[key] is None]
        for key in due:
            self.tried.add((key, self._action(key)))
            self.lab.emit(Started(key, self.resources[key].step, self._action(key), look.id(key) or ""))
            self.began.setdefault(key, self.lab.clock.now())
        self.lab.state.intents |= dict.fromkeys(creates, self.lab.clock.now())
        self.lab.state.save()
        results = in_parallel(due, lambda key: self._call(key, look))
        took = [self._record(key, result) for key, result in zip(due, results, strict=True)]
        self.lab.state.save()
        return any(took)

    def _due(self, key: str) -> bool:
        if not self._has_needs(key) or self.lab.clock.now() < self.refused_until.get(key, 0.0):
            return False
        if self.phases[key] is Phase.DRIFTED and self.lab.clock.now() - self.mended.get(key, -RESEND) < RESEND:
            return False
        return self.phases[key] in (None, Phase.DRIFTED) and (key, self._action(key)) not in self.tried

    def _has_needs(self, key: str) -> bool:
        return all(self.phases.get(need) in SATISFIED for need in self.resources[key].needs)

    def _action(self, key: str) -> str:
        return "create" if self.phases[key] is None else "mend"

    def _call(self, key: str, look: Look) -> str | None:
        resource = self.resources[key]
        if self.phases[key] is None and resource.create:
            token = Token(self.lab.config.lab, key, self.lab.state.attempts.get(key, 0))
            return resource.create(self.lab, look, token)
        if resource.mend:
            resource.mend(self.lab, look, look.found(key)[0])
        return None

    def _record(self, key: str, result: str | PlabError | None) -> bool:
        if not isinstance(result, PlabError):
            if result:
                self.lab.state.created(key, result, self.lab.clock.now())
            else:
                self.mended[key] = self.lab.clock.now()
            self.details[key] = ""
            self.waiting_since[key] = self.lab.clock.now()
            self._changed(key)
            return True
        if isinstance(result, LostAnswer):  # the intent stays: only a look can tell
            self._waiting(key, Phase.PENDING, "", result.code)
            return False
        self.lab.state.intents.pop(key, None)
        if isinstance(result, AwsError) and result.code == "IdempotentInstanceTerminated":
            self.lab.state.gone(key)
            return True
        if isinstance(result, AwsError) and result.code == "IdempotentParameterMismatch":
            return self._used_token(key, result)
        if isinstance(result, AwsError) and waits.is_not_yet(result):
            self._not_yet(key, result)
        else:
            self._fail(key, result)
        return False

    def _used_token(self, key: str, error: AwsError) -> bool:
        """AWS made something with this token from another request (a lost state): look for it before a new life."""
        self.lab.state.gone(key)
        self.lab.state.intents[key] = self.lab.clock.now()
        self._waiting(key, Phase.PENDING, "", error.code)
        return False

    def _not_yet(self, key: str, error: AwsError) -> None:
        timeout = self.resources[key].patience.timeout
        if not waits.is_throttle(error):
            timeout = min(timeout, waits.SPREAD)
        now = self.lab.clock.now()
        waited = now - self.waiting_since.setdefault(key, now)
        if waited > timeout:
            self._fail(key, error)
        else:
            self.refused_until[key] = now + waits.pause(waited)
            self._waiting(key, self.phases[key], "", error.code)

    def _conclude(self) -> Built:
        for key, resource in self.resources.items():
            if self.phases.get(key) is Phase.HELD and key not in self.built.blocked:
                found = self.built.seen[key][0]
                self.built.settled[key] = (found,)
                self.lab.emit(Finished(key, resource.step, found.id, "held", found.detail))
        self.built.seconds = self._since_start(None)
        return self.built
