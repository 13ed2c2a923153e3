"""Whose lab it is, and what is the lab's own, by the tags of what was seen and by the state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from privatelink_lab import expiry, tags
from privatelink_lab.engine.survey import Survey
from privatelink_lab.errors import ConcurrentMaker, NotOurs, PlabError
from privatelink_lab.kind import Kind
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Found, Phase, Resource
from privatelink_lab.snapshot import Doubt, Doubtful, Snapshot

HOURS_PER_DAY = 24


def untagged(resource: Resource, found: Found) -> PlabError:
    """What to say of a resource that the state knows as the lab's, and that has lost the lab's tags."""
    text = f"{resource.key} ({found.id}) exists and has lost the lab's tags; plab neither uses nor deletes it."
    if not found.tags:
        return PlabError(f"{text} The state does not say how it was made.", hint="Delete it yourself, if it is yours.")
    hint = "If it is still the lab's, plab puts the tags back: plab up --adopt, or plab down --adopt."
    return PlabError(text, hint=hint)


def put_tags_back(lab: Lab, seen: Survey) -> None:
    """Give what is UNTAGGED the tags that the state has of it. Raises AwsError."""
    for key, found in seen.existing().items():
        for lost in found:
            if lost.phase is Phase.UNTAGGED and lost.tags:
                _tag(lab, seen.resources[key], lost)
                lab.adopted.add(lost.id)


def _tag(lab: Lab, resource: Resource, lost: Found) -> None:
    named = {"Name": lab.resource_name(resource.key), **lost.tags}
    assert resource.type.kind is not None  # noqa: S101 (what has no kind has no tags to lose)
    lab.account(resource.party).put_tags(resource.type.kind.service, lost.id, named)


def suspects(lab: Lab, snapshot: Snapshot) -> dict[str, PlabError]:
    """What bears the lab's tags and is not its own, by key and id, with the two commands that end the doubt."""
    return {f"{row.key} ({row.id})": _error(row) for row in _unknown(lab, snapshot, incomplete=False)}


def incomplete(lab: Lab, snapshot: Snapshot) -> dict[str, str]:
    """By id: a sentence on what bears the lab's tag alone, which plab leaves out."""
    rows = _unknown(lab, snapshot, incomplete=True)
    return {row.id: f"{_name(row)} {row.doubt.value}; plab leaves it out." for row in rows}


def _unknown(lab: Lab, snapshot: Snapshot, *, incomplete: bool) -> Iterator[Doubtful]:
    ours = set(lab.state.ids.values())  # these are UNTAGGED
    rows = (row for row in snapshot.doubtful() if row.id not in ours)
    return (row for row in rows if (row.doubt is Doubt.INCOMPLETE) == incomplete)


def _name(row: Doubtful) -> str:
    name, made = tags.of(row.row).get("Name", ""), row.row.get(row.kind.created)
    hours = (datetime.now(UTC) - made).total_seconds() / 3600 if isinstance(made, datetime) else None
    age = "AWS does not show its age" if hours is None else f"{hours / HOURS_PER_DAY:.1f} days old"
    return f"The {row.kind.name} {row.id} (Name {name!r}, {age})"


def delete_command(kind: Kind, id_: str, region: str) -> str:
    """The words of the AWS CLI that delete something of a kind."""
    return f"aws {kind.service} {kind.delete} {id_} --region {region}"


def _error(row: Doubtful) -> PlabError:
    names = list(tags.own(tags.of(row.row)))
    region = f"--region {row.account.region}"
    if row.kind.service == "elbv2":
        service, untag = "elbv2", f"remove-tags --resource-arns {row.id} --tag-keys {' '.join(names)}"
    else:
        service, untag = "ec2", f"delete-tags --resources {row.id} --tags {' '.join(f'Key={name}' for name in names)}"
    hint = (
        f"If it is not the lab's, take the tags off: aws {service} {untag} {region}. "
        f"If nobody needs it, delete it: {delete_command(row.kind, row.id, row.account.region)}"
    )
    return PlabError(f"{_name(row)} {row.doubt.value}; plab neither uses nor deletes it.", hint=hint)


def in_order(found: Sequence[Found]) -> list[Found]:
    """What exists under one key, the first that was made first, by its tag; at the same instant the lower id.

    [] where one of them does not say when it was made, or has the tags of another one: those are copied.
    """
    told = {(one.tags.get(tags.MAKER), one.tags.get(tags.CREATED)) for one in found}
    moments = [(expiry.instant(one.tags.get(tags.CREATED, "")), one.id, one) for one in found]
    dated = [(moment, id_, one) for moment, id_, one in moments if moment]
    return [one for *_, one in sorted(dated)] if len(found) == len(dated) == len(told) else []


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
            f"The lab {lab.config.lab!r} belongs to {maker}, since {since or 'an unknown time'}, "
            "and there is no state of it here.",
            hint="Choose another `lab:` name, or take it over: plab up --adopt, plab down --adopt.",
        )
    if makers:
        lab.state.since, lab.is_new = makers[0][1], False
        if not lab.ttl:
            lab.state.expires = max(lab.state.expires if lab.had_state else "", snapshot.expires())
    else:
        lab.only_since = lab.state.since


def refuse_if_later(lab: Lab, snapshot: Snapshot) -> None:
    """Raise ConcurrentMaker when another maker began this lab earlier: neither had seen anything of the other.

    That can only be in the run that began the lab; later, who comes with an earlier date has only written a tag.
    """
    if not lab.is_new:
        return
    ours = (lab.state.since, lab.maker)
    since, maker = min(((since, maker) for maker, since in snapshot.makers()), default=ours)
    if (since, maker) < ours and since != lab.state.since:
        raise ConcurrentMaker(
            f"The lab {lab.config.lab!r} belongs to {maker}, who began at {since}, just before this run.",
            hint="Choose another `lab:` name.",
        )
