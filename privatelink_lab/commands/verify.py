"""`plab verify`: prove the path with real requests from inside each consumer's VPC."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from privatelink_lab import engine
from privatelink_lab.attributes import CONFIG, in_words
from privatelink_lab.commands import Options, diagnosis
from privatelink_lab.commands.interrupts import interruptible
from privatelink_lab.commands.run_command import NO_ERRORS, Ask, Execution
from privatelink_lab.commands.why import evidence_of, sentence
from privatelink_lab.config import Config, Consumer
from privatelink_lab.engine import Built, Survey
from privatelink_lab.errors import Interrupted, PlabError, UsageError
from privatelink_lab.events import Verified
from privatelink_lab.resource import Resource
from privatelink_lab.steps import STEPS
from privatelink_lab.steps.consumer_endpoint import endpoint_key
from privatelink_lab.steps.probe import ProbeTask, probe, probe_key, read_report
from privatelink_lab.why import Evidence, Verdict, judge
from privatelink_lab.why.cause import Stops


def verify(options: Options, *, consumers: Sequence[str], requests: int, timeout: float, ask: Ask) -> int:
    """Prove the path; see `plab verify --help`."""
    asked = ProbeTask(requests, timeout, secrets.token_hex(8))
    execution = Execution(options, locks=True)
    chosen = _chosen(execution.session.config, consumers)  # before anything is called
    with execution:
        # The probes are not part of the lab: its state file stays as it is.
        execution.lab.state = execution.lab.state.without_file()
        verdicts = _verify(execution, chosen, asked, ask)
        broken = {verdict.consumer: verdict.hop for verdict in verdicts if not verdict.ok}
        result = {"verified": [verdict.consumer for verdict in verdicts if verdict.ok], "broken": broken}
        code = execution.finish(result, 1 if broken else 0, {"": _error(verdicts)} if broken else NO_ERRORS)
        if not execution.screen.json:
            for verdict in verdicts:
                execution.screen.out(_verdict_text(verdict))
        return code


def _chosen(config: Config, names: Sequence[str]) -> list[Consumer]:
    consumers = {consumer.name: consumer for consumer in config.consumers}
    for name in names:
        if name not in consumers:
            raise UsageError(f"The lab has no consumer {name!r}.", hint=f"One of: {', '.join(consumers)}")
    if not consumers:
        whose = next(iter(config.customers_with_access), None)
        hint = "Add one under `consumers:` in the config."
        if whose:
            hint = f"A customer verifies its own side, with the pack that this writes: plab share {whose}"
        raise UsageError("The lab has no consumer.", hint=hint)
    return [consumers[name] for name in dict.fromkeys(names)] or list(consumers.values())


def _verify(execution: Execution, chosen: list[Consumer], asked: ProbeTask, ask: Ask) -> list[Verified]:
    """One verdict per consumer: what AWS proves is said at once, and only the others get a probe."""
    names = [consumer.name for consumer in execution.session.config.consumers]
    probes = {probe_key(name): probe(execution.lab, name, asked) for name in names}
    seen = engine.survey(execution.lab, STEPS, probes)
    engine.claim_or_refuse(execution.lab, seen.snapshot, adopt=False)
    _refuse_unseen(seen, list(probes))
    _refuse_unseen(seen, [endpoint_key(consumer.name) for consumer in chosen])
    _tell_config_changes(execution, seen)
    left = {key: resource for key, resource in probes.items() if seen.found.get(key)}
    if left:  # by a `verify` that was killed
        _remove(execution, left)
    judged = {verdict.request.name: verdict for verdict in judge(evidence_of(execution.lab))}
    known = {consumer.name: diagnosis.known_at_once(judged[consumer.name]) for consumer in chosen}
    at_once = [verdict for verdict in known.values() if verdict]
    for verdict in at_once:
        execution.lab.emit(verdict)
    with_probe = {name: judged[name] for name, verdict in known.items() if not verdict}
    for name, path in with_probe.items():
        if path.first and path.first.stops is not Stops.NOTHING:
            execution.screen.say(f"{name}: {sentence(path.first)}. The probe asks the server.")
    if not with_probe:
        return at_once
    execution.session.refuse_without_traffic()
    _ask_for_instances(execution, with_probe, ask)
    return [*at_once, *_probe(execution, with_probe, seen)]


def _ask_for_instances(execution: Execution, names: Collection[str], ask: Ask) -> None:
    """Raise PlabError where a customer does not agree to an instance in a VPC of its own, which plab only reuses."""
    config = execution.session.config
    reused = {one.name: one.vpc.id for one in config.consumers if one.name in names and one.vpc.reused}
    if not config.is_customers or not reused or execution.session.options.yes:
        return
    places = ", ".join(f"{id_} of {name}" for name, id_ in reused.items())
    execution.screen.warn(f"This starts an instance in {places}, and removes it afterwards.")
    if not ask("Start it?"):
        raise PlabError("Nothing was started, so nothing is proved.", hint=f"plab why {next(iter(reused))}")


def _tell_config_changes(execution: Execution, seen: Survey) -> None:
    """Say where the config has changed and the lab has not: the probe asks as the config says."""
    for key, found in seen.existing().items():
        asked = [attribute for attribute in found[0].drift if attribute.asked_by == CONFIG]
        if asked:
            text = f"{key} has another {in_words(asked)}. The lab may work as it is; verify asks as the config says."
            command = "plab up" if seen.resources[key].type.can_update(found[0]) else f"plab up --replace {key}"
            execution.screen.warn(f"{text} Next: {command}")


def _refuse_unseen(seen: Survey, keys: list[str]) -> None:
    """Raise the first key's error when AWS showed none of these keys: then there is no verdict."""
    if all(key in seen.errors for key in keys):
        raise seen.errors[keys[0]]


def _probe(execution: Execution, consumers: Mapping[str, Verdict], seen: Survey) -> list[Verified]:
    """Make the probes, read their reports, and remove them whatever happens."""
    probes = {key: seen.resources[key] for key in map(probe_key, consumers)}
    execution.screen.open_board([(resource.step, key) for key, resource in probes.items()])
    try:
        with interruptible(execution.lab):
            built = engine.create_only(execution.lab, probes, seen)
            execution.lab.check_interrupted()
        after = evidence_of(execution.lab)
        return [_judge(execution, built, after, consumer) for consumer in consumers]
    except Interrupted:
        execution.resume()
        for name, path in consumers.items():
            known = sentence(path.first) if path.first else "AWS shows nothing that stops its packets"
            execution.screen.warn(f"{name}: not proved yet; {known}.")
        raise Interrupted("Stopped; the probes are removed.", hint="Run it again: plab verify") from None
    finally:
        _remove(execution, probes)


def _judge(execution: Execution, built: Built, after: Evidence, consumer: str) -> Verified:
    key = probe_key(consumer)
    if key in built.failed:
        verdict = diagnosis.broken_at(consumer, diagnosis.PROBE, str(built.failed[key]))
    elif key not in built.done:
        verdict = diagnosis.broken_at(consumer, diagnosis.PROBE, "what the probe needs is not ready")
    else:
        report = read_report(built.shows(key, "console") or "")
        verdict = diagnosis.verdict(execution.lab, after, consumer, report)
    execution.lab.emit(verdict)
    return verdict


def _remove(execution: Execution, probes: Mapping[str, Resource]) -> None:
    """Delete the probes; raises Interrupted, which names what is left, when the user stops this as well."""
    with interruptible(execution.lab):
        try:
            existing = {key: replace(resource, options=None) for key, resource in probes.items()}  # no console is read
            seen = engine.survey(execution.lab, STEPS, existing)
            removed = engine.down(execution.lab, STEPS, seen, only=set(probes))
        except Interrupted:
            raise Interrupted(
                "Stopped; a probe may be left. It ends itself within a quarter of an hour.",
                hint="This removes it at once: plab verify",
            ) from None
    for key in removed.left:
        execution.screen.warn(f"{key} is left; it ends itself within a quarter of an hour.")


def _error(verdicts: Sequence[Verified]) -> PlabError:
    """How many consumers are cut off, wait, or could not be probed; and the commands that help."""
    unknown = [verdict for verdict in verdicts if verdict.hop == diagnosis.PROBE]
    waiting = [verdict for verdict in verdicts if _waits(verdict)]
    broken = [verdict for verdict in verdicts if not (verdict.ok or verdict in unknown or verdict in waiting)]
    counts = (
        (broken, "do not reach the service"),
        (waiting, "wait"),
        (unknown, "could not be probed, so nothing is known of them"),
    )
    texts = [f"{len(some)} of {len(verdicts)} consumers {what}." for some, what in counts if some]
    steps = dict.fromkeys(verdict.fix for verdict in verdicts if verdict.fix)
    return PlabError(" ".join(texts), hint=", ".join(steps) or "plab status")


def _waits(verdict: Verified) -> bool:
    """Whether it is not broken: it waits for a person, or is not built."""
    return verdict.detail == diagnosis.NOT_BUILT or verdict.detail.startswith(diagnosis.WAITING)


def _verdict_text(verdict: Verified) -> str:
    if _waits(verdict):
        words = diagnosis.NOT_BUILT if verdict.detail == diagnosis.NOT_BUILT else "waits for acceptance"
        return f"{verdict.consumer}: {words}" + (f" -> {verdict.fix}" if verdict.fix else "")
    if not verdict.connect_ms or not verdict.total_ms:
        detail = f"{probe_key(verdict.consumer)} failed" if verdict.hop == diagnosis.PROBE else verdict.detail
        fix = f" -> {verdict.fix}" if verdict.fix else ""
        return f"{verdict.consumer}: BROKEN at the hop {verdict.hop}: {detail}{fix}"
    connect, total = verdict.connect_ms, verdict.total_ms
    what = "a TCP connection to" if verdict.status is None else f"{verdict.status} from"
    page = "" if verdict.body is None else f": {verdict.body}"
    return (
        f"{verdict.consumer}: {what} {', '.join(verdict.addresses)}{page}\n"
        f"  {verdict.detail}; connect {connect['p50']:.1f} ms (max {connect['max']:.1f}), "
        f"total {total['p50']:.1f} ms (max {total['max']:.1f})"
    ) + "".join(f"\n  {text}" for text in verdict.also)
