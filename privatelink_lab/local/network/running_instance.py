"""An instance in the network: its disk, its console, and its processes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, cast

from privatelink_lab.local.network import instance_shutdown
from privatelink_lab.local.network.instance_boot import DISK_FOLDERS, MOST_INODES, BootSettings
from privatelink_lab.local.network.plan import InstancePlan
from privatelink_lab.local.network.system_calls import NODEV, NOSUID, children_in_new_pid_namespace, mount, unmount

POWER_OFF, RESTART, CRASH = "power-off", "restart", "crash"
DISK_SIZE = "256m"  # of every instance; it is memory
CHUNK = 65536  # bytes of console output that are read at once
READ_PAUSE = 0.05  # seconds between two reads: a script that writes without end must not slow the agent
_HOW = {-signal.SIGINT: POWER_OFF, -signal.SIGHUP: RESTART}  # the signals by which reboot(2) ends a PID namespace
_PACKAGE = Path(__file__).parents[3]
_BOOT = (  # the path comes by stdin, since everything in the instance can read a command line
    f"import sys; sys.path.append(sys.stdin.readline().rstrip()); from {__package__} import instance_boot; "
    "instance_boot.main()"
)


class RunningInstance:
    """An instance that is in the plan, running or stopped: its disk and its console survive a stop and a start."""

    def __init__(self, folder: Path, *, on_output: Callable[[bytes], None], on_end: Callable[[int, str], None]) -> None:
        self.boot = 0
        self._folder = folder
        self._on_output = on_output
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._has_booted, self._has_ended = asyncio.Event(), asyncio.Event()
        self._read_later: asyncio.TimerHandle | None = None
        (folder / "disk").mkdir(parents=True)
        mount("tmpfs", folder / "disk", "tmpfs", NOSUID | NODEV, f"size={DISK_SIZE},nr_inodes={MOST_INODES},mode=755")
        for name in DISK_FOLDERS:
            (folder / "disk" / name).mkdir()
        for path, target in (("var/run", "/run"), ("var/lock", "/run/lock")):
            (folder / "disk" / path).symlink_to(target)
        for path in ("var/log", "var/lib", "var/tmp", "var/cache"):
            (folder / "disk" / path).mkdir()
        os.mkfifo(folder / "console")
        # Open for reading and writing: so it never ends, and no writer waits for a reader.
        self._console = os.open(folder / "console", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._console, self._read)

    def start(self, instance: InstancePlan, network: int, *, root: Path, hosts: Path) -> None:
        """Boot it in a network namespace; closes the descriptor `network`."""
        settings = BootSettings(
            network=network,
            root=str(root),
            disk=str(self._folder / "disk"),
            console=str(self._folder / "console"),
            hosts=str(hosts),
            instance_shutdown=Path(instance_shutdown.__file__).read_text(encoding="utf-8"),
            host_name=instance.host_name,
            user_data=instance.user_data,
            python=os.path.realpath(sys._base_executable),  # type: ignore[attr-defined]  # not the one of a venv
            prefix=os.path.realpath(sys.base_prefix),
        )
        try:
            with children_in_new_pid_namespace():
                process = subprocess.Popen(  # noqa: S603  # our own module, by our own interpreter
                    [settings.python, "-I", "-S", "-c", _BOOT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,  # it closes this as soon as its file system is built
                    stderr=None,
                    pass_fds=[network],
                    env={},
                    cwd="/",
                )
        finally:
            os.close(network)
        with suppress(BrokenPipeError):  # it has ended, which `_watch` finds out
            cast("IO[bytes]", process.stdin).write(f"{_PACKAGE}\n{json.dumps(asdict(settings))}".encode())
            cast("IO[bytes]", process.stdin).close()
        self.boot, self._process = instance.boot, process
        self._has_booted, self._has_ended = asyncio.Event(), asyncio.Event()
        self._watch(process, cast("IO[bytes]", process.stdout))

    @property
    def pid(self) -> int | None:
        """The instance's first process, numbered as in the agent's namespace; None until its file system is built."""
        return self._process.pid if self._process and self._has_booted.is_set() else None

    def end(self, reason: str) -> None:
        """End it as a crash, and say why on its console."""
        self._on_output(f"\ncloud-init: the instance is ended: {reason}\n".encode())
        if self._process:
            self._process.kill()

    async def stop(self) -> None:
        """End all its processes, and wait until they have ended."""
        self.boot = 0
        if self._process:
            self._process.kill()
            await self._has_ended.wait()

    async def remove(self) -> None:
        """Stop it, and delete its disk."""
        await self.stop()
        if self._read_later:
            self._read_later.cancel()
        asyncio.get_running_loop().remove_reader(self._console)
        os.close(self._console)
        (self._folder / "console").unlink()
        unmount(self._folder / "disk")
        (self._folder / "disk").rmdir()
        self._folder.rmdir()

    def _watch(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        loop, end = asyncio.get_running_loop(), os.pidfd_open(process.pid)

        def booted() -> None:
            loop.remove_reader(output)
            output.close()
            self._has_booted.set()

        def ended() -> None:
            loop.remove_reader(end)
            os.close(end)
            code, boot = process.wait(), self.boot
            self._process = None
            self._has_ended.set()
            if boot:  # `stop` has not been called
                self._on_end(boot, _HOW.get(code, CRASH))

        loop.add_reader(output, booted)
        loop.add_reader(end, ended)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._on_output(os.read(self._console, CHUNK))
        except BlockingIOError:
            return
        loop.remove_reader(self._console)
        self._read_later = loop.call_later(READ_PAUSE, loop.add_reader, self._console, self._read)
