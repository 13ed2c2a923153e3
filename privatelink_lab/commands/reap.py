"""`plab reap`: delete the labs whose end has come, whoever made them: `plab:expires` is their makers' consent."""

from __future__ import annotations

from typing import Any

from privatelink_lab import engine
from privatelink_lab.commands import Options
from privatelink_lab.commands.receipt import delete
from privatelink_lab.commands.run_command import Ask, Execution, new_screen
from privatelink_lab.commands.tagged_labs import SeenLab, find_labs, print_labs
from privatelink_lab.errors import Interrupted, PlabError
from privatelink_lab.events import Summary
from privatelink_lab.steps import STEPS
from privatelink_lab.ui.output import Screen


def reap(options: Options, *, all_regions: bool, ask: Ask) -> int:
    """Delete what has expired; see `plab reap --help`."""
    screen = new_screen(options)
    found = find_labs(options, screen, all_regions=all_regions)
    unread = found.unread | {name(seen): error for seen in found.labs for error in [*seen.unread.values()][:1]}
    for seen in found.labs:
        for key, ids in engine.twice(seen.seen).items():
            text = f"{key} exists {len(ids)} times ({', '.join(ids)}): one may be another person's. The lab is kept."
            unread[name(seen)] = PlabError(text, hint="Look at them, and delete what is not the lab's.")
    screen.show_errors(unread)
    expired = [seen for seen in found.labs if seen.has_expired]
    if not expired:
        if not screen.json:
            screen.out(f"None of {len(found.labs)} labs has expired." if found.labs else "There is no lab.")
        return _finish(screen, [], unread)
    if not screen.json:
        print_labs(screen, expired, all_regions=all_regions)
    if not options.yes and not ask(f"Delete {'this lab' if len(expired) == 1 else f'these {len(expired)} labs'}?"):
        screen.say("Nothing was changed.")
        return _finish(screen, [], unread, refused=True)
    receipts: list[dict[str, Any]] = []
    for seen in expired:
        try:
            receipts += filter(None, [_reap(seen)])
        except Interrupted:
            raise
        except PlabError as error:  # of one lab; the others go on
            unread[name(seen)] = error
            screen.show_errors({name(seen): error})
    return _finish(screen, receipts, unread)


def name(seen: SeenLab) -> str:
    """Which lab it is, in a message."""
    return f"{seen.lab.config.lab} in {seen.lab.provider.region}"


def _reap(before: SeenLab) -> dict[str, Any] | None:
    """Read the lab again, and delete it if its end has still come; returns its receipt, or None if it is kept."""
    with Execution(before.session.options, deletes=True, session=before.session) as execution:
        lab = execution.lab
        seen = engine.survey(lab, STEPS, to_delete=True)
        if seen.unseen or seen.errors:
            raise next(iter([*seen.unseen.values(), *seen.errors.values()]))
        if not engine.has_expired(lab, seen, lab.provider.now()):
            execution.screen.warn(f"{name(before)} is kept: its end has moved.")
            return None
        engine.claim_or_refuse(lab, seen.snapshot, adopt=True)
        _, result = delete(execution, seen, reaps=True)
        return result | {"region": lab.provider.region}


def _finish(
    screen: Screen, receipts: list[dict[str, Any]], kept: dict[str, PlabError], *, refused: bool = False
) -> int:
    """The exit code: 3 if something is left, 1 if a lab could not be read or deleted, or the person said no."""
    code = 3 if any(receipt["left"] for receipt in receipts) else int(bool(kept) or refused)
    if screen.json:
        result = {"labs": receipts, "kept": {what: error.as_json() for what, error in kept.items()}}
        screen.show(Summary("reap", code, result, next(iter(kept.values()), None)))
    return code
