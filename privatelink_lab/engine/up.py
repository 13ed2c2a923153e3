"""Building: look, create what is missing, mend what drifted, until every key is ready or held."""

from __future__ import annotations

from collections.abc import Sequence

from privatelink_lab import waits
from privatelink_lab.engine.built import Built
from privatelink_lab.engine.progress import Progress
from privatelink_lab.engine.survey import Survey, in_parallel, know_maker, look_at, planned, yield_to_earlier
from privatelink_lab.errors import AwsError, Interrupted, LostAnswer, PlabError
from privatelink_lab.events import Started
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look
from privatelink_lab.resource import Found, Phase, Resource, Step, Token

RESEND = 10.0  # seconds before a mend goes out again while describes still show the old
DOUBT = 30.0  # seconds after which a run that still waits looks at everything again


def up(lab: Lab, steps: Sequence[Step], *, adopt: bool = False) -> Built:
    """Build, continue or repair the lab; returns how each key ended.

    Raises NotOurs for somebody else's lab (unless `adopt`), Yielded when another maker turns out to have begun
    earlier, Interrupted, StateError.
    """
    lab.begin()
    for step in steps:
        step.check(lab)
    resources = {key: r for key, r in planned(lab, steps).items() if r.create}
    run = _Up(lab, Progress(lab, resources, None), adopt=adopt)
    try:
        return waits.until(run.tick, clock=lab.clock, pause=run.progress.pause)
    except Interrupted:
        run.progress.note()
        raise
    finally:
        lab.state.save()


def make(lab: Lab, resources: dict[str, Resource], seen: Survey) -> Built:
    """Make just these, on top of what a survey found READY; returns how each key ended. Raises Interrupted."""
    standing = {
        key: found
        for key, found in seen.found.items()
        if found and found[0].phase is Phase.READY and key not in resources
    }
    run = _Up(lab, Progress(lab, resources, standing), knows_maker=True)  # who saw what stands knows whose it is
    return waits.until(run.tick, clock=lab.clock, pause=run.progress.pause)


class _Up:
    def __init__(self, lab: Lab, progress: Progress, *, adopt: bool = False, knows_maker: bool = False) -> None:
        self.lab, self.progress, self.resources = lab, progress, progress.resources
        self.adopt, self.knows_maker = adopt, knows_maker
        self.outage = waits.Outage(lab.clock)
        self.doubted = lab.clock.now()
        self.mended: dict[str, float] = {}
        self.read: set[str] = set()  # keys that the last look was asked about
        self.tried: set[tuple[str, str]] = set()  # (key, action) of this tick: a stale describe must not make us spin

    def tick(self) -> Built | None:
        """Look and act until nothing can be done at once; the result when all is settled."""
        self.tried.clear()
        while True:
            self.lab.check_interrupted()
            if self.lab.clock.now() - self.doubted >= DOUBT:  # somebody may delete what this run has built
                self.doubted = self.lab.clock.now()
                self.progress.doubt()
            look = look_at(self.lab, self.resources, self.progress.built.settled)
            self._observe(look)
            if not self.progress.open():
                return self.progress.conclude()
            if not self._act(look):
                return None

    # What the look says.

    def _observe(self, look: Look) -> None:
        """Read this look, as far as it may differ from the last one: what becomes possible by it is read as well."""
        self.read.clear()
        while keys := [k for k in self.progress.unfinished() if self.progress.is_to_be_read(k) and k not in self.read]:
            self.read.update(keys)
            self.progress.read(keys)
            answers = in_parallel(keys, look.found)
            self.outage.note(answers)
            self._know_maker(look)
            for key, answer in zip(keys, answers, strict=True):
                self._read(key, answer, look)
        self.progress.block()

    def _know_maker(self, look: Look) -> None:
        if self.knows_maker:
            yield_to_earlier(self.lab, look)
        else:
            know_maker(self.lab, look, adopt=self.adopt)
            self.knows_maker = True

    def _read(self, key: str, answer: tuple[Found, ...] | PlabError, look: Look) -> None:
        if not isinstance(answer, PlabError) and answer:
            self.progress.see(key, answer)
        if self.progress.is_lost(key):  # needs come first in the order: why it fails has been said there
            self.progress.built.blocked.append(key)
        elif isinstance(answer, PlabError):
            self._cannot_look(key, answer)
        elif not self.progress.is_undecided(key):
            self._judge(key, answer, look)

    def _cannot_look(self, key: str, error: PlabError) -> None:
        """A throttle, an outage, or a parent that was just made and is not known everywhere: look again."""
        if isinstance(error, AwsError) and waits.may_be_seen_later(error) and not self.outage.is_too_long():
            self.progress.wait(key, Phase.PENDING, "", error.code)
        else:
            self.progress.fail(key, error)

    def _judge(self, key: str, found: tuple[Found, ...], look: Look) -> None:
        living = [one for one in found if one.phase is not Phase.LEAVING]
        if len(living) > 1:
            self._judge_several(key, [one.id for one in living], look)
        elif living:
            self._judge_one(key, living[0])
        elif found:
            self.lab.state.born.pop(key, None)
            self.progress.wait(key, Phase.LEAVING, found[0].id, found[0].detail)
        elif self.lab.is_fresh(self.resources[key]):
            self.progress.wait(key, Phase.PENDING, self.lab.state.ids.get(key, ""), "not visible yet")
        else:
            self.progress.miss(key)

    def _judge_several(self, key: str, each: list[str], look: Look) -> None:
        """Nothing is made under a key that exists twice; a second maker, who began later, removes his own."""
        ids = ", ".join(each)
        if self.lab.is_new and len({since for _, since in look.makers()}) > 1:
            self.progress.wait(key, Phase.PENDING, ids, "exists twice: another plab began later, and yields")
            return
        hint = f"Delete all but one of them, or everything with `plab down`: {ids}"
        self.progress.fail(key, PlabError(f"{key} exists {len(each)} times: {ids}.", hint=hint))

    def _judge_one(self, key: str, found: Found) -> None:
        self.lab.state.seen(key, found.id)
        hint = f"plab up --replace {key}" if self.resources[key].delete else ""
        if found.phase is Phase.READY and self.progress.has_needs(key):
            self.progress.settle(key, found)
        elif found.phase is Phase.READY:  # what it stands on may still be replaced under it, or is doubted
            self.progress.wait(key, Phase.PENDING, found.id, found.detail, bounded=False)
        elif found.phase is Phase.FAILED:
            self.progress.fail(key, PlabError(f"{key} ({found.id}) {found.detail}.", hint=hint))
        elif found.phase is Phase.DRIFTED and self.resources[key].mend is None:
            self.progress.fail(key, PlabError(f"{key} ({found.id}) is not as asked: {found.detail}.", hint=hint))
        else:
            self.progress.wait(key, found.phase, found.id, found.detail)

    # What can be done about it.

    def _act(self, look: Look) -> bool:
        """Send every create and mend that is due, at once; whether any of them took effect."""
        due = [key for key in self.progress.open() if self._due(key)]
        if not due:
            return False
        creates = [key for key in due if self.progress.phases[key] is None]
        for key in due:
            self.tried.add((key, self._action(key)))
            self.lab.emit(Started(key, self.resources[key].step, self._action(key), look.id(key) or ""))
            self.progress.begin(key)
        self.lab.state.intents |= dict.fromkeys(creates, self.lab.clock.now())
        self.progress.note()
        self.lab.state.save()
        results = in_parallel(due, lambda key: self._call(key, look))
        took = [self._record(key, result) for key, result in zip(due, results, strict=True)]
        self.lab.state.save()
        return any(took)

    def _due(self, key: str) -> bool:
        if not self.progress.has_needs(key) or self.progress.is_put_off(key):
            return False
        phase = self.progress.phases[key]
        if phase is None and key not in self.read:  # nothing is made that was not just looked for
            return False
        if phase is Phase.DRIFTED and self.lab.clock.now() - self.mended.get(key, -RESEND) < RESEND:
            return False
        return phase in (None, Phase.DRIFTED) and (key, self._action(key)) not in self.tried

    def _action(self, key: str) -> str:
        return "create" if self.progress.phases[key] is None else "mend"

    def _call(self, key: str, look: Look) -> str | None:
        resource = self.resources[key]
        if self.progress.phases[key] is None and resource.create:
            token = Token(self.lab.config.lab, key, self.lab.state.attempts.get(key, 0))
            return resource.create(self.lab, look, token)
        if resource.mend:
            resource.mend(self.lab, look, look.found(key)[0])
        return None

    def _record(self, key: str, result: str | PlabError | None) -> bool:
        if not isinstance(result, PlabError):
            if result:
                self.lab.state.created(key, result, self.lab.clock.now())
            self.progress.took(key, again=not result and key in self.mended)
            if not result:
                self.mended[key] = self.lab.clock.now()
            return True
        if isinstance(result, LostAnswer):  # the intent stays: only a look can tell
            self.progress.wait(key, Phase.PENDING, "", result.code)
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
            self.progress.fail(key, result)
        return False

    def _used_token(self, key: str, error: AwsError) -> bool:
        """AWS made something with this token from another request (a lost state): look for it before a new life."""
        self.lab.state.gone(key)
        self.lab.state.intents[key] = self.lab.clock.now()
        self.progress.wait(key, Phase.PENDING, "", error.code)
        return False

    def _not_yet(self, key: str, error: AwsError) -> None:
        timeout = self.resources[key].patience.timeout
        if not waits.had_no_effect(error):
            timeout = min(timeout, waits.SPREAD)
        waited = self.progress.waited(key)
        if waited > timeout:
            self.progress.fail(key, error)
        else:
            self.progress.put_off(key, waits.retry_interval(waited))
            self.progress.wait(key, self.progress.phases[key], "", error.code)
