"""The keys of a lab whose resources have tags, and a tool of another person that removes them."""

from __future__ import annotations

from collections.abc import Iterable

from privatelink_lab import tags
from privatelink_lab.aws import Account

ALL_TAGS = ("Name", tags.LAB, tags.KEY, tags.MAKER, tags.SINCE, tags.SPEC, tags.IDENTITY)
OF_PROVIDER = ("vpc", "subnet-1", "security-group", "web-server", "target-group", "nlb", "endpoint-service")
OF_CONSUMER = ("vpc", "subnet-1", "security-group", "endpoint")


def tagged_keys(*consumers: str) -> list[str]:
    """The keys of the provider's and of these consumers' resources with tags."""
    theirs = [f"{name}/{what}" for name in consumers for what in OF_CONSUMER]
    return [f"provider/{what}" for what in OF_PROVIDER] + theirs


def strip(account: Account, id_: str, names: Iterable[str] = ALL_TAGS) -> None:
    """Remove these tags from a resource."""
    if id_.startswith("arn:"):
        account.elbv2.remove_tags(ResourceArns=[id_], TagKeys=list(names))
    else:
        account.ec2.delete_tags(Resources=[id_], Tags=[{"Key": name} for name in names])
