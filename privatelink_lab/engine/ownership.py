"""Whose lab it is: the oldest maker's, by the tags of what was seen."""

from __future__ import annotations

from privatelink_lab.errors import NotOurs, Yielded
from privatelink_lab.lab import Lab
from privatelink_lab.look import Look


def know_maker(lab: Lab, look: Look, *, adopt: bool) -> None:
    """Take over when the lab began from what this look saw of it.

    Raises NotOurs when somebody else made it and this machine's state is not of that lab, unless `adopt`.
    """
    makers = sorted(look.makers(), key=lambda maker: maker[1])
    others = [maker for maker in makers if maker[0] != lab.owner and maker[1] != lab.state.since]
    if others and not adopt:
        owner, since = others[0]
        raise NotOurs(
            f"The lab {lab.config.lab!r} belongs to {owner}, since {since}, and there is no state of it here.",
            hint="Choose another `lab:` name, or take it over: plab up --adopt, plab down --adopt.",
        )
    if makers:
        lab.state.since, lab.is_new = makers[0][1], False


def yield_to_earlier(lab: Lab, look: Look) -> None:
    """Raise Yielded when somebody began this lab earlier: both looked before either had made anything."""
    ours = (lab.state.since, lab.owner)
    since, owner = min(((since, owner) for owner, since in look.makers()), default=ours)
    if (since, owner) < ours and since != lab.state.since:
        raise Yielded(
            f"The lab {lab.config.lab!r} belongs to {owner}, who began at {since}, just before this run.",
            hint="Choose another `lab:` name.",
        )
