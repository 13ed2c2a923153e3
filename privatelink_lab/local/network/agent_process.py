"""The carrier's process: `python -m privatelink_lab.local.network.agent_process`, with its control socket as stdin.

It becomes root of a user namespace of its own, without any privilege, before it imports anything that
may start a thread. The first of its two processes waits; the second is the first of a PID namespace,
so that all it ever starts ends with it.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

from privatelink_lab.local.network import system_calls as kernel

Result = TypeVar("Result")

SIZE = "64m"  # of hosts files and consoles; each disk has its own size
PLACES = ("/mnt", "/media", "/srv", "/opt", "/tmp")  # noqa: S108  # for a mount that nobody else sees


class Refused(Exception):
    """The system refuses a step of what packets need."""


def main() -> int:
    """Carry until the control socket ends; 1 when the system does not allow it, which is said on that socket."""
    control = socket.socket(fileno=0)
    try:
        _step("a user namespace", _own_namespaces)
        child = os.fork()
        if child:
            control.close()
            return _wait(child)
        _first_process(control)
    except Refused as error:
        _refuse(control, f"{error}")
        return 1


def _own_namespaces() -> None:
    if sys.platform != "linux":
        raise Refused("Traffic needs Linux; this is another system.")
    kernel.own_user_namespace(kernel.NEWNS | kernel.NEWNET | kernel.NEWPID)


def _wait(child: int) -> int:
    """Until it ends; a SIGTERM ends it too, since it dies with us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _first_process(control: socket.socket) -> NoReturn:
    kernel.die_with_parent(signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = 1
    try:
        _carry(control)
        code = 0
    except Refused as error:
        _refuse(control, f"{error}")
    except ImportError as error:
        _refuse(control, f"{error}. Install plab with its extra: pip install '.[local]'")
    finally:
        os._exit(code)


def _refuse(control: socket.socket, why: str) -> None:
    control.sendall(json.dumps({"refused": why}).encode() + b"\n")


def _carry(control: socket.socket) -> None:
    kernel.new_keyring()
    scratch = _step("a mount", _make_scratch)
    _step("a fresh /proc", lambda: kernel.mount("proc", "/proc", "proc"))
    # Or user data could become root of a namespace of its own, with all that it has been denied here.
    Path("/proc/sys/user/max_user_namespaces").write_text("0")
    _raise_limit()

    import asyncio
    import logging

    from privatelink_lab.local.network.agent import carry
    from privatelink_lab.local.network.bridges import Network

    logging.basicConfig(format="%(name)s: %(message)s")
    _step("a network between namespaces", lambda: asyncio.run(_try_network(Network)))
    asyncio.run(carry(scratch, control))


async def _try_network(network_class: type) -> None:
    network = network_class()
    await network.open()
    await network.hold(["10.0.0.1/24"])
    os.close(await network.plug("10.0.0.10/24", "10.0.0.1", ["10.0.0.0/16"]))
    network.close()


def _make_scratch() -> Path:
    """A folder that nobody else sees, and that is gone with us."""
    kernel.mount("none", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    ours = [Path(each).resolve() for each in (sys.prefix, sys.base_prefix, __file__)]
    for place in map(Path, PLACES):
        if place.is_dir() and not any(each.is_relative_to(place) for each in ours):
            kernel.mount("tmpfs", place, "tmpfs", kernel.NOSUID | kernel.NODEV, f"size={SIZE},mode=700")
            return place
    raise Refused(f"There is no folder to mount on: none of {', '.join(PLACES)}.")


def _raise_limit() -> None:
    """A relayed connection needs two descriptors; the soft limit is mostly 1,024."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _step(name: str, work: Callable[[], Result]) -> Result:
    try:
        return work()
    except Refused:
        raise
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
        raise Refused(f"The system refuses {name} ({error}). {_REMEDIES.get(number or 0, _OTHER)}") from error


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
