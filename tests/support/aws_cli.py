"""Printed commands of the AWS CLI, run as the CLI would: names and shapes come from botocore's models."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore import xform_name

from privatelink_lab.aws import Account

_WORD = r"""(?:(?!"[,}])[^\s,;`])+(?<!\.)"""  # a quote before a comma or a brace ends a text in JSON
RULE = {"protocol", "port", "cidr"}  # options that are no names of the model
OF_THE_CLI = {"query", "output"}  # what every command takes, and no API
_COMMAND = re.compile(rf"(?<![\w./-])aws (?:ec2|elbv2|sts|account|service-quotas) [\w-]+(?: (?!&&){_WORD})*")


def commands_in(text: str) -> list[str]:
    """The commands of the AWS CLI that call an API in a text, without the sentence's own full stop."""
    return _COMMAND.findall(text)


def type_in(account: Account, command: str) -> dict[str, Any]:
    """Run one command with an account's credentials and return AWS's answer; raises AwsError as the call does."""
    service, method, request, region = parse(command)
    assert region in {"", account.region}
    answer: dict[str, Any] = getattr(getattr(account, service), method)(**request)
    return answer


def refusals(text: str) -> list[str]:
    """The commands in a text that are not in the AWS CLI, by botocore's models, and what is wrong with them."""
    refused = []
    for command in commands_in(text):
        try:
            parse(command)
        except (AssertionError, KeyError, ValueError, IndexError) as error:
            refused.append(f"{command}: {error!r}")
    return refused


def parse(command: str) -> tuple[str, str, dict[str, Any], str]:
    """The service, boto3's method, the request and the region of a command.

    Raises KeyError for an operation or an option that the model does not have, AssertionError without a required one.
    """
    program, service, operation, *words = shlex.split(command)
    assert program == "aws"
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape: Any = model.operation_model(names[operation]).input_shape
    options = {xform_name(name, "-"): name for name in (shape.members if shape else ())}
    request: dict[str, Any] = {}
    region, rule = "", {}
    for option, values in _options(words):
        if option in RULE and "security-group" in operation:
            [rule[option]] = values
        elif option == "region":
            [region] = values
        elif option in OF_THE_CLI:
            continue
        elif option.startswith("no-"):
            request[options[option[3:]]] = {"Value": False}
        else:
            request[options[option]] = _value(shape.members[options[option]], values)
    if rule:
        request["IpPermissions"] = [_rule(**rule)]
    required = shape.required_members if shape else []
    assert request.keys() >= set(required), f"needs {required}"
    return service, operation.replace("-", "_"), request, region


def _rule(protocol: str, port: str, cidr: str) -> dict[str, Any]:
    """What the CLI makes of its own short options for one rule of a security group."""
    return {"IpProtocol": protocol, "FromPort": int(port), "ToPort": int(port), "IpRanges": [{"CidrIp": cidr}]}


def _options(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    at = [number for number, word in enumerate(words) if word.startswith("--")]
    for begin, end in zip(at, [*at[1:], len(words)][: len(at)], strict=True):
        yield words[begin][2:], words[begin + 1 : end]


def _value(shape: Any, values: list[str]) -> Any:
    """A value as the CLI reads it: a list takes several words, a structure is `Name=value,Name=value`."""
    if shape.type_name == "list":
        return [_value(shape.member, [value]) for value in values]
    if shape.type_name == "structure":
        pairs = (part.split("=", 1) for part in values[0].split(","))
        return {name: _value(shape.members[name], [value]) for name, value in pairs}
    if shape.type_name == "boolean":
        return {"true": True, "false": False}[values[0]]
    return int(values[0]) if shape.type_name == "integer" else values[0]
