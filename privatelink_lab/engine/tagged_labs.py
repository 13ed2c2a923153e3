"""The labs of one account and Region, by their tags alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from privatelink_lab import expiry
from privatelink_lab.aws import Account
from privatelink_lab.engine.survey import Survey, survey
from privatelink_lab.engine.thread_pool import in_parallel
from privatelink_lab.errors import PlabError
from privatelink_lab.kind import Kind, Rows, rows_of_lab, rows_of_labs
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Phase, Step
from privatelink_lab.snapshot import has_ended


@dataclass(frozen=True)
class TaggedLabs:
    """Everything in one account and Region that bears the tag of a lab, read at once for all labs."""

    account: Account
    rows: Mapping[Kind, Mapping[str, Rows] | PlabError]

    @property
    def names(self) -> list[str]:
        """What `plab:lab` says on anything that exists; anybody who may tag can write what no lab can be called."""
        read = (by_lab for by_lab in self.rows.values() if not isinstance(by_lab, PlabError))
        return sorted({lab for by_lab in read for lab, rows in by_lab.items() if not all(map(has_ended, rows))})

    @property
    def unread(self) -> dict[str, PlabError]:
        """By kind: why its rows could not be read."""
        return {kind.name: answer for kind, answer in self.rows.items() if isinstance(answer, PlabError)}

    def survey(self, lab: Lab, steps: Sequence[Step]) -> Survey:
        """What exists of a lab, without a second look at what is known here."""
        return survey(lab, steps, to_delete=True, fetch=lambda account, kind: self._of(lab, account, kind))

    def _of(self, lab: Lab, account: Account, kind: Kind) -> Rows:
        if (account.id, account.region) != (self.account.id, self.account.region):
            return rows_of_lab(account, kind, lab.config.lab, lab.name)
        answer = self.rows[kind]
        if isinstance(answer, PlabError):
            raise answer
        return answer.get(lab.config.lab, ())


def tagged_labs(account: Account, steps: Sequence[Step]) -> TaggedLabs:
    """One describe for each kind, in parallel; what is refused is an answer too."""
    kinds = list(dict.fromkeys(kind for step in steps for kind in step.kinds))
    answers = in_parallel(kinds, lambda kind: rows_of_labs(account, kind))
    return TaggedLabs(account, dict(zip(kinds, answers, strict=True)))


def twice(seen: Survey) -> dict[str, tuple[str, ...]]:
    """By key: the ids of what exists more than once. Without a state nothing says which of them is the lab's."""
    ids = {
        key: tuple(row.id for row in found if row.phase is not Phase.DELETING)
        for key, found in seen.existing().items()
        if seen.resources[key].type.made_by_plab and seen.resources[key].type.kind
    }
    return {key: several for key, several in ids.items() if len(several) > 1}


def has_expired(lab: Lab, seen: Survey, now: datetime) -> bool:
    """Whether the end of a lab has come, at a time by AWS: all of it was read, and each resource names an end.

    The latest end counts. A lab of which something exists twice is kept: a person has to look at it. What bears the
    lab's tags and is not its own says nothing.
    """
    if seen.unseen or seen.errors or not seen.existing() or twice(seen):
        return False
    end = seen.snapshot.expires()
    kept_until = lab.state.expires if lab.had_state else ""  # of an `up --ttl` that was stopped before it tagged all
    return expiry.is_past(end, now) and (not kept_until or expiry.is_past(kept_until, now))
