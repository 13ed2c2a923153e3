"""`plab iam-policy`: the JSON policy that the provider, a consumer, or a consumer under `plab verify` needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from privatelink_lab.aws import Account
from privatelink_lab.clock import RealClock
from privatelink_lab.config import DEFAULT_LAB, PROVIDER, Provider, Service, default_config
from privatelink_lab.engine import planned
from privatelink_lab.iam_actions import of
from privatelink_lab.lab import Lab
from privatelink_lab.resource import Resource
from privatelink_lab.state import State
from privatelink_lab.steps import STEPS, acceptance
from privatelink_lab.steps.probe import PROBE_TYPE
from privatelink_lab.tags import LAB
from privatelink_lab.why import collect, metrics

ADMITS = (acceptance.connections, acceptance.accept, acceptance.write_down)  # what `plab accept --rules` calls
LIST_ACTIONS = set(of(Account.regions))  # of --all-regions
PROVIDERS = (  # one of each kind
    Provider(),
    Provider(nlb="arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/api/0123456789abcdef"),
    Provider(service=Service(id="vpce-svc-0123456789abcdef0")),
    Provider(service_name="com.amazonaws.vpce.us-east-1.vpce-svc-0123456789abcdef0"),
)
ENDS = ("Delete", "Terminate")  # what these actions may touch is what bears the lab's tag


def policy(side: str, lab: str) -> dict[str, Any]:
    """The policy of a side for the lab of this name; `verify` comes on top of `consumer`, `reap` is for any lab.

    `acceptor` is for a machine that runs `plab accept --rules` for customers, without consumers of the lab's own.

    A delete or terminate is allowed for what bears the lab's tag, in `reap` for what bears that of any lab. Other
    actions carry no condition: nothing offline can evaluate a finer one, and a wrong one locks people out.
    `sts:GetCallerIdentity` is not in it: AWS asks for no right.
    """
    actions = _actions(side)
    deletes = {action for action in actions if action.partition(":")[2].startswith(ENDS)}
    of_any_lab = {"StringLike": {f"aws:ResourceTag/{LAB}": "*"}}
    tagged = of_any_lab if side == "reap" else {"StringEquals": {f"aws:ResourceTag/{LAB}": lab}}
    delete = {
        "Sid": "PlabDelete",
        "Effect": "Allow",
        "Action": sorted(deletes),
        "Resource": "*",
        "Condition": tagged,
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Sid": "PlabReadCreateUpdate", "Effect": "Allow", "Action": sorted(actions - deletes), "Resource": "*"},
            *([delete] if deletes else []),
        ],
    }


def _actions(side: str) -> set[str]:
    if side == "verify":
        return PROBE_TYPE.actions
    if side == "acceptor":
        return {action for function in ADMITS for action in of(function)}
    if side == "why":
        return {*of(collect), *of(metrics.fetch)}
    if side == "reap":  # it cuts no connections of other accounts
        found_by_tags = _resources(PROVIDERS[:1])  # a permission is not, and what was there is nobody's to reap
        listed = {PROBE_TYPE, *(resource.type for resource in found_by_tags if not resource.type.goes_with_parent)}
        deletes = [type_.actions_to_delete if type_.made_by_plab else set(of(type_.find)) for type_ in listed]
        reads = [kind.reads for step in STEPS for kind in step.kinds]
        return {action for actions in (*deletes, *reads, LIST_ACTIONS) for action in actions}
    kinds = {kind for step in STEPS for kind in step.kinds if side == "provider" or not kind.provider_only}
    types = {resource.type for resource in _resources() if _called_by(resource) == side}
    return {*(a for type_ in types for a in type_.actions), *(a for kind in kinds for a in kind.reads)}


def _called_by(resource: Resource) -> str:
    return "provider" if (resource.type.called_by or resource.party) == PROVIDER else "consumer"


def _resources(providers: Sequence[Provider] = PROVIDERS) -> list[Resource]:
    """Everything that plab makes or reads, in labs with these providers; no call goes out."""

    def refuse(_: object) -> Any:
        raise AssertionError("a plan calls nothing")

    configs = (default_config().model_copy(update={"provider": provider}) for provider in providers)
    labs = (Lab(config, State(DEFAULT_LAB), refuse, RealClock(), lambda _: None) for config in configs)
    return [resource for lab in labs for resource in planned(lab, STEPS).values()]
