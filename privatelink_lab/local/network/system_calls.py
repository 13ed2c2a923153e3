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
_PIVOT_ROOT = 155 if platform.machine() == "x86_64" else 41  # 41 on arm64 and all newer architectures
_MOUNT_SETATTR = 442
_KEYCTL = 250 if platform.machine() == "x86_64" else 219
_JOIN_SESSION_KEYRING = 1
_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 22, 24, 38
_FILTER = 2  # of PR_SET_SECCOMP: a classic BPF program decides on each system call
# No process in an instance has them. One with net_admin could take its VPC's bridge away, for all namespaces belong to
# one user namespace.
DROPPED_CAPABILITIES = {"sys_admin": 21, "sys_module": 16, "sys_rawio": 17, "net_admin": 12}
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
    """Move to new namespaces of these kinds; raises OSError if the system refuses.

    NEWUSER fails with EINVAL in a process that has a second thread.
    """
    _call("unshare", kinds)


def enter(namespace: int, kind: int) -> None:
    """Move this thread to the namespace of a descriptor."""
    _call("setns", namespace, kind)


def own_user_namespace() -> None:
    """Move to a new user namespace, in which this process is root, and to new mount, network and PID namespaces."""
    uid, gid = os.getuid(), os.getgid()
    unshare(NEWUSER | NEWNS | NEWNET | NEWPID)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
        Path("/proc/self", name).write_text(text)


@contextmanager
def _returning(name: str, kind: int) -> Iterator[None]:
    """Return afterwards to the namespace of this kind, which /proc calls `name`, that is current now."""
    home = os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        enter(home, kind)
        os.close(home)


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """Be in the network namespace of a descriptor, to create a socket and for nothing else.

    Do not await and do not start a thread inside: other code would then run in that namespace too.
    """
    with _returning("net", NEWNET):
        enter(namespace, NEWNET)
        yield


@contextmanager
def children_in_new_pid_namespace() -> Iterator[None]:
    """The first child that is started inside is the first process of a new PID namespace, which ends with it."""
    with _returning("pid", NEWPID):
        unshare(NEWPID)
        yield


def new_network_namespace() -> int:
    """The descriptor of a new network namespace, which exists while a descriptor or a process holds it."""
    with _returning("net", NEWNET):
        unshare(NEWNET)
        return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def mount(source: str | Path, target: str | Path, kind: str | None = None, flags: int = 0, data: str = "") -> None:
    """The system call of that name; `kind` is the type of a new file system. Raises OSError if the system refuses."""
    words = (str(source).encode(), str(target).encode(), kind.encode() if kind else None)
    _call("mount", *words, ctypes.c_ulong(flags), data.encode() if data else None)


def bind(source: str | Path, target: str | Path) -> None:
    """Show a folder or file also at `target`, with everything that is mounted below it."""
    mount(source, target, flags=BIND | RECURSIVE)


def protect(target: str | Path) -> None:
    """Make a mount and all mounts below it read-only and nosuid.

    `remount,bind,ro` would leave what is mounted below writable.
    """
    attributes = struct.pack("@QQQQ", RDONLY | NOSUID, 0, 0, 0)
    path = os.fsencode(target)
    _call("syscall", _MOUNT_SETATTR, _AT_FDCWD, path, _AT_RECURSIVE, attributes, ctypes.c_size_t(len(attributes)))


def change_root(root: str | Path) -> None:
    """Make `root`, which must be a mount, the root folder, and unmount the old one."""
    os.chdir(root)
    _call("syscall", _PIVOT_ROOT, b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")


def unmount(target: str | Path) -> None:
    """Remove a mount; processes that still use it keep it until they end."""
    _call("umount2", os.fsencode(target), _DETACH)


def new_keyring() -> None:
    """Join a new empty session keyring, and leave the one where the host keeps keys and tickets."""
    with suppress(OSError):  # a system or container without keyrings: there is nothing to leave
        _call("syscall", _KEYCTL, _JOIN_SESSION_KEYRING, None)


def die_with_parent(signal_number: int) -> None:
    """Receive this signal when the thread that started this process ends."""
    _call("prctl", _PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def no_new_privileges() -> None:
    """No program that this process starts gets more rights than it has: setuid and file capabilities do not count."""
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def drop_capabilities(capabilities: Iterable[int]) -> None:
    """Drop these capabilities for this process and for every program that it starts."""
    numbers = list(capabilities)
    for number in numbers:
        _call("prctl", _PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("@Ii", _CAPABILITY_VERSION, 0)
    sets = ctypes.create_string_buffer(struct.calcsize("@6I"))
    _call("capget", header, sets)
    kept = ~sum(1 << number for number in numbers)  # all of them are among the first 32
    words = struct.unpack("@6I", sets.raw)
    _call("capset", header, struct.pack("@6I", *(word & kept & _WORD for word in words[:3]), *words[3:]))


# What an instance keeps is the user's own number in the kernel. So these system calls, which check that number and no
# namespace, are closed: keys and tickets, other processes' memory and limits, memory that belongs to no process.
_CLOSED = {  # by name: the number on x86_64, and on arm64
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_SOCKET = (41, 198)
_CLOSED_FAMILIES = (38, 40)  # of a socket: the kernel's cryptography, and the machine that this one is a guest of
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # which number, and how the kernel calls it
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # refused with EPERM
_X32 = 0x40000000  # from here on the numbers are those of a second way into the same calls


def close_system_calls() -> None:
    """Refuse what an instance must not ask of the kernel, to this process and to every program that it starts.

    `no_new_privileges` must come first. On other machines than x86_64 and arm64 nothing is closed.
    """
    if platform.machine() not in _MACHINES:
        return
    column, machine = _MACHINES[platform.machine()]
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, machine), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, _REFUSE)]
    for numbers in _CLOSED.values():
        program += [(_EQUAL, 0, 1, numbers[column]), (_RETURN, 0, 0, _REFUSE)]
    families = [step for family in _CLOSED_FAMILIES for step in ((_EQUAL, 0, 1, family), (_RETURN, 0, 0, _REFUSE))]
    program += [(_EQUAL, 0, 1 + len(families), _SOCKET[column]), (_LOAD, 0, 0, 16), *families, (_RETURN, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *step) for step in program))
    _call("prctl", _PR_SET_SECCOMP, _FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)), 0, 0)


_LOAD_SOURCE = (0x20, 0, 0, 0xFFF00000 + 12)  # the source address, counted from the IP header
_ACCEPT, _DROP = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)


def admit_only(listener: socket.socket, sources: Iterable[IPv4Network]) -> None:
    """Let a listening socket receive packets from these networks only; others get no answer, as on AWS.

    The filter is a classic BPF program, which needs no privilege. A connection keeps the filter that was set when it
    was opened.
    """
    program = []
    for source in sources:
        mask, network = int(source.netmask), int(source.network_address)
        program += [_LOAD_SOURCE, (0x54, 0, 0, mask), (0x15, 0, 1, network), _ACCEPT]
    program.append(_DROP)
    code = ctypes.create_string_buffer(b"".join(struct.pack("@HBBI", *instruction) for instruction in program))
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", len(program), ctypes.addressof(code)))
