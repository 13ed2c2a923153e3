"""`plab verify`: prove the path with real requests from inside each consumer's VPC."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from privatelink_lab import engine, verification
from privatelink_lab.commands.work import NONE, Work
from privatelink_lab.config import Config, Consumer
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import Interrupted, PlabError, UsageError
from privatelink_lab.events import Verified
from privatelink_lab.interrupts import interruptible
from privatelink_lab.resource import Resource
from privatelink_lab.session import Options
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.probe import Asked, probe, probe_key, read_report


def verify(options: Options, *, consumers: Sequence[str], requests: int, timeout: float) -> int:
    """Prove the path; see `plab verify --help`."""
    asked = Asked(requests, timeout, secrets.token_hex(8))
    work = Work(options, locks=True)
    chosen = _chosen(work.session.config, consumers)  # before anything is called
    with work:
        work.lab.state = work.lab.state.apart()  # the probes are not the lab's: nothing of them is to be remembered
        verdicts = _verify(work, chosen, asked)
        wrong = {each.consumer: each.hop for each in verdicts if not each.ok}
        result = {"verified": [each.consumer for each in verdicts if each.ok], "broken": wrong}
        code = work.finish(result, 1 if wrong else 0, {"": _error(verdicts)} if wrong else NONE)
        if not work.screen.json:
            for each in verdicts:
                work.screen.out(_words(each))
        return code


def _chosen(config: Config, names: Sequence[str]) -> list[Consumer]:
    consumers = {each.name: each for each in config.consumers}
    for name in names:
        if name not in consumers:
            raise UsageError(f"The lab has no consumer {name!r}.", hint=f"One of: {', '.join(consumers)}")
    if not consumers:
        raise UsageError("The lab has no consumer to look from.", hint="Add one under `consumers:` in the config.")
    return [consumers[name] for name in dict.fromkeys(names)] or list(consumers.values())


def _verify(work: Work, chosen: list[Consumer], asked: Asked) -> list[Verified]:
    """One verdict per consumer; those whose endpoint lets nothing pass need no probe."""
    everywhere = [probe(work.lab, each.name, asked) for each in work.session.config.consumers]
    seen = engine.survey(work.lab, STEPS, _by_key(everywhere))
    engine.know_maker(work.lab, seen.look, adopt=False)
    _refuse_unseen(seen, [each.key for each in everywhere])
    _refuse_unseen(seen, [endpoint_key(each.name) for each in chosen])
    left = [each for each in everywhere if seen.found.get(each.key)]
    if left:  # of a `verify` that was killed
        _remove(work, left)
    shut = {each.name: bad for each in chosen if (bad := verification.closed(seen, each.name))}
    for bad in shut.values():
        work.lab.emit(bad)
    names = [each.name for each in chosen if each.name not in shut]
    if names:
        work.session.refuse_without_traffic()
    return [*shut.values(), *(_probe(work, names, seen, asked) if names else [])]


def _refuse_unseen(seen: Survey, keys: list[str]) -> None:
    """Raise the error of the first key when none of them could be looked at: nothing can be said then."""
    if all(key in seen.errors for key in keys):
        raise seen.errors[keys[0]]


def _by_key(probes: Sequence[Resource]) -> dict[str, Resource]:
    return {each.key: each for each in probes}


def _probe(work: Work, consumers: list[str], seen: Survey, asked: Asked) -> list[Verified]:
    """Make the probes, read what they saw, and remove them whatever happens."""
    probes = [probe(work.lab, each, asked) for each in consumers]
    work.screen.open_board([(each.step, each.key) for each in probes])
    try:
        with interruptible(work.lab):
            built = engine.make(work.lab, _by_key(probes), seen)
            after = engine.survey(work.lab, STEPS, _by_key(probes))
            work.lab.check_interrupted()
        found = [_judge(work, built, after, name) for name in consumers]
    except Interrupted:
        work.begin_anew()
        _remove(work, probes)
        raise Interrupted("Stopped; the probes are removed.", hint="plab verify begins anew.") from None
    except BaseException:
        _remove(work, probes)
        raise
    _remove(work, probes)
    return found


def _judge(work: Work, built: Built, after: Survey, consumer: str) -> Verified:
    key = probe_key(consumer)
    if key in built.failed:
        found = verification.broken(consumer, verification.PROBE, str(built.failed[key]))
    else:
        report = read_report(built.shows(key, "console") or "")
        found = verification.verdict(work.lab, after, consumer, report)
    work.lab.emit(found)
    return found


def _remove(work: Work, probes: Sequence[Resource]) -> None:
    """End the probes; raises Interrupted, with what is left, when somebody asks to stop that too."""
    with interruptible(work.lab):
        try:
            seen = engine.survey(work.lab, STEPS, _by_key(probes))
            removed = engine.down(work.lab, STEPS, seen, only={each.key for each in probes})
        except Interrupted:
            raise Interrupted(
                "Stopped; a probe may be left, which ends itself within a quarter of an hour.",
                hint="plab verify or plab down removes it at once.",
            ) from None
    for key in removed.left:
        work.screen.warn(f"{key} is left; it ends itself within a quarter of an hour.")


def _error(verdicts: Sequence[Verified]) -> PlabError:
    """How many are wrong, and the next command by what is broken."""
    wrong = [each for each in verdicts if not each.ok]
    only_endpoints = all(each.hop == verification.ENDPOINT for each in wrong)
    message = f"{len(wrong)} of {len(verdicts)} consumers do not reach the service."
    return PlabError(message, hint="plab connections" if only_endpoints else "plab status")


def _words(found: Verified) -> str:
    if not found.connect_ms or not found.total_ms:
        detail = f"{probe_key(found.consumer)} failed" if found.hop == verification.PROBE else found.detail
        return f"{found.consumer}: BROKEN at the hop {found.hop}: {detail}"
    connect, total = found.connect_ms, found.total_ms
    return (
        f"{found.consumer}: {found.status} from {', '.join(found.addresses)}: {found.body}\n"
        f"  {found.detail}; connect {connect['p50']:.1f} ms (max {connect['max']:.1f}), "
        f"total {total['p50']:.1f} ms (max {total['max']:.1f})"
    )
