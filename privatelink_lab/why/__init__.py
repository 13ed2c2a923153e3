"""Why a customer gets no answer: evidence is collected, and judged apart from that by one table of causes.

`collect` only describes. `judge` is a pure function over evidence, also over a saved one of the other side. The causes
are data (`causes`): docs/why.md is made of them.
"""

from privatelink_lab.why.causes import CAUSES
from privatelink_lab.why.collect import Asked, collect
from privatelink_lab.why.evidence import Evidence, Request, load, merged
from privatelink_lab.why.judge import Judged, Verdict, judge

__all__ = ["CAUSES", "Asked", "Evidence", "Judged", "Request", "Verdict", "collect", "judge", "load", "merged"]
