"""AWS's rate limits: token buckets per account and region, as AWS documents them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple


class TokenBucket(NamedTuple):
    """`size` calls may come at once, and `refill` more per second of AWS time."""

    name: str
    service: str
    actions: tuple[str, ...]
    size: float
    refill: float
    when: Callable[[str], bool] = lambda _: True


def _is_unfiltered(body: str) -> bool:
    return not any(word in body for word in ("Filter.", "MaxResults=", "NextToken="))


_LISTS = tuple(
    f"Describe{noun}" for noun in ("Instances", "InstanceStatus", "NetworkInterfaces", "SecurityGroups", "Volumes")
)
_ENDPOINTS = ("CreateVpcEndpoint", "ModifyVpcEndpoint", "DeleteVpcEndpoints")
_SERVICES = (
    "AcceptVpcEndpointConnections",
    "RejectVpcEndpointConnections",
    "*VpcEndpointServiceConfiguration",
    "DeleteVpcEndpointServiceConfigurations",
)
_SLOW_ONES = ("TerminateInstances", "CreateNetworkInterface", "DeleteNetworkInterface")
BUCKETS = (
    TokenBucket("endpoints", "ec2", _ENDPOINTS, 4, 0.3),
    TokenBucket("services", "ec2", _SERVICES, 10, 1),
    TokenBucket("launches", "ec2", ("RunInstances", "StartInstances"), 5, 2),
    TokenBucket("terminations", "ec2", _SLOW_ONES, 100, 5),
    TokenBucket("tags", "ec2", ("CreateTags", "DeleteTags"), 100, 10),
    TokenBucket("whole lists", "ec2", _LISTS, 50, 10, _is_unfiltered),
    TokenBucket("reads", "ec2", ("Describe*", "Get*"), 100, 20),
    TokenBucket("rules", "ec2", ("AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"), 50, 5),
    TokenBucket("changes", "ec2", ("*",), 50, 5),
    TokenBucket("balancers", "elasticloadbalancing", ("CreateLoadBalancer", "SetSubnets"), 10, 0.2),
    TokenBucket("targets", "elasticloadbalancing", ("RegisterTargets", "DeregisterTargets"), 20, 4),
    TokenBucket("elb reads", "elasticloadbalancing", ("Describe*",), 40, 10),
    TokenBucket("elb changes", "elasticloadbalancing", ("*",), 20, 3),
)
"""A call takes a token from the first bucket that fits (AWS facts 9)."""

ALL_OF_ELB = TokenBucket("elb", "elasticloadbalancing", ("*",), 40, 10)
"""ELBv2 counts all actions of an account together as well."""


class RateLimits:
    """The tokens left in every bucket; a call that finds one empty is throttled."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._left: dict[tuple[str, ...], tuple[float, float]] = {}

    def take(self, where: tuple[str, str, str], action: str, body: str) -> bool:
        """Take tokens for a call of that account, region and service; whether it may go through."""
        taken = [self._take(where, bucket) for bucket in _buckets_of(where[2], action, body)]
        return all(taken)

    def _take(self, where: tuple[str, str, str], bucket: TokenBucket) -> bool:
        now = self._now()
        left, since = self._left.get((*where, bucket.name), (bucket.size, now))
        left = min(bucket.size, left + (now - since) * bucket.refill)
        passes = left >= 1
        self._left[(*where, bucket.name)] = (left - passes, now)
        return passes


def _buckets_of(service: str, action: str, body: str) -> Iterator[TokenBucket]:
    for bucket in BUCKETS:
        if (
            bucket.service == service
            and any(fnmatchcase(action, pattern) for pattern in bucket.actions)
            and bucket.when(body)
        ):
            yield bucket
            break
    if service == ALL_OF_ELB.service:
        yield ALL_OF_ELB
