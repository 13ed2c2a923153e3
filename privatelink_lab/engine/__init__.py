"""One loop for building, tearing down and looking.

`up`: look; create what is missing and has its needs, mend what drifted, independent ones at once; look again when the
next patience is due; until every goal is ready or held. `down`: the same with arrows reversed, over everything that
bears the lab's tag. Waits overlap, so the total is the longest chain and not the sum. Only the loop touches the state;
steps come in as data.
"""

from privatelink_lab.engine.outcome import Built, Removed
from privatelink_lab.engine.ownership import know_maker
from privatelink_lab.engine.survey import Survey, look_at, planned, survey
from privatelink_lab.engine.down import down, needed_by, withdraw
from privatelink_lab.engine.up import make, up

__all__ = [
    "Built",
    "Removed",
    "Survey",
    "down",
    "know_maker",
    "look_at",
    "make",
    "needed_by",
    "planned",
    "survey",
    "up",
    "withdraw",
]
