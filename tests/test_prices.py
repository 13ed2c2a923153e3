"""What a lab costs, by one formula: per hour, so far, in which words, and who pays."""

from __future__ import annotations

import pytest

from privatelink_lab.prices import Cost, Rate

SERVER, ENDPOINT = Rate(0.0338), Rate(0.01, by_consumer=True, started_hours=True)
WHOSE = "(the provider 0.0338, the consumers 0.0100 and 0.01 per GB)"
UNKNOWN = "an unknown amount per hour ({})"


@pytest.mark.parametrize(
    ("cost", "said", "in_json"),
    [
        (Cost((SERVER, ENDPOINT), "us-east-1"), f"about 0.0438 USD/hour at list prices of 2026-08 {WHOSE}", 0.0438),
        (
            Cost((SERVER, ENDPOINT), "us-east-1", local=True),
            f"nothing here; on AWS about 0.0438 USD/hour {WHOSE}",
            0.0438,
        ),
        (Cost((SERVER, ENDPOINT), "eu-central-1"), f"about 0.0438 USD/hour at us-east-1 prices {WHOSE}", None),
        (
            Cost((SERVER, ENDPOINT), "cn-north-1", "aws-cn"),
            UNKNOWN.format("plab knows the prices of us-east-1 only"),
            None,
        ),
        (Cost((SERVER, Rate(None)), "us-east-1"), UNKNOWN.format("plab knows no price of this instance type"), None),
        (
            Cost((SERVER,), "us-east-1", is_whole=False),
            UNKNOWN.format("AWS did not show everything that may cost money"),
            None,
        ),
        (Cost((SERVER,), "us-east-1"), "about 0.0338 USD/hour at list prices of 2026-08", 0.0338),
        (Cost((), "us-east-1"), "about 0.0000 USD/hour at list prices of 2026-08", 0.0),
    ],
)
def test_a_cost_in_words_and_in_json(cost: Cost, said: str, in_json: float | None) -> None:
    """On the local AWS nothing; elsewhere at the prices that plab knows, or not at all. JSON has no guess."""
    assert (cost.in_words(), cost.usd_per_hour) == (said, in_json)


@pytest.mark.parametrize(
    ("region", "local", "said", "in_json"),
    [
        ("us-east-1", False, "about 0.08 USD", 0.08),
        ("us-east-1", True, "nothing here; on AWS about 0.08 USD", 0.08),
        ("eu-central-1", False, "about 0.08 USD at us-east-1 prices", None),
    ],
)
def test_what_was_spent(region: str, said: str, in_json: float | None, *, local: bool) -> None:
    """An hour and a half costs two hours of an endpoint, and one and a half of all else."""
    cost = Cost((Rate(0.04), ENDPOINT), region, local=local)
    assert cost.usd_after(1.5) == in_json
    assert cost.spent_in_words(1.5) == said


def test_an_unknown_price_makes_an_unknown_sum() -> None:
    """Unknown is not zero."""
    cost = Cost((Rate(None),), "us-east-1")
    assert (cost.usd_after(3), cost.spent_in_words(3)) == (None, "an unknown amount")
