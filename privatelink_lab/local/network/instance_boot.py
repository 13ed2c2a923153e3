"""The first process of an instance: it builds the instance's view of the system, runs its scripts, and reaps.

It is started with a plan on stdin and the standard library only. What the instance sees: the system
read-only, folders of its own, no file of the user's, none of the host's environment or processes.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from privatelink_lab.local.network import system_calls as kernel

SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
SETTINGS = (  # of /etc: what programs need, and nothing that is secret or about the host
    "alternatives",
    "bash.bashrc",
    "ca-certificates",
    "crypto-policies",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "pki/ca-trust",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "protocols",
    "services",
    "ssl/certs",  # and not private, where the host keeps its keys
    "ssl/openssl.cnf",
    "terminfo",
)
DISK = ("home", "opt", "root", "srv", "var")  # these outlive a stop and a start
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
HIDDEN_PROC = ("kallsyms", "kcore", "key-users", "keys", "kmsg", "sched_debug", "sysrq-trigger", "timer_list")
USERS = "root:x:0:0:root:/root:/bin/bash\n"
GROUPS = "root:x:0:\n"
LOOKUP = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"
PROGRAMS = "run/plab"
PATH = f"/{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PER_BOOT = Path("/var/lib/cloud/scripts/per-boot")
USER_DATA = Path("/var/lib/cloud/instance/scripts/part-001")
BOOTED = Path("/var/lib/cloud/instance/sem/config_scripts_user")
SIZE = "64m"  # of what is written outside the disk's folders


@dataclass(frozen=True)
class Plan:
    """What to boot: `network` is a descriptor; `root` an empty folder to build on; the rest are paths and words."""

    network: int
    root: str
    disk: str
    console: str
    hosts: str
    power: str
    host_name: str
    script: str
    python: str
    prefix: str

    def as_json(self) -> str:
        """The same as text."""
        return json.dumps(asdict(self))


def main() -> None:
    """Boot by the plan on stdin, and stay until somebody ends this PID namespace."""
    plan = Plan(**json.load(sys.stdin))
    kernel.enter(plan.network, kernel.NEWNET)
    os.close(plan.network)
    kernel.unshare(kernel.NEWNS | kernel.NEWUTS | kernel.NEWIPC)
    kernel.mount("none", "/", flags=kernel.RECURSIVE | kernel.PRIVATE)
    kernel.set_host_name(plan.host_name)
    _build(plan, Path(plan.root))
    kernel.change_root(plan.root)
    # Without these nobody inside can undo a mount, also where the user is the host's root.
    kernel.give_up(kernel.GIVEN_UP.values())
    os.setsid()
    console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY)
    null = os.open("/dev/null", os.O_RDWR)
    for number, source in enumerate((null, console, console)):
        os.dup2(source, number)
    os.closerange(3, 64)
    _run_scripts(plan)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # from here on the system reaps
    _reap()
    while True:
        signal.pause()


def _build(plan: Plan, root: Path) -> None:
    kernel.mount("tmpfs", root, "tmpfs", kernel.NOSUID | kernel.NODEV, f"size={SIZE},mode=755")
    for name in SYSTEM:
        _show(Path("/", name), root / name)
    for name in DISK:
        (root / name).mkdir()
        kernel.bind(Path(plan.disk, name), root / name)
    prefix = Path(plan.prefix)
    if prefix.parts[1] not in SYSTEM:
        (root / plan.prefix.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _show(prefix, root / plan.prefix.lstrip("/"))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    _settings(plan, root / "etc")
    _processes(root / "proc")
    _devices(plan, root / "dev")
    _programs(plan, root / PROGRAMS)


def _show(source: Path, target: Path) -> None:
    """The host's folder or file, read-only, or its link as a link; nothing where it has none."""
    if not os.path.lexists(source):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir(exist_ok=True)
    else:
        target.touch()
    kernel.bind(source, target)
    kernel.protect(target)


def _settings(plan: Plan, etc: Path) -> None:
    etc.mkdir()
    for name in SETTINGS:
        _show(Path("/etc", name), etc / name)
    (etc / "passwd").write_text(USERS)
    (etc / "group").write_text(GROUPS)
    (etc / "nsswitch.conf").write_text(LOOKUP)
    (etc / "host.conf").write_text("multi on\n")  # a name may have several addresses: an endpoint's has one per zone
    (etc / "hostname").write_text(f"{plan.host_name}\n")
    (etc / "hosts").touch()
    kernel.bind(plan.hosts, etc / "hosts")
    kernel.protect(etc / "hosts")


def _processes(proc: Path) -> None:
    """Its own processes; the system's switches cannot be moved, for the host's root is root here too."""
    proc.mkdir()
    kernel.mount("proc", proc, "proc", kernel.NOSUID | kernel.NODEV)
    for name in HIDDEN_PROC:
        if (proc / name).exists():
            kernel.bind("/dev/null", proc / name)
    kernel.protect(proc)


def _devices(plan: Plan, dev: Path) -> None:
    dev.mkdir()
    for name in DEVICES:
        (dev / name).touch()
        kernel.bind(Path("/dev", name), dev / name)
    (dev / "console").touch()
    kernel.bind(plan.console, dev / "console")
    (dev / "shm").mkdir()
    (dev / "shm").chmod(0o1777)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    (dev / "fd").symlink_to("/proc/self/fd")


def _programs(plan: Plan, folder: Path) -> None:
    """`python3`, where the system has none, and what ends the machine."""
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(plan.python)
    for name in ("halt", "poweroff", "reboot", "shutdown"):
        (folder / name).write_text(f"#!{plan.python} -IS\n{plan.power}")
        (folder / name).chmod(0o755)


def _run_scripts(plan: Plan) -> None:
    """As cloud-init: the user data once, at the first boot, and what lies in per-boot at each boot before it."""
    try:
        scripts = _scripts(plan)
    except OSError as error:  # a full disk
        _say(f"the scripts could not be prepared: {error.strerror}")
        return
    environment = {"PATH": PATH, "LANG": "C.UTF-8"}
    for each in scripts:
        try:
            done = subprocess.run([each], cwd="/", env=environment, check=False)  # noqa: S603  # what it is for
            if done.returncode:
                _say(f"{each} ended with exit code {done.returncode}")
        except OSError as error:
            _say(f"{each} could not be run: {error.strerror}")


def _scripts(plan: Plan) -> list[Path]:
    PER_BOOT.mkdir(parents=True, exist_ok=True)
    scripts = sorted(each for each in PER_BOOT.iterdir() if os.access(each, os.X_OK))
    if not BOOTED.exists():
        BOOTED.parent.mkdir(parents=True, exist_ok=True)
        BOOTED.touch()  # before it runs: what is cut short does not run again
        scripts += _user_data(base64.b64decode(plan.script))
    return scripts


def _user_data(script: bytes) -> list[Path]:
    if not script.startswith(b"#!"):
        if script:
            _say("the user data is no script: it does not begin with #!")
        return []
    USER_DATA.parent.mkdir(parents=True, exist_ok=True)
    USER_DATA.write_bytes(script)
    USER_DATA.chmod(0o700)
    return [USER_DATA]


def _say(text: str) -> None:
    os.write(1, f"cloud-init: {text}\n".encode())


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        pass
