"""System calls that Python lacks: namespaces, mounts and packet filters. Linux only."""

from __future__ import annotations

import ctypes
import os
import platform
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Network
from pathlib import Path

NEWNS, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000

RDONLY, NOSUID, NODEV, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 4096, 16384, 1 << 18
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_PIVOT_ROOT = 155 if platform.machine() == "x86_64" else 41  # 41 on arm64 and all that came later
_MOUNT_SETATTR = 442
_KEYCTL = 250 if platform.machine() == "x86_64" else 219
_JOIN_SESSION_KEYRING = 1
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP = 1, 24
GIVEN_UP = {"sys_admin": 21, "sys_module": 16, "sys_rawio": 17}  # capabilities that nobody in a machine has
_CAPABILITY_VERSION, _WORD = 0x20080522, 0xFFFFFFFF
_SO_ATTACH_FILTER = 26

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(_libc, name)(*arguments))
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def unshare(kinds: int) -> None:
    """Leave namespaces of these kinds for new ones; raises OSError where the system refuses.

    NEWUSER fails with EINVAL in a process that has a second thread.
    """
    _call("unshare", kinds)


def enter(namespace: int, kind: int) -> None:
    """Let this thread live in the namespace behind a descriptor."""
    _call("setns", namespace, kind)


def own_user_namespace(kinds: int) -> None:
    """Leave for a new user namespace, in which we are root, and for new ones of `kinds`."""
    uid, gid = os.getuid(), os.getgid()
    unshare(NEWUSER | kinds)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path("/proc/self", name).write_text(text)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """In the network namespace behind a descriptor, for making a socket and nothing else.

    No await and no thread start inside: both would take the namespace along.
    """
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter(namespace, NEWNET)
        try:
            yield
        finally:
            enter(home, NEWNET)
    finally:
        os.close(home)


@contextmanager
def children_in_new_pid_namespace() -> Iterator[None]:
    """The first child that is started inside is the first process of a PID namespace; all in it end with that one."""
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(NEWPID)
        try:
            yield
        finally:
            enter(home, NEWPID)
    finally:
        os.close(home)


def new_network() -> int:
    """The descriptor of a new network namespace; it lives as long as a descriptor or process holds it."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(NEWNET)
        try:
            return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            enter(home, NEWNET)
    finally:
        os.close(home)


def mount(source: str | Path, target: str | Path, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """The system call of that name; a `kind` mounts a new file system. Raises OSError where it is refused."""
    words = (str(source).encode(), str(target).encode(), kind.encode() if kind else None)
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data else None)


def bind(source: str | Path, target: str | Path) -> None:
    """Show a folder or file at a second place, with everything that is mounted below it."""
    mount(source, target, flags=BIND | RECURSIVE)


def protect(target: str | Path) -> None:
    """Make a mount and all below it read-only, and deaf to set-user-id bits.

    `remount,bind,ro` would leave what is mounted below writable.
    """
    attributes = struct.pack("@QQQQ", RDONLY | NOSUID, 0, 0, 0)
    path = os.fsencode(target)
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))


def change_root(root: str | Path) -> None:
    """Make `root`, which is a mount, the root, and let go of the one before."""
    os.chdir(root)
    _call("syscall", _PIVOT_ROOT, b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def unmount(target: str | Path) -> None:
    """Take a mount away; who still looks into it keeps it until he ends."""
    _call("umount2", os.fsencode(target), _DETACH)


def new_keyring() -> None:
    """Leave the session's keyring, where the host keeps keys and tickets, for an empty one."""
    with suppress(OSError):  # a system, or a container, without keyrings shows none either
        _call("syscall", _KEYCTL, _JOIN_SESSION_KEYRING, None)


def die_with_parent(signal_number: int) -> None:
    """Get this signal when the thread that started us ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def give_up(capabilities: Iterable[int]) -> None:
    """Lose these capabilities, and let no program that we start have them."""
    numbers = list(capabilities)
    for each in numbers:
        _call("prctl", _PR_CAPBSET_DROP, each, 0, 0, 0)
    header = struct.pack("@Ii", _CAPABILITY_VERSION, 0)
    sets = ctypes.create_string_buffer(struct.calcsize("@6I"))
    _call("capget", header, sets)
    low = ~sum(1 << each for each in numbers)  # all of them are among the first 32
    words = struct.unpack("@6I", sets.raw)
    _call("capset", header, struct.pack("@6I", *(each & low & _WORD for each in words[:3]), *words[3:]))


def set_host_name(name: str) -> None:
    """The name of this UTS namespace."""
    socket.sethostname(name)


_LOAD_SOURCE = (0x20, 0, 0, 0xFFF00000 + 12)  # the source address, counted from the IP header
_ACCEPT, _DROP = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)


def admit_only(listener: socket.socket, sources: Iterable[IPv4Network]) -> None:
    """Let a listening socket see packets from these networks only; the others get no answer, as on AWS.

    A classic BPF program, which needs no privilege. Connections keep the one under which they came.
    """
    program = []
    for each in sources:
        mask, network = int(each.netmask), int(each.network_address)
        program += [_LOAD_SOURCE, (0x54, 0, 0, mask), (0x15, 0, 1, network), _ACCEPT]
    program.append(_DROP)
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *each) for each in program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))
