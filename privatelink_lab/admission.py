"""Who is admitted: a pure rule over the customers of the config and the connections that AWS shows.

**Allowed** is an account that may ask; **admitted** is an endpoint that is accepted. The rule sees what
DescribeVpcEndpointConnections shows, and nothing else: owner, endpoint id, Region, state, age.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from privatelink_lab.config import Customer

PENDING_ACCEPTANCE, REJECTED = "pendingacceptance", "rejected"
COUNT = {"available", "pending"}  # pending: accepted, and not yet available


class Asked(Protocol):
    """What the rule sees of a connection."""

    @property
    def endpoint(self) -> str:
        """Its id."""

    @property
    def owner(self) -> str:
        """The account that asks."""

    @property
    def region(self) -> str:
        """Where the endpoint is."""

    @property
    def state(self) -> str:
        """AWS's word."""

    @property
    def since(self) -> datetime | None:
        """When it was made."""


class Reason(StrEnum):
    """Why the rules admit an endpoint or not. A reason is never renamed."""

    ADMIT = "admit"  # it waits, and the rules admit it
    ADMITTED = "admitted"  # it is accepted, and should be
    NO_CUSTOMER = "no-customer"
    LIMIT_REACHED = "limit-reached"
    NOT_LISTED = "not-listed"
    REGION_NOT_LISTED = "region-not-listed"
    REVOKED = "revoked"
    MANUAL = "manual"
    REJECTED_BEFORE = "rejected-before"
    ENDED = "ended"  # nothing is to be decided any more


@dataclass(frozen=True)
class Decision:
    """What the rules say of one endpoint: the reason, the customer whose account it is, and a sentence."""

    endpoint: str
    reason: Reason
    customer: str | None
    text: str

    @property
    def admits(self) -> bool:
        """Whether it is to be accepted now."""
        return self.reason is Reason.ADMIT


def decide(customers: Mapping[str, Customer], region: str, rows: Iterable[Asked]) -> dict[str, Decision]:
    """The decision on each endpoint, by its id; `region` is the service's own.

    Never above a customer's limit: what is available and what is accepted already counts. The oldest comes first, then
    the lower id. The order of the rows has no part in it.
    """
    ordered = sorted(rows, key=lambda row: (row.since is None, str(row.since), row.endpoint))
    accepted = {name: [row.endpoint for row in ordered if _counts(one, row)] for name, one in customers.items()}
    found = {}
    for row in ordered:
        decision = _decide(customers, region, row, accepted)
        if decision.admits and decision.customer:
            accepted[decision.customer].append(row.endpoint)
        found[row.endpoint] = decision
    return _with_excess(customers, ordered, found)


def _counts(customer: Customer, row: Asked) -> bool:
    return row.owner in customer.accounts and row.state.lower() in COUNT


def _decide(customers: Mapping[str, Customer], region: str, row: Asked, accepted: Mapping[str, list[str]]) -> Decision:
    state = row.state.lower()
    name, customer = next(((n, c) for n, c in customers.items() if row.owner in c.accounts), (None, None))
    if state == REJECTED:
        text = "it was rejected; a rejected endpoint is never accepted again"
        return Decision(row.endpoint, Reason.REJECTED_BEFORE, name, text)
    if state != PENDING_ACCEPTANCE and state not in COUNT:
        return Decision(row.endpoint, Reason.ENDED, name, row.state)
    if name is None or customer is None:
        return Decision(row.endpoint, Reason.NO_CUSTOMER, None, f"no customer has the account {row.owner}")
    reason, text = _by_customer(name, customer, region, row)
    if reason is None and state in COUNT:
        reason, text = Reason.ADMITTED, f"{name} may have it"
    if reason is None and len(accepted[name]) >= _limit(customer):
        reason, text = Reason.LIMIT_REACHED, f"{_share(name, customer, accepted[name])}: {', '.join(accepted[name])}"
    if reason is None:
        reason, text = Reason.ADMIT, _share(name, customer, accepted[name])
    return Decision(row.endpoint, reason, name, text)


def _by_customer(name: str, customer: Customer, region: str, row: Asked) -> tuple[Reason | None, str]:
    """Why the customer's own lines keep an endpoint out; None where they do not."""
    if customer.access == "revoked":
        return Reason.REVOKED, f"the config says of {name}: access: revoked"
    if row.region not in (customer.regions or (region,)):
        return Reason.REGION_NOT_LISTED, f"{row.region} is not in the regions of {name}"
    if customer.admit and row.endpoint not in customer.admit:
        return Reason.NOT_LISTED, f"{name} has admit, without this endpoint"
    if customer.accept == "manual" and row.state.lower() == PENDING_ACCEPTANCE:
        return Reason.MANUAL, f"the config says of {name}: accept: manual"
    return None, ""


def _share(name: str, customer: Customer, accepted: list[str]) -> str:
    return f"{name} has {len(accepted)} of {_limit(customer)} endpoints"


def _limit(customer: Customer) -> int:
    return len(customer.admit) or customer.endpoints


def _with_excess(
    customers: Mapping[str, Customer], ordered: list[Asked], found: dict[str, Decision]
) -> dict[str, Decision]:
    """What is accepted above a limit is named, the youngest first; nobody is cut for it.

    A limit that was lowered leads there, and so do two operators who saw different lists.
    """
    for name, customer in customers.items():
        mine = [row for row in ordered if found[row.endpoint].reason is Reason.ADMITTED and _counts(customer, row)]
        for row in mine[_limit(customer) :]:
            text = _share(name, customer, [one.endpoint for one in mine])
            found[row.endpoint] = Decision(row.endpoint, Reason.LIMIT_REACHED, name, text)
    return found
