"""`plab local start | stop | status | faults | logs`: the local AWS of one folder. `plab local shell`: local_shell."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Sequence
from pathlib import Path

from privatelink_lab import aws
from privatelink_lab.config import ACCOUNT_ID
from privatelink_lab.errors import PlabError, UsageError
from privatelink_lab.local import control_client, launch
from privatelink_lab.local.running_servers import RunningServer, running_servers
from privatelink_lab.ui.output import Screen

MIB = 1 << 20
HALF_A_DAY = 12 * 3600  # seconds that a customer's keys live


def start(folder: Path, *, speed: float, slow: bool, seed: int | None, json: bool) -> int:
    """Start the local AWS; see `plab local start --help`."""
    server, started = launch.start(folder, control_client.ServerOptions(speed, slow, seed))
    screen = Screen(json=json)
    screen.say(f"The local AWS {'has started' if started else 'was already running'} at {server.url}. Use it with:")
    _print_server(screen, server)
    return 0


def list_servers(*, json: bool) -> int:
    """List every local AWS of this user; see `plab local list --help`."""
    screen, servers = Screen(json=json), running_servers()
    rows = [
        {
            "folder": str(server.folder.parent),
            "url": server.url,
            "labs": list(server.labs),
            "since": server.since,
            "memory": server.memory,
        }
        for server in servers
    ]
    if json:
        screen.data({"servers": rows})
    elif not rows:
        screen.say("No local AWS of yours is running on this machine.")
    else:
        cells = ([*_cells(server), f"{server.memory / MIB:.0f} MiB"] for server in servers)
        screen.table(("FOLDER", "URL", "LABS", "SINCE", "MEMORY"), cells)
    return 0


def _cells(server: RunningServer) -> list[str]:
    return [str(server.folder.parent), server.url or "starting", ", ".join(server.labs) or "-", server.since]


def stop_all() -> int:
    """Stop every local AWS of this user; see `plab local stop --help`."""
    screen, servers = Screen(), running_servers()
    for server in servers:
        launch.end(server.identity)
        screen.say(f"The local AWS of {server.folder.parent} is stopped.")
    if not servers:
        screen.say("No local AWS of yours is running on this machine.")
    return 0


def stop(folder: Path) -> int:
    """Stop the local AWS; see `plab local stop --help`."""
    stopped = launch.stop(folder)
    Screen().say(f"The local AWS at {stopped.url} is stopped." if stopped else "No local AWS is running here.")
    return 0


def status(folder: Path, *, json: bool, account: str) -> int:
    """Print how to reach the local AWS; see `plab local status --help`."""
    if account and not ACCOUNT_ID.fullmatch(account):
        raise UsageError(
            f"{account!r} is no account id: it has 12 digits.", hint="plab local status --account 222222222222"
        )
    server, screen = _running(folder), Screen(json=json)
    if account:
        _print_keys(screen, _as_account(server, account))
    else:
        _print_server(screen, server)
    return 0


def _as_account(server: control_client.LocalServer, account: str) -> dict[str, str]:
    """What a person in another account needs to reach the local AWS, and nothing of this folder."""
    address = aws.Address(server.url, server.access_key_id, server.secret_access_key)
    own = aws.connect(profile=None, role_arn=None, region=control_client.REGION, address=address)
    role = f"arn:aws:iam::{account}:role/customer"
    keys = own.sts.assume_role(RoleArn=role, RoleSessionName="customer", DurationSeconds=HALF_A_DAY)["Credentials"]
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
        "AWS_DEFAULT_REGION": control_client.REGION,
    }


def _print_keys(screen: Screen, variables: dict[str, str]) -> None:
    if screen.json:
        screen.data({name.removeprefix("AWS_").lower(): value for name, value in variables.items()})
        return
    screen.out("\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items()))


def faults(folder: Path, chosen: Sequence[str], *, off: bool, json: bool) -> int:
    """Switch faults on or off, and print the faults that are on; see `plab local faults --help`."""
    server, screen = _running(folder), Screen(json=json)
    about = control_client.choose_faults(server, chosen) if chosen or off else control_client.about(server)
    if screen.json:
        screen.data({"faults": about["faults"]})
        return 0
    for fault in about["faults"]:
        screen.out(control_client.fault_text(fault))
    if not about["faults"]:
        screen.say("No fault is on.")
    return 0


def _running(folder: Path) -> control_client.LocalServer:
    server = control_client.running(folder)
    if server is None:
        raise PlabError("No local AWS is running here.", hint="plab local start, or plab up --local")
    return server


def _print_server(screen: Screen, server: control_client.LocalServer) -> None:
    about = control_client.about(server)
    if screen.json:
        keys = ("url", "pid", "speed", "slow", "access_key_id", "secret_access_key")
        screen.data(
            {key: getattr(server, key) for key in keys} | {key: about[key] for key in ("faults", "traffic", "why_not")}
        )
        return
    screen.out(server.exports().rstrip())
    screen.say(f"# {server.url}, process {server.pid}, {server.pace}")
    screen.say("# traffic: yes" if about["traffic"] else f"# traffic: no. {about['why_not']}")
    for fault in about["faults"]:
        screen.say(f"# fault: {control_client.fault_text(fault)}")


def logs(folder: Path) -> int:
    """Print the local AWS's log; see `plab local logs --help`."""
    path = control_client.log_path(folder)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise PlabError("There is no log: no local AWS has run here.", hint="plab local start") from None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PlabError(f"{path} is not a regular file.", hint="Work in a folder of your own.")
        screen = Screen()
        for line in file:
            screen.out(line.rstrip("\n"))
    return 0
