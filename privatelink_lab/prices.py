"""What the lab costs, by the list prices of us-east-1; plab knows no others (AWS facts 12)."""

from __future__ import annotations

from collections.abc import Iterable

PRICES_OF = "2026-08"
REGION = "us-east-1"
NETWORK_LOAD_BALANCER = 0.0225  # USD/hour, without NLCUs
ENDPOINT_ZONE = 0.01  # USD/hour per zone, in every state, without data
ROOT_VOLUME_GIB = 8  # the least that Amazon Linux 2023 takes
ROOT_VOLUME = ROOT_VOLUME_GIB * 0.08 / 730  # USD/hour: gp3 at 0.08 USD per GB-month
INSTANCE = {  # USD/hour, Linux on demand
    "t3.nano": 0.0052,
    "t3.micro": 0.0104,
    "t3.small": 0.0208,
    "t3.medium": 0.0416,
    "t4g.nano": 0.0042,
    "t4g.micro": 0.0084,
    "t4g.small": 0.0168,
    "t4g.medium": 0.0336,
}


def instance(instance_type: str) -> float | None:
    """USD/hour of one instance with its root volume; None for a type without a known price."""
    price = INSTANCE.get(instance_type)
    return None if price is None else price + ROOT_VOLUME


def hourly(prices: Iterable[float | None], region: str) -> float | None:
    """The sum in USD/hour, to a hundredth of a cent; None where a price or the prices of the region are unknown."""
    known = list(prices)
    if None in known or region != REGION:
        return None
    return round(sum(price for price in known if price is not None), 4)


def in_words(usd_per_hour: float | None) -> str:
    """A cost per hour as a person reads it."""
    if usd_per_hour is None:
        return f"an unknown amount per hour (prices are known for {REGION} only, and for what AWS shows)"
    return f"about {usd_per_hour:.4f} USD/hour on AWS ({REGION} list price of {PRICES_OF})"
