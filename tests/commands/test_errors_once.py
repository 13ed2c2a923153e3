"""A run shows each error once: the key, AWS's sentence, code and request id, and the next command, in one place."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Ran, Run, write_config
from support.stand_in_traffic import stand_in

Fail = Callable[[Cloud, Run, Path], tuple[str, ...]]  # prepares a command that will fail; returns its words


class Terminal(io.StringIO):
    """A terminal of 60 columns for the live board."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def fail_up(cloud: Cloud, run: Run, folder: Path) -> tuple[str, ...]:
    """AWS refuses the balancer."""
    cloud.fail("CreateLoadBalancer", 403, "AccessDenied")
    return ("up",)


def fail_replace(cloud: Cloud, run: Run, folder: Path) -> tuple[str, ...]:
    """AWS refuses to delete what `up` is to replace."""
    run("up", "-q")
    cloud.fail("DeleteVpcEndpoints", 403, "UnauthorizedOperation")
    return ("up", "-y", "--replace", "acme/endpoint")


def fail_down(cloud: Cloud, run: Run, folder: Path) -> tuple[str, ...]:
    """AWS refuses to terminate the instance; what stands under it stays as well."""
    run("up", "-q")
    cloud.fail("TerminateInstances", 403, "UnauthorizedOperation")
    return ("down", "-y")


def fail_accept(cloud: Cloud, run: Run, folder: Path) -> tuple[str, ...]:
    """AWS refuses the acceptance."""
    write_config(folder, "manual")
    run("up", "-q")
    cloud.fail("AcceptVpcEndpointConnections", 403, "UnauthorizedOperation")
    return ("accept", "--all", "-y")


def fail_verify(cloud: Cloud, run: Run, folder: Path) -> tuple[str, ...]:
    """AWS refuses the probe."""
    stand_in(cloud.aws)
    run("up", "-q")
    cloud.fail("RunInstances", 403, "UnauthorizedOperation")
    return ("verify",)


FAILURES: dict[str, tuple[Fail, str, str]] = {  # -> the key, and the call that AWS refuses
    "up": (fail_up, "provider/nlb", "elasticloadbalancing:CreateLoadBalancer"),
    "up --replace": (fail_replace, "acme/endpoint", "ec2:DeleteVpcEndpoints"),
    "down": (fail_down, "provider/web-server", "ec2:TerminateInstances"),
    "accept": (fail_accept, "vpce-[0-9a-f]+", "ec2:AcceptVpcEndpointConnections"),
    "verify": (fail_verify, "acme/probe", "ec2:RunInstances"),
}


@pytest.fixture(params=FAILURES)
def failure(
    request: pytest.FixtureRequest, at_cloud: Cloud, run: Run, tmp_path: Path
) -> tuple[tuple[str, ...], str, str]:
    """A command that will fail, the key that fails, and the action that is to be allowed."""
    prepare, key, action = FAILURES[request.param]
    return prepare(at_cloud, run, tmp_path), key, action


def assert_shown_once(text: str, key: str, action: str) -> None:
    """One block has it all, and nothing of it stands anywhere else."""
    operation = action.partition(":")[2]
    block = rf"Error: {key}: {operation}: .* \((UnauthorizedOperation|AccessDenied), request [\w-]+\)"
    hint = rf"\nHint: Allow the action {action} "
    assert len(re.findall(block + hint, text)) == 1, text
    assert len(re.findall(rf"\b{operation}: ", text)) == 1, text
    assert len(re.findall(r", request ", text)) == 1, text
    assert text.count(f"action {action}") == 1, text


@pytest.mark.parametrize("options", [(), ("-q",)], ids=["plain", "quiet"])
def test_in_a_pipe(failure: tuple[tuple[str, ...], str, str], run: Run, options: tuple[str, ...]) -> None:
    """Stdout and stderr together have it once, with --quiet and without; stdout is for results."""
    words, key, action = failure
    ran = run(*words, *options)
    assert ran.code in {1, 3}
    assert_shown_once(ran.out + ran.err, key, action)
    assert "Error: " not in ran.out


def test_on_a_terminal(failure: tuple[tuple[str, ...], str, str], run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error stands above the live board and nowhere else; the board only marks the step."""
    words, key, action = failure
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", terminal)
    ran = run(*words)
    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", terminal.getvalue())
    assert_shown_once(ran.out + written, key, action)


def test_in_json(failure: tuple[tuple[str, ...], str, str], run: Run) -> None:
    """`failed` has it; the summary's `error` repeats the first one for a program that reads only the last line."""
    words, key, _ = failure
    ran: Ran = run(*words, "--json")
    assert ran.err == ""
    failed = {line["key"]: line["error"] for line in ran.json if line["event"] == "failed"}
    error = ran.json[-1]["error"]
    assert list(error) == ["code", "message", "request_id", "hint"]
    if words[0] == "accept":  # AWS refuses the call, and no key by itself
        assert (failed, bool(error["request_id"])) == ({}, True)
    else:
        assert failed[key]["request_id"]
        assert error == failed[key] or words[0] == "verify"
