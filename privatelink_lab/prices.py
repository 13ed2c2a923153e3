"""What the lab costs, by the list prices of us-east-1; plab knows no others (AWS facts 12)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

PRICES_OF = "2026-08"
REGION = "us-east-1"
LIST_PRICES = f"{REGION} list prices of {PRICES_OF}"
NETWORK_LOAD_BALANCER = 0.0225  # USD/hour, without NLCUs
ENDPOINT_ZONE = 0.01  # USD/hour per zone, in every state, without data
ENDPOINT_GB = 0.01  # USD per GB in both directions; the endpoint's owner pays it (AWS facts 12)
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


@dataclass(frozen=True)
class Rate:
    """What one resource costs in USD/hour; None without a known price. Some are billed by started hours."""

    usd_per_hour: float | None
    by_consumer: bool = False
    started_hours: bool = False


@dataclass(frozen=True)
class Cost:
    """What a lab costs: in one region, on AWS or (`local`) not at all.

    `is_whole` is False where AWS did not show everything that may cost money.
    """

    rates: tuple[Rate, ...]
    region: str
    partition: str = "aws"
    local: bool = False
    is_whole: bool = True

    @property
    def usd_per_hour(self) -> float | None:
        """The sum in USD/hour, to a hundredth of a cent; None where it, or the region's prices, are not known."""
        return self._sum(self.rates) if self.region == REGION else None

    def usd_after(self, hours: float) -> float | None:
        """USD for that many hours, to the cent; None as for an hour. Started hours of endpoints count as whole ones."""
        return self._after(hours) if self.region == REGION else None

    def in_words(self) -> str:
        """The cost per hour as a person reads it, and who pays what."""
        total = self._sum(self.rates)
        if total is None or self.partition != "aws":
            return f"an unknown amount per hour ({self._why_unknown()})"
        consumers = self._sum(tuple(rate for rate in self.rates if rate.by_consumer)) or 0.0
        shares = f"the provider {total - consumers:.4f}, the consumers {consumers:.4f} and {ENDPOINT_GB} per GB"
        shares = f"and {ENDPOINT_GB} per GB" if consumers == total else shares
        whose = f" ({shares})" if consumers else ""
        if self.local:
            return f"nothing here; on AWS about {total:.4f} USD/hour{whose}"
        prices = f"list prices of {PRICES_OF}" if self.region == REGION else f"{REGION} prices"
        return f"about {total:.4f} USD/hour at {prices}{whose}"

    def figure(self, hours: float | None = None) -> str:
        """USD per hour, or for that many hours, as a figure of a table; `unknown` where it is."""
        usd = self._sum(self.rates) if hours is None else self._after(hours)
        if usd is None or self.partition != "aws":
            return "unknown"
        return f"{usd:.4f}" if hours is None else f"{usd:.2f}"

    def _why_unknown(self) -> str:
        if not self.is_whole:
            return "AWS did not show everything that may cost money"
        if self.partition != "aws":
            return f"plab knows the prices of {REGION} only"
        return "plab knows no price of this instance type"

    def spent_in_words(self, hours: float) -> str:
        """What it has cost in that many hours, as a person reads it."""
        spent = None if self.partition != "aws" else self._after(hours)
        if spent is None:
            return "an unknown amount"
        if self.local:
            return f"nothing here; on AWS about {spent:.2f} USD"
        return f"about {spent:.2f} USD" + ("" if self.region == REGION else f" at {REGION} prices")

    def _after(self, hours: float) -> float | None:
        if self._sum(self.rates) is None:
            return None
        parts = ((rate.usd_per_hour or 0.0, math.ceil(hours) if rate.started_hours else hours) for rate in self.rates)
        return round(sum(price * count for price, count in parts), 2)

    def _sum(self, rates: Iterable[Rate]) -> float | None:
        prices = [rate.usd_per_hour for rate in rates]
        if None in prices or not self.is_whole:
            return None
        return round(sum(price for price in prices if price is not None), 4)
