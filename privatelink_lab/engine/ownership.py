"""Whose lab it is: the oldest maker's, by the tags of what was seen."""

from __future__ import annotations

import shlex

from privatelink_lab.errors import ConcurrentMaker, NotOurs, PlabError
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource
from privatelink_lab.snapshot import Snapshot


def untagged(lab: Lab, resource: Resource, id_: str) -> PlabError:
    """What to say of a resource that the state knows as the lab's, and that has lost the lab's tag."""
    pairs = lab.tags(resource.key)
    if resource.type.kind and resource.type.kind.service == "elbv2":
        command = ["aws", "elbv2", "add-tags", "--resource-arns", id_]
    else:
        command = ["aws", "ec2", "create-tags", "--resources", id_]
    put_back = shlex.join([*command, "--tags", *(f"Key={pair['Key']},Value={pair['Value']}" for pair in pairs)])
    return PlabError(
        f"{resource.key} ({id_}) exists and has lost the lab's tag; plab neither uses nor deletes it.",
        hint=f"If it is still the lab's, put the tags back: {put_back}",
    )


def claim_or_refuse(lab: Lab, snapshot: Snapshot, *, adopt: bool) -> None:
    """Make this run the lab's maker, and take over when the lab began from what the snapshot shows.

    Raises NotOurs when another maker began it and this machine's state is not of that lab, unless `adopt`. Where two
    makers began at the same moment, this run uses only what is its own: the other one removes what it has made.
    """
    makers = sorted(snapshot.makers(), key=lambda pair: pair[1])
    others = [(maker, since) for maker, since in makers if maker != lab.maker and since != lab.state.since]
    if others and not adopt and lab.state.since in {since for _, since in makers}:
        lab.only_since = lab.state.since
        return
    if others and not adopt:
        maker, since = others[0]
        raise NotOurs(
            f"The lab {lab.config.lab!r} belongs to {maker}, since {since}, and there is no state of it here.",
            hint="Choose another `lab:` name, or take it over: plab up --adopt, plab down --adopt.",
        )
    if makers:
        lab.state.since, lab.is_new = makers[0][1], False
    else:
        lab.only_since = lab.state.since


def refuse_if_later(lab: Lab, snapshot: Snapshot) -> None:
    """Raise ConcurrentMaker when another maker began this lab earlier: neither had seen anything of the other."""
    ours = (lab.state.since, lab.maker)
    since, maker = min(((since, maker) for maker, since in snapshot.makers()), default=ours)
    if (since, maker) < ours and since != lab.state.since:
        raise ConcurrentMaker(
            f"The lab {lab.config.lab!r} belongs to {maker}, who began at {since}, just before this run.",
            hint="Choose another `lab:` name.",
        )
