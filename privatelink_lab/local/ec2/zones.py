"""Availability zones: an id means the same place for everybody, a name is an account's own."""

from __future__ import annotations

from hashlib import sha256

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend, Zone


def zones_of(account: str, region: str) -> list[Zone]:
    """A region's zones in the order of the names that the account has for them (AWS facts 2).

    The local AWS's own account has moto's names. Every other account has them in an order that its number decides.
    """
    zones: list[Zone] = RegionsAndZonesBackend.zones.get(region, [])
    if account == DEFAULT_ACCOUNT_ID:
        return zones
    ids = sorted((zone.zone_id for zone in zones), key=lambda id_: sha256(f"{account} {id_}".encode()).digest())
    return [Zone(zone.name, region, id_) for zone, id_ in zip(zones, ids, strict=True)]
