"""`plab local start | stop | status | logs`: the local AWS of one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from privatelink_lab.errors import PlabError
from privatelink_lab.local import launch
from privatelink_lab.ui.screen import Screen


def start(folder: Path, *, speed: float, json: bool) -> int:
    """Start the local AWS; see `plab local start --help`."""
    server, started = launch.start(folder, speed)
    screen = Screen(json=json)
    screen.say(f"The local AWS {'started' if started else 'was running already'} at {server.url}. Use it with:")
    _print_server(screen, server)
    return 0


def stop(folder: Path) -> int:
    """Stop the local AWS; see `plab local stop --help`."""
    stopped = launch.stop(folder)
    Screen().say(f"The local AWS at {stopped.url} is stopped." if stopped else "No local AWS is running here.")
    return 0


def status(folder: Path, *, json: bool) -> int:
    """Print how to reach the local AWS; see `plab local status --help`."""
    server = launch.running(folder)
    if server is None:
        raise PlabError("No local AWS is running here.", hint="plab local start, or plab up --local")
    _print_server(Screen(json=json), server)
    return 0


def _print_server(screen: Screen, server: Any) -> None:
    if screen.json:
        keys = ("url", "pid", "speed", "access_key_id", "secret_access_key")
        screen.data({key: getattr(server, key) for key in keys})
        return
    screen.out(server.exports().rstrip())
    screen.say(f"# {server.url}, process {server.pid}, {server.pace}")


def logs(folder: Path) -> int:
    """Print the local AWS's log; see `plab local logs --help`."""
    path = launch.log_path(folder)
    if not path.exists():
        raise PlabError("There is no log: no local AWS has run here.", hint="plab local start")
    Screen().out(path.read_text(encoding="utf-8", errors="replace").rstrip())
    return 0
