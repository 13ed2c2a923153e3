"""`plab verify`: prove the path with real requests from inside each consumer's VPC."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

from privatelink_lab import engine, verification
from privatelink_lab.commands.work import Work, warn_of
from privatelink_lab.config import Config, Consumer
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import Interrupted, PlabError, UsageError
from privatelink_lab.events import Verified
from privatelink_lab.resource import Resource
from privatelink_lab.session import Options, interruptible
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.probe import Asked, probe, probe_key, read_report


def verify(options: Options, *, consumers: Sequence[str], requests: int, timeout: float) -> int:
    """Prove the path; see `plab verify --help`."""
    asked = Asked(requests, timeout, secrets.token_hex(8))
    work = Work(options, "verify", locks=True)
    chosen = _chosen(work.session.config, consumers)  # before anything is called
    with work:
        work.lab.state = work.lab.state.apart()  # the probes are not the lab's: nothing of them is to be remembered
        verdicts = _verify(work, chosen, asked)
        wrong = {each.consumer: each.hop for each in verdicts if not each.ok}
        result = {"verified": [each.consumer for each in verdicts if each.ok], "broken": wrong}
        error = _error(verdicts) if wrong else None
        code = work.finish(result, error.exit_code if error else 0, error)
        if not work.screen.json:
            for each in verdicts:
                work.screen.out(_words(each))
        if error:
            warn_of(work.screen, error)
        return code


def _chosen(config: Config, names: Sequence[str]) -> list[Consumer]:
    consumers = {each.name: each for each in config.consumers}
    for name in names:
        if name not in consumers:
            raise UsageError(f"The lab has no consumer {name!r}.", hint=f"One of: {', '.join(consumers)}")
    if not consumers:
        raise UsageError("The lab has no consumer to look from.", hint="Add one under `consumers:` in the config.")
    return [consumers[name] for name in dict.fromkeys(names)] or list(consumers.values())


def _verify(work: Work, consumers: list[Consumer], asked: Asked) -> list[Verified]:
    """One verdict per consumer; those whose endpoint lets nothing pass need no probe."""
    probes = {each.name: probe(work.lab, each.name, asked) for each in consumers}
    seen = _survey(work, probes)
    for each in probes.values():
        if each.key in seen.errors:
            raise seen.errors[each.key]
    work.lab.state.since = work.lab.state.since or seen.since  # or the probes would look like somebody else's lab
    shut = {name: bad for name in probes if (bad := verification.closed(seen, name))}
    for bad in shut.values():
        work.lab.emit(bad)
    rest = {name: each for name, each in probes.items() if name not in shut}
    if rest:
        work.session.refuse_without_traffic()
    return [*shut.values(), *(_probe(work, rest, seen, asked) if rest else [])]


def _survey(work: Work, probes: Mapping[str, Resource]) -> Survey:
    return engine.survey(work.lab, STEPS, {each.key: each for each in probes.values()})


def _probe(work: Work, probes: Mapping[str, Resource], seen: Survey, asked: Asked) -> list[Verified]:
    """Make the probes, read what they saw, and remove them whatever happens."""
    if any(seen.found.get(each.key) for each in probes.values()):  # of a `verify` that was killed
        _remove(work, probes)
    work.screen.open_board([(each.step, each.key) for each in probes.values()])
    try:
        with interruptible(work.lab):
            built = engine.make(work.lab, {each.key: each for each in probes.values()}, seen)
        after = _survey(work, probes)
        return [_judge(work, built, after, name, asked) for name in probes]
    except Interrupted:
        work.begin_anew()
        raise Interrupted("Stopped; the probes are removed.", hint="plab verify begins anew.") from None
    finally:
        _remove(work, probes)


def _judge(work: Work, built: Built, after: Survey, consumer: str, asked: Asked) -> Verified:
    key = probe_key(consumer)
    if key in built.failed:
        found = verification.broken(consumer, "probe", str(built.failed[key]))
    else:
        report = read_report(built.shows(key, "console") or "")
        found = verification.verdict(work.lab, after, consumer, report, asked.requests)
    work.lab.emit(found)
    return found


def _remove(work: Work, probes: Mapping[str, Resource]) -> None:
    with interruptible(work.lab):
        removed = engine.down(work.lab, STEPS, _survey(work, probes), only={each.key for each in probes.values()})
    for key, error in removed.left.items():
        work.screen.warn(f"{key} is left, and ends itself within a quarter of an hour: {error}")


def _error(verdicts: Sequence[Verified]) -> PlabError:
    """How many are wrong, and the next command by what is broken."""
    wrong = [each for each in verdicts if not each.ok]
    only_endpoints = all(each.hop == verification.ENDPOINT for each in wrong)
    message = f"{len(wrong)} of {len(verdicts)} consumers do not reach the service."
    return PlabError(message, hint="plab connections" if only_endpoints else "plab status")


def _words(found: Verified) -> str:
    if not found.connect_ms or not found.total_ms:
        return f"{found.consumer}: BROKEN at the hop {found.hop}: {found.detail}"
    connect, total = found.connect_ms, found.total_ms
    return (
        f"{found.consumer}: {found.status} from {found.address}: {found.body}\n"
        f"  {found.detail}; connect {connect['p50']:.1f} ms (max {connect['max']:.1f}), "
        f"total {total['p50']:.1f} ms (max {total['max']:.1f})"
    )
