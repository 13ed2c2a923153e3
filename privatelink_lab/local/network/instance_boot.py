"""The first process of an instance: builds the instance's file system, runs its scripts, and reaps processes.

It reads BootSettings from stdin and imports the standard library only. The instance sees the host's programs
read-only and folders of its own, but no file of the user and none of the host's environment or processes.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from privatelink_lab.local.network import instance_limits, system_calls

SYSTEM_FOLDERS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
ETC_FILES = (  # of /etc: what programs need, and nothing that is secret or about the host
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
    "ssl/certs",  # but not ssl/private, where the host keeps its keys
    "ssl/openssl.cnf",
    "terminfo",
)
DISK_FOLDERS = ("home", "opt", "root", "srv", "var")  # they survive a stop and a start
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")
HIDDEN_PROC = (
    "cmdline",
    "kallsyms",
    "kcore",
    "key-users",
    "keys",
    "kmsg",
    "sched_debug",
    "sysrq-trigger",
    "timer_list",
)
USERS = "root:x:0:0:root:/root:/bin/bash\n"
GROUPS = "root:x:0:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n"
PROGRAMS = "run/plab"
PATH = f"/{PROGRAMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PER_BOOT = Path("/var/lib/cloud/scripts/per-boot")
USER_DATA = Path("/var/lib/cloud/instance/scripts/part-001")
USER_DATA_DONE = Path("/var/lib/cloud/instance/sem/config_scripts_user")
MEMORY_SIZE = "64m"  # for files outside DISK_FOLDERS
MOST_INODES = 65536  # files and folders of each file system: an empty one takes memory too


@dataclass(frozen=True)
class BootSettings:
    """How to boot one instance: `network` is the descriptor of its namespace, `root` an empty folder to mount on.

    `instance_shutdown` is the text of that module, `user_data` is in base64; the others are paths and names.
    """

    network: int
    root: str
    disk: str
    console: str
    hosts: str
    instance_shutdown: str
    host_name: str
    user_data: str
    python: str
    prefix: str


def main() -> None:
    """Boot with the settings on stdin, and run until this PID namespace is ended."""
    settings = BootSettings(**json.load(sys.stdin))
    system_calls.enter(settings.network, system_calls.NEWNET)
    os.close(settings.network)
    system_calls.unshare(system_calls.NEWNS | system_calls.NEWUTS | system_calls.NEWIPC)
    system_calls.mount("none", "/", flags=system_calls.RECURSIVE | system_calls.PRIVATE)
    socket.sethostname(settings.host_name)
    _build_root(settings, Path(settings.root))
    system_calls.change_root(settings.root)
    # Without these no process in the instance can undo a mount, also where the user is root on the host.
    system_calls.drop_capabilities(system_calls.DROPPED_CAPABILITIES.values())
    instance_limits.restrict()
    os.setsid()
    console = os.open("/dev/console", os.O_WRONLY | os.O_NOCTTY)
    null = os.open("/dev/null", os.O_RDWR)
    for number, source in enumerate((null, console, console)):
        os.dup2(source, number)
    os.closerange(3, 64)
    os.nice(instance_limits.NICE)  # of this thread and of what it starts
    _run_scripts(settings)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # from here on the system reaps
    _reap()
    while True:
        signal.pause()


def _build_root(settings: BootSettings, root: Path) -> None:
    system_calls.mount(
        "tmpfs",
        root,
        "tmpfs",
        system_calls.NOSUID | system_calls.NODEV,
        f"size={MEMORY_SIZE},nr_inodes={MOST_INODES},mode=755",
    )
    for name in SYSTEM_FOLDERS:
        _expose(Path("/", name), root / name)
    _hide_local_programs(settings, root / "usr" / "local")
    for name in DISK_FOLDERS:
        (root / name).mkdir()
        system_calls.bind(Path(settings.disk, name), root / name)
    prefix = Path(settings.prefix)
    if prefix.parts[1] not in SYSTEM_FOLDERS:
        (root / settings.prefix.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _expose(prefix, root / settings.prefix.lstrip("/"))
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    _build_etc(settings, root / "etc")
    _mount_proc(root / "proc")
    _build_dev(settings, root / "dev")
    _install_programs(settings, root / PROGRAMS)


def _hide_local_programs(settings: BootSettings, folder: Path) -> None:
    """/usr/local has what the user has installed, unless Python itself is there."""
    if folder.is_dir() and Path("/usr/local") not in {Path(settings.prefix), *Path(settings.prefix).parents}:
        system_calls.mount("tmpfs", folder, "tmpfs", system_calls.NOSUID | system_calls.NODEV, "size=4k,mode=755")
        system_calls.protect(folder)


def _expose(source: Path, target: Path) -> None:
    """Mount a folder or file of the host read-only, or copy its symbolic link; do nothing if the host has none."""
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
    system_calls.bind(source, target)
    system_calls.protect(target)


def _build_etc(settings: BootSettings, etc: Path) -> None:
    etc.mkdir()
    for name in ETC_FILES:
        _expose(Path("/etc", name), etc / name)
    (etc / "passwd").write_text(USERS)
    (etc / "group").write_text(GROUPS)
    (etc / "nsswitch.conf").write_text(NSSWITCH)
    (etc / "host.conf").write_text("multi on\n")  # a name may have several addresses: an endpoint's has one per zone
    (etc / "hostname").write_text(f"{settings.host_name}\n")
    (etc / "hosts").touch()
    system_calls.bind(settings.hosts, etc / "hosts")
    system_calls.protect(etc / "hosts")


def _mount_proc(proc: Path) -> None:
    """Show the instance's own processes; read-only, since root of the host could else change the host's settings."""
    proc.mkdir()
    system_calls.mount("proc", proc, "proc", system_calls.NOSUID | system_calls.NODEV)
    for name in HIDDEN_PROC:
        if (proc / name).exists():
            system_calls.bind("/dev/null", proc / name)
    system_calls.protect(proc)


def _build_dev(settings: BootSettings, dev: Path) -> None:
    dev.mkdir()
    for name in DEVICES:
        (dev / name).touch()
        system_calls.bind(Path("/dev", name), dev / name)
    (dev / "console").touch()
    system_calls.bind(settings.console, dev / "console")
    (dev / "shm").mkdir()
    (dev / "shm").chmod(0o1777)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    (dev / "fd").symlink_to("/proc/self/fd")


def _install_programs(settings: BootSettings, folder: Path) -> None:
    """`python3`, in case the system has none, and the shutdown commands."""
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(settings.python)
    for name in ("halt", "poweroff", "reboot", "shutdown"):
        (folder / name).write_text(f"#!{settings.python} -IS\n{settings.instance_shutdown}")
        (folder / name).chmod(0o755)


def _run_scripts(settings: BootSettings) -> None:
    """As cloud-init does: at every boot the scripts in per-boot, then the user data, at the first boot only."""
    try:
        scripts = _scripts(settings)
    except OSError as error:  # a full disk
        _log(f"the scripts could not be prepared: {error.strerror}")
        return
    environment = {"PATH": PATH, "LANG": "C.UTF-8"}
    for script in scripts:
        try:
            done = subprocess.run([script], cwd="/", env=environment, check=False)  # noqa: S603  # the user's own script
            if done.returncode:
                _log(f"{script} ended with exit code {done.returncode}")
        except OSError as error:
            _log(f"{script} could not be run: {error.strerror}")


def _scripts(settings: BootSettings) -> list[Path]:
    PER_BOOT.mkdir(parents=True, exist_ok=True)
    scripts = sorted(path for path in PER_BOOT.iterdir() if os.access(path, os.X_OK))
    if not USER_DATA_DONE.exists():
        USER_DATA_DONE.parent.mkdir(parents=True, exist_ok=True)
        USER_DATA_DONE.touch()  # before it runs: user data that is interrupted does not run again
        scripts += _write_user_data(base64.b64decode(settings.user_data))
    return scripts


def _write_user_data(script: bytes) -> list[Path]:
    if not script.startswith(b"#!"):
        if script:
            _log("the user data is no script: it does not begin with #!")
        return []
    USER_DATA.parent.mkdir(parents=True, exist_ok=True)
    USER_DATA.write_bytes(script)
    USER_DATA.chmod(0o700)
    return [USER_DATA]


def _log(text: str) -> None:
    os.write(1, f"cloud-init: {text}\n".encode())


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        pass
