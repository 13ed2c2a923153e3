"""An instance, or a visitor's shell: its disk, its console, and its processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from privatelink_lab.local.network import shutdown_commands as power
from privatelink_lab.local.network.instance_boot import DISK, Plan
from privatelink_lab.local.network.plan import Machine
from privatelink_lab.local.network.system_calls import NODEV, NOSUID, children_in_new_pid_namespace, mount, unmount

POWER_OFF, RESTART, CRASH = "power-off", "restart", "crash"
DISK_SIZE = "256m"  # of each machine; it is memory
CHUNK = 65536  # bytes of console output that are read at once
PAUSE = 0.05  # seconds between two reads: a script that never stops writing must not fill our time
_WAYS = {-signal.SIGINT: POWER_OFF, -signal.SIGHUP: RESTART}  # how reboot(2) ends a PID namespace
_PACKAGE = Path(__file__).parents[3]
_BOOT = f"import sys; sys.path.append({str(_PACKAGE)!r}); from {__package__} import instance_boot; instance_boot.main()"


class RunningMachine:
    """A machine that is in the picture: `disk` and console outlive its boots."""

    def __init__(self, folder: Path, *, on_output: Callable[[bytes], None], on_end: Callable[[int, str], None]) -> None:
        self.boot = 0
        self._folder = folder
        self._on_output = on_output
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._has_booted, self._has_ended = asyncio.Event(), asyncio.Event()
        self._pause: asyncio.TimerHandle | None = None
        (folder / "disk").mkdir(parents=True)
        mount("tmpfs", folder / "disk", "tmpfs", NOSUID | NODEV, f"size={DISK_SIZE},mode=755")
        for name in DISK:
            (folder / "disk" / name).mkdir()
        for path, to in (("var/run", "/run"), ("var/lock", "/run/lock")):
            (folder / "disk" / path).symlink_to(to)
        for path in ("var/log", "var/lib", "var/tmp", "var/cache"):
            (folder / "disk" / path).mkdir()
        os.mkfifo(folder / "console")
        # Open for both, so that it never ends and no writer has to wait for a reader.
        self._console = os.open(folder / "console", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        asyncio.get_running_loop().add_reader(self._console, self._read)

    def start(self, machine: Machine, network: int, *, root: Path, hosts: Path) -> None:
        """Boot it into a network namespace, whose descriptor is closed here."""
        plan = self._plan(machine, network, root=root, hosts=hosts)
        try:
            with children_in_new_pid_namespace():
                process = subprocess.Popen(  # noqa: S603  # our own module, by our own interpreter
                    [plan.python, "-I", "-S", "-c", _BOOT],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,  # which it lets go of as soon as its view of the system stands
                    stderr=None,
                    pass_fds=[network],
                    env={},
                    cwd="/",
                )
        finally:
            os.close(network)
        with suppress(BrokenPipeError):  # it has ended, which is seen below
            cast("IO[bytes]", process.stdin).write(plan.as_json().encode())
            cast("IO[bytes]", process.stdin).close()
        self.boot, self._process = machine.boot, process
        self._has_booted, self._has_ended = asyncio.Event(), asyncio.Event()
        self._watch(process, cast("IO[bytes]", process.stdout))

    def _plan(self, machine: Machine, network: int, *, root: Path, hosts: Path) -> Plan:
        return Plan(
            network=network,
            root=str(root),
            disk=str(self._folder / "disk"),
            console=str(self._folder / "console"),
            hosts=str(hosts),
            power=Path(power.__file__).read_text(encoding="utf-8"),
            host_name=machine.host_name,
            script=machine.script,
            python=os.path.realpath(sys._base_executable),  # type: ignore[attr-defined]  # that of no venv
            prefix=os.path.realpath(sys.base_prefix),
        )

    @property
    def pid(self) -> int | None:
        """The first process of the machine, as the carrier counts, once it has its own view of the system."""
        return self._process.pid if self._process and self._has_booted.is_set() else None

    async def stop(self) -> None:
        """End all its processes and wait until they are gone."""
        self.boot = 0
        if self._process:
            self._process.kill()
            await self._has_ended.wait()

    async def remove(self) -> None:
        """Stop it and throw its disk away."""
        await self.stop()
        if self._pause:
            self._pause.cancel()
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
            if boot:  # nobody here has asked for it
                self._on_end(boot, _WAYS.get(code, CRASH))

        loop.add_reader(output, booted)
        loop.add_reader(end, ended)

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._on_output(os.read(self._console, CHUNK))
        except BlockingIOError:
            return
        loop.remove_reader(self._console)
        self._pause = loop.call_later(PAUSE, loop.add_reader, self._console, self._read)
