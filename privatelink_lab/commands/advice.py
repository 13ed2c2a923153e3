"""Advice as the user has to type it: the commands in a text get the options of the command that prints it."""

from __future__ import annotations

import re
import shlex

from privatelink_lab.commands import Options

_COMMAND = re.compile(
    r"\bplab (up|down|status|why|verify|connections|accept|reject|list|reap|iam-policy|"
    r"local (?:start|stop|status|logs|shell|faults))"
    r"\b(?! --(?:help|all))( --local\b)?+(?! (?:-c|--config|--lab) )"
)
_AWS_CLI = re.compile(r"(?<!&& )\baws (?=(?:ec2|elbv2) [a-z])")
_ACCOUNT = re.compile(r"# as account (\d{12})$")
KEYS = "plab local status"
COMMAND = re.compile(r"\b(plab|aws) ")


def as_typed(text: str, options: Options, *, local: bool, expired: bool = False) -> str:
    """The text, whose commands of plab also have `-c FILE`, `--lab NAME`, and `--local` for `up`, where these apply.

    `local` is whether the lab is on a local AWS: then a command of the AWS CLI comes with the line that points it
    there, with keys of the account that a comment at its end names. `up` on a lab that has `expired` needs --ttl. A
    command that names its file or its lab stays as it is. AWS_REGION comes first where the lab is elsewhere.
    """

    def complete(match: re.Match[str]) -> str:
        command = match[1]
        here = " --local" if match[2] or (local and command == "up") else ""
        file = f" -c {shlex.quote(str(options.config))}" if options.config else ""
        lab = f" --lab {options.lab}" if options.lab and command in {"down", "status"} else ""
        region = f"AWS_REGION={options.region} " if options.region and lab else ""
        end = " --ttl 2h" if expired and command == "up" and not text[match.end() :].startswith(" --ttl") else ""
        return f"{region}plab {command}{here}{file}{lab}{end}"

    if local:
        account = _ACCOUNT.search(text)
        of = f" --account {account[1]}" if account else ""
        text = _AWS_CLI.sub(f'eval "$({KEYS}{of})" && aws ', text)
    return _COMMAND.sub(complete, text)
