"""One loop for building and for removing, over one record per key.

`up`: take a snapshot; create what is missing and has what it depends on, update what drifted, independent ones at
once; poll again when the next key is due; until every goal is ready or held. `down`: the same with arrows reversed,
over everything that bears the lab's tag. Waits overlap, so the total is the longest chain and not the sum. Only the
loop writes the state; steps come in as data.
"""

from privatelink_lab.engine.down import AGAIN, down, remove_own
from privatelink_lab.engine.outcome import Built, Removed
from privatelink_lab.engine.ownership import claim_or_refuse, incomplete, put_tags_back, suspects
from privatelink_lab.engine.reconcile import dependents_of
from privatelink_lab.engine.survey import Survey, no_longer_planned, planned, survey, take_snapshot
from privatelink_lab.engine.tagged_labs import TaggedLabs, has_expired, tagged_labs, twice
from privatelink_lab.engine.thread_pool import in_parallel
from privatelink_lab.engine.up import check, create_only, up

__all__ = [
    "AGAIN",
    "Built",
    "Removed",
    "Survey",
    "TaggedLabs",
    "check",
    "claim_or_refuse",
    "create_only",
    "dependents_of",
    "down",
    "has_expired",
    "in_parallel",
    "incomplete",
    "no_longer_planned",
    "planned",
    "put_tags_back",
    "remove_own",
    "survey",
    "suspects",
    "tagged_labs",
    "take_snapshot",
    "twice",
    "up",
]
