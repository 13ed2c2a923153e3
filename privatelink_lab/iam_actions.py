"""The IAM actions of each function that calls AWS; `plab iam-policy` is made of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])
_ACTIONS: dict[object, tuple[str, ...]] = {}


def calls(*actions: str) -> Callable[[Function], Function]:
    """Name the IAM actions that a function of a ResourceType takes, such as `ec2:CreateVpc`."""

    def register(function: Function) -> Function:
        _ACTIONS[function] = actions
        return function

    return register


def of(function: object) -> tuple[str, ...]:
    """What a function was registered with; () for one that calls nothing."""
    return _ACTIONS.get(function, ())
