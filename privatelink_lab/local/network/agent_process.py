"""The agent's process: `python -m privatelink_lab.local.network.agent_process`, with its control socket as stdin.

It needs no privilege: it becomes root of a user namespace of its own, before it imports anything that may start a
thread. The first of its two processes waits for the second, which is the first process of a PID namespace, so that
all processes that it starts end with it.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, TypeVar

from privatelink_lab import missing_extra
from privatelink_lab.local.network import system_calls

Result = TypeVar("Result")

SCRATCH_SIZE = "64m"  # for hosts files and consoles; every disk has a size of its own
_MOST = {"max_inotify_instances": 16, "max_inotify_watches": 4096, "max_fanotify_groups": 0}
MOUNT_POINTS = ("/mnt", "/media", "/srv", "/opt", "/tmp")  # noqa: S108  # for a mount that no other process sees


class SystemRefused(Exception):
    """The system does not allow what the agent needs; the message says what to change."""


def main() -> int:
    """Run the agent until the control socket is closed; 1 if the system refuses, with the reason on that socket."""
    control = socket.socket(fileno=0)
    try:
        _step("a user namespace", _own_namespaces)
        child = os.fork()
        if child:
            control.close()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a SIGTERM ends the child too: it dies with its parent
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        _first_process(control)
    except SystemRefused as error:
        _refuse(control, f"{error}")
        return 1


def _own_namespaces() -> None:
    if sys.platform != "linux":
        raise SystemRefused("Traffic needs Linux; this is another system.")
    system_calls.own_user_namespace()


def _first_process(control: socket.socket) -> NoReturn:
    system_calls.die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        _run_agent(control)
        code = 0
    except SystemRefused as error:
        _refuse(control, f"{error}")
    except ImportError as error:
        _refuse(control, f"{error}. What installs it: {missing_extra.install_command()}")
    finally:
        os._exit(code)


def _refuse(control: socket.socket, why: str) -> None:
    control.sendall(json.dumps({"refused": why}).encode() + b"\n")


def _run_agent(control: socket.socket) -> None:
    system_calls.new_keyring()
    scratch = _step("a mount", _make_scratch)
    _step("a fresh /proc", lambda: system_calls.mount("proc", "/proc", "proc"))
    # Else user data could create a user namespace, and have there the capabilities that were dropped here.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    for name, most in _MOST.items():  # what the kernel counts for the user, who needs it elsewhere
        with suppress(OSError):
            Path("/proc/sys/user", name).write_text(str(most))
    _raise_limit()

    import asyncio
    import logging

    from privatelink_lab.local.network import agent
    from privatelink_lab.local.network.vpc_network import VpcBridge

    logging.basicConfig(format="%(name)s: %(message)s")
    _step("a network between namespaces", lambda: asyncio.run(_try_network(VpcBridge)))
    asyncio.run(agent.run(scratch, control))


async def _try_network(bridge_class: type) -> None:
    bridge = bridge_class()
    await bridge.create()
    await bridge.set_addresses(["10.0.0.1/24"])
    os.close(await bridge.attach("10.0.0.10/24", "10.0.0.1", ["10.0.0.0/16"]))
    bridge.close()


def _make_scratch() -> Path:
    """A folder that no other process sees, and that is gone when this process ends."""
    system_calls.mount("none", "/", flags=system_calls.RECURSIVE | system_calls.PRIVATE)
    in_use = [Path(name).resolve() for name in (sys.prefix, sys.base_prefix, __file__)]
    for folder in map(Path, MOUNT_POINTS):
        if folder.is_dir() and not any(path.is_relative_to(folder) for path in in_use):
            system_calls.mount(
                "tmpfs", folder, "tmpfs", system_calls.NOSUID | system_calls.NODEV, f"size={SCRATCH_SIZE},mode=700"
            )
            return folder
    raise SystemRefused(f"There is no folder to mount on: none of {', '.join(MOUNT_POINTS)}.")


def _raise_limit() -> None:
    """Raise the limit of open files: a relayed connection needs two, and the soft limit is mostly 1,024."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _step(name: str, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except SystemRefused:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
        raise SystemRefused(f"The system refuses {name} ({error}). {_REMEDIES.get(number or 0, _OTHER)}") from error


_OTHER = "Traffic needs unprivileged user namespaces."
_REMEDIES = {
    errno.ENOSPC: "Allow user namespaces: sysctl user.max_user_namespaces=15000",
    errno.EPERM: (
        "Allow unprivileged user namespaces: sysctl kernel.unprivileged_userns_clone=1, "
        "kernel.apparmor_restrict_unprivileged_userns=0; in a container, one whose seccomp profile lets unshare pass."
    ),
    errno.EACCES: "Allow it: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
}


if __name__ == "__main__":
    sys.exit(main())
