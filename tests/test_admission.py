"""Who is admitted: each reason by a table, and the rule's own laws on random customers and connections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privatelink_lab.admission import COUNT, Reason, decide
from privatelink_lab.config import Customer

HERE, THERE = "us-east-1", "eu-west-1"
ACCOUNTS = [f"{digit}" * 12 for digit in range(1, 5)]
ACME, OTHER, NOBODY = ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[3]
MADE = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    """A connection as AWS shows it."""

    endpoint: str
    owner: str = ACME
    state: str = "pendingAcceptance"
    region: str = HERE
    since: datetime | None = MADE


def acme(**values: Any) -> dict[str, Customer]:
    """One customer, called acme."""
    return {"acme": Customer.model_validate({"accounts": [ACME]} | values)}


def reasons(customers: dict[str, Customer], *rows: Row) -> list[str]:
    """The reason for each row."""
    found = decide(customers, HERE, rows)
    return [found[row.endpoint].reason.value for row in rows]


ONE, TWO = Row("vpce-1"), Row("vpce-2", since=MADE + timedelta(hours=1))
HELD = replace(ONE, state="available")
TABLE: dict[str, tuple[dict[str, Customer], list[Row], list[str]]] = {
    "one waits": (acme(), [ONE], ["admit"]),
    "two wait for one place": (acme(), [TWO, ONE], ["limit-reached", "admit"]),
    "the same age: the lower id": (acme(), [replace(TWO, since=MADE), ONE], ["limit-reached", "admit"]),
    "two places": (acme(endpoints=2), [TWO, ONE], ["admit", "admit"]),
    "the place is taken": (acme(), [HELD, TWO], ["admitted", "limit-reached"]),
    "the place is taken by one that AWS is at work on": (
        acme(),
        [replace(ONE, state="pending"), TWO],
        ["admitted", "limit-reached"],
    ),
    "a rejected one takes no place": (acme(), [replace(ONE, state="rejected"), TWO], ["rejected-before", "admit"]),
    "two are available, one should be": (
        acme(),
        [replace(TWO, state="available"), HELD],
        ["limit-reached", "admitted"],
    ),
    "nobody's account": (acme(), [replace(ONE, owner=NOBODY)], ["no-customer"]),
    "no customer at all": ({}, [ONE], ["no-customer"]),
    "listed": (acme(admit=["vpce-0123456789abcdef0"]), [replace(ONE, endpoint="vpce-0123456789abcdef0")], ["admit"]),
    "not listed": (acme(admit=["vpce-0123456789abcdef0"]), [ONE], ["not-listed"]),
    "another Region": (acme(), [replace(ONE, region=THERE)], ["region-not-listed"]),
    "a Region that is listed": (acme(regions=[THERE]), [replace(ONE, region=THERE)], ["admit"]),
    "the service's own Region, which is not listed": (acme(regions=[THERE]), [ONE], ["region-not-listed"]),
    "revoked": (acme(access="revoked"), [ONE], ["revoked"]),
    "revoked and still available": (acme(access="revoked"), [HELD], ["revoked"]),
    "manual": (acme(accept="manual"), [ONE], ["manual"]),
    "manual, and accepted by a person": (acme(accept="manual"), [HELD], ["admitted"]),
    "a state that is over": (acme(), [replace(ONE, state="expired")], ["ended"]),
    "a state that AWS adds one day": (acme(), [replace(ONE, state="dreaming")], ["ended"]),
}


@pytest.mark.parametrize("name", TABLE)
def test_each_reason(name: str) -> None:
    """What the rules say of connections, in the order in which AWS shows them."""
    customers, rows, expected = TABLE[name]
    assert reasons(customers, *rows) == expected


def test_a_limit_names_who_has_the_place() -> None:
    """A customer that builds its new endpoint before it deletes the old one reads both ids."""
    decision = decide(acme(), HERE, [HELD, TWO])["vpce-2"]
    assert (decision.endpoint, decision.text) == ("vpce-2", "acme has 1 of 1 endpoints: vpce-1")


def test_every_reason_has_a_case() -> None:
    """The next reason joins the table with one line."""
    assert {reason for _, _, expected in TABLE.values() for reason in expected} == {reason.value for reason in Reason}


# Laws.

STATES = st.sampled_from(["pendingAcceptance", "pending", "available", "rejected", "expired", "failed", "deleting"])
CUSTOMER = st.builds(
    lambda endpoints, accept, access: {"endpoints": endpoints, "accept": accept, "access": access},
    st.integers(1, 4),
    st.sampled_from(["auto", "auto", "manual"]),
    st.sampled_from(["given", "given", "revoked"]),
)
ROWS = st.lists(
    st.builds(
        Row,
        endpoint=st.integers(0, 99).map(lambda number: f"vpce-{number:02}"),
        owner=st.sampled_from(ACCOUNTS),
        state=STATES,
        region=st.sampled_from([HERE, HERE, THERE]),
        since=st.one_of(st.none(), st.integers(0, 5).map(lambda hours: MADE + timedelta(hours=hours))),
    ),
    max_size=12,
    unique_by=lambda row: row.endpoint,
)
WORLD = st.tuples(st.lists(CUSTOMER, min_size=1, max_size=3), ROWS)


def customers_of(settings: list[dict[str, Any]]) -> dict[str, Customer]:
    """Customers with one account each, in order."""
    return {
        f"c{number}": Customer.model_validate({"accounts": [ACCOUNTS[number]]} | values)
        for number, values in enumerate(settings)
    }


def admitted(customers: dict[str, Customer], rows: list[Row]) -> set[str]:
    """What the rules admit now."""
    return {id_ for id_, decision in decide(customers, HERE, rows).items() if decision.admits}


@given(WORLD)
def test_carried_out_it_has_nothing_more_to_do(world: tuple[list[dict[str, Any]], list[Row]]) -> None:
    """Idempotent: once what it admits is accepted, it admits nothing more, and nobody is above a limit by it."""
    customers, rows = customers_of(world[0]), world[1]
    now = admitted(customers, rows)
    after = [replace(row, state="pending") if row.endpoint in now else row for row in rows]
    assert admitted(customers, after) == set()
    for customer in customers.values():
        before = [row for row in rows if row.owner in customer.accounts and row.state in COUNT]
        count = [row for row in after if row.owner in customer.accounts and row.state in COUNT]
        assert len(count) <= max(customer.endpoints, len(before))


@given(WORLD, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_has_no_part(world: tuple[list[dict[str, Any]], list[Row]], dice: Any) -> None:
    """AWS shows them in any order."""
    customers, rows = customers_of(world[0]), world[1]
    mixed = dice.sample(rows, len(rows))
    assert decide(customers, HERE, mixed) == decide(customers, HERE, rows)


@given(WORLD, st.integers(1, 3))
def test_more_places_take_nobodys(world: tuple[list[dict[str, Any]], list[Row]], more: int) -> None:
    """A higher limit keeps every admission."""
    wider = [values | {"endpoints": values["endpoints"] + more} for values in world[0]]
    rows = world[1]
    assert admitted(customers_of(world[0]), rows) <= admitted(customers_of(wider), rows)


@given(WORLD)
def test_one_more_account_takes_nobodys(world: tuple[list[dict[str, Any]], list[Row]]) -> None:
    """An account is added under a customer of its own: nobody else loses a place."""
    customers, rows = customers_of(world[0]), world[1]
    added = {"new": Customer.model_validate({"accounts": [NOBODY]})}
    assert admitted(customers, rows) <= admitted(customers | added, rows)


@given(WORLD)
def test_nobody_wrong_is_admitted(world: tuple[list[dict[str, Any]], list[Row]]) -> None:
    """Only who waits, is a customer's, from a Region that is listed, and neither revoked nor manual."""
    customers, rows = customers_of(world[0]), world[1]
    by_id = {row.endpoint: row for row in rows}
    for id_ in admitted(customers, rows):
        row = by_id[id_]
        [customer] = [one for one in customers.values() if row.owner in one.accounts]
        assert (row.state, row.region, customer.accept, customer.access) == ("pendingAcceptance", HERE, "auto", "given")
