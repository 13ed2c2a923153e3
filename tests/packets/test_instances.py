"""Instances: what they see of the host, what survives a stop, and how they end."""

from __future__ import annotations

import errno
import functools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.planned_network import PROVIDER, SILENCE, PlannedNetwork, bash
from support.timeouts import until

from privatelink_lab.local.network.agent_client import InstanceEnded


def run(network: PlannedNetwork, text: str) -> str:
    """The console of an instance whose user data is this script."""
    name = network.add_instance(PROVIDER, "10.0.0.10", bash(f"exec >/dev/console 2>&1\n{text}\necho THE END\n"))
    network.apply()
    return network.wait_for_output(name, "THE END")


def test_user_data_is_root_in_the_instance_only(network: PlannedNetwork) -> None:
    """User data runs as root, sees its own processes only, and cannot change anything of the host."""
    output = run(
        network,
        """
        id -u; hostname; ls /proc | grep -c '^[0-9]'
        for file in /usr/plab-was-here /bin/plab-was-here /etc/hosts /proc/sys/kernel/core_pattern /proc/1/comm; do
          echo x 2>/dev/null >>$file && echo "WROTE $file"
        done
        umount /usr 2>/dev/null && echo UNMOUNTED
        mount -o remount,rw /usr 2>/dev/null && echo REMOUNTED
        mount -t tmpfs none /srv 2>/dev/null && echo MOUNTED
        unshare --user --map-root-user true 2>/dev/null && echo NESTED
        """,
    )
    assert output.split()[:2] == ["0", "ip-10-0-0-10"]
    assert int(output.split()[2]) < 8
    assert not {"WROTE", "UNMOUNTED", "REMOUNTED", "MOUNTED", "NESTED"} & set(output.split())
    assert not Path("/usr/plab-was-here").exists()


def test_an_instance_sees_no_file_and_no_variable_of_the_user(
    network: PlannedNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Homes, temporary folders, secrets in /etc and environment variables of the host are not there."""
    (tmp_path / "secret").write_text("s")
    python = os.path.realpath(sys.base_prefix)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    output = run(
        network,
        f"""
        find /home /root /tmp /srv /run /opt -type f | grep -v -e ^/run/plab/ -e ^{python} && echo SEEN
        ls -d {tmp_path} {Path(__file__).parent} /sys/class 2>/dev/null && echo SEEN
        ls -d /etc/shadow /etc/ssh /etc/ssl/private 2>/dev/null && echo SEEN
        env | sort
        """,
    )
    assert "SEEN" not in output
    assert "s3cr3t" not in output
    names = {line.partition("=")[0] for line in output.splitlines() if "=" in line}
    assert names <= {"LANG", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}


SESSION_KEYRING = """
import ctypes, platform
KEYCTL, GET_KEYRING_ID, SESSION = 250 if platform.machine() == "x86_64" else 219, 0, -3
number = ctypes.CDLL(None).syscall(KEYCTL, GET_KEYRING_ID, SESSION, 1)
"""


def test_an_instance_has_a_session_keyring_of_its_own(network: PlannedNetwork) -> None:
    """The host's session keyring holds tickets and passphrases: an instance does not see it."""
    ours: dict[str, int] = {}
    exec(SESSION_KEYRING, ours)  # noqa: S102  # the same code as in the instance
    output = run(network, f"python3 - <<'END'\n{SESSION_KEYRING}\nprint('keyring', number)\nEND")
    theirs = int(output.partition("keyring")[2].split()[0])
    assert theirs == -1 or theirs != ours["number"]


CLOSED = """
import ctypes, errno, os, platform, socket
libc, column = ctypes.CDLL(None, use_errno=True), platform.machine() == "aarch64"
def closed(name, *numbers):
    if libc.syscall(numbers[column], 1, 1, 1, 1, 1) != -1 or ctypes.get_errno() != errno.EPERM:
        print("OPEN", name, ctypes.get_errno())
closed("keyctl", 250, 219)
closed("add_key", 248, 217)
closed("request_key", 249, 218)
closed("ptrace", 101, 117)
closed("memfd_create", 319, 279)
closed("process_vm_readv", 310, 270)
for family in (38, 40):
    try:
        socket.socket(family, socket.SOCK_STREAM)
        print("OPEN family", family)
    except PermissionError:
        pass
DELETE = bytes.fromhex("2000000011000500010000000000000000000000") + (2).to_bytes(4, "little") + bytes(8)
netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
netlink.send(DELETE)
print("netlink", -int.from_bytes(netlink.recv(99)[16:20], "little", signed=True))
socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
print("ASKED")
"""


def test_system_calls_that_go_by_the_users_number_are_closed(network: PlannedNetwork) -> None:
    """The user's keys and processes, memory of no process, the network's own settings: refused to an instance."""
    output = run(network, f"python3 - <<'END'\n{CLOSED}\nEND")
    assert "ASKED" in output
    assert "OPEN" not in output
    assert int(output.partition("netlink")[2].split()[0]) == errno.EPERM


def test_a_disk_has_only_so_many_files(network: PlannedNetwork) -> None:
    """Empty files take memory of the machine too: an instance gets an error before it has a hundred thousand."""
    script = "mkdir /srv/many; cd /srv/many; for n in $(seq 100); do seq -f $n-%g 1000 | xargs touch || break; done"
    output = run(network, f"({script}) 2>&1 | tail -1; ls | wc -l")
    assert "No space left" in output


def test_a_full_disk_harms_no_other_instance(network: PlannedNetwork) -> None:
    """An instance that fills its disk gets an error, and the next instance boots and writes."""
    output = run(network, "head -c 1G /dev/zero > /srv/full || echo FULL")
    assert "FULL" in output
    assert "WRITTEN" in run(network, "head -c 1M /dev/zero > /srv/file && echo WRITTEN")


THREADS = "import threading, time; [threading.Thread(target=time.sleep, args=[60]).start() for _ in range(1300)]"
MEMORY = "import time; b = bytes(200 << 20).replace(bytes(1), b'x'); time.sleep(60)"
BLIND = "import resource; resource.prlimit(1, resource.RLIMIT_NOFILE, (3, 3))"
MANY = "for _ in $(seq 300); do sleep 60 & done; sleep 60"
GREEDY = {  # what user data does, and what the console says
    "processes": (MANY, "more than 128 processes"),
    # It takes a breath: the kernel does not bound root's processes, and a whole bomb stops other tests beside it.
    "a fork bomb": ("bomb() { sleep 0.05; bomb | bomb & }; bomb; sleep 60", "more than 128 processes"),
    "threads": (f'python3 -c "{THREADS}"', "more than 1200 threads"),
    # What it does to its own first process does not reach what watches it.
    "a blinded guard": (
        f"python3 -c '{BLIND}'; for _ in $(seq 300); do sleep 60 & done; wait",
        "more than 128 processes",
    ),
    "memory": (f'for _ in 1 2 3; do python3 -c "{MEMORY}" & done; wait', "more than 512 MiB of memory"),
}
ALIVE = "while sleep 0.2; do /bin/true && echo alive; done > /dev/console"


@pytest.mark.parametrize("greed", GREEDY)
def test_a_greedy_instance_is_ended_and_harms_no_other(network: PlannedNetwork, greed: str) -> None:
    """A fork bomb or a memory filler ends its own instance, says so, and the others and the user go on."""
    script, reason = GREEDY[greed]
    other = network.add_instance(PROVIDER, "10.0.0.11", bash(ALIVE))
    network.apply()
    network.wait_for_output(other, "alive")
    greedy = network.add_instance(PROVIDER, "10.0.0.10", bash(script))
    network.apply()
    network.wait_for_output(greedy, f"the instance is ended: {reason}")
    assert until(network.agent.take_ended, "the end") == [InstanceEnded(greedy, 1, "crash")]
    before = network.agent.console(other).count(b"alive")
    until(lambda: network.agent.console(other).count(b"alive") > before + 2, "the other instance")
    subprocess.run([sys.executable, "-c", ""], check=True)


def test_no_setuid_program_and_no_program_of_the_user(network: PlannedNetwork) -> None:
    """Programs get no more rights by being setuid; what the user has installed and the kernel's options are hidden."""
    output = run(network, "grep NoNewPrivs /proc/self/status; ls /usr/local | wc -l; wc -c < /proc/cmdline; ulimit -c")
    words = output.split()
    assert words[:2] == ["NoNewPrivs:", "1"]
    has_python = os.path.realpath(sys.base_prefix).startswith("/usr/local")
    assert words[2:5] == ["0", "0", "0"] or has_python


def test_scripts_that_cannot_be_prepared_are_logged(network: PlannedNetwork) -> None:
    """The folder of the per-boot scripts is not a folder: the next boot logs what is wrong."""
    name = network.add_instance(
        PROVIDER, "10.0.0.10", bash("cd /var/lib/cloud/scripts; rmdir per-boot; touch per-boot; echo ok > /dev/console")
    )
    network.apply()
    network.wait_for_output(name, "ok")
    network.instances[name] = replace(network.instances[name], boot=2)
    network.apply()
    network.wait_for_output(name, "the scripts could not be prepared: File exists")


def test_nothing_outside_its_vpc_answers(network: PlannedNetwork) -> None:
    """The host's loopback and the internet are not reachable; another network does not answer, without an error."""
    output = run(
        network,
        f"""
        python3 - <<'END'
import socket
for address in (("127.0.0.1", 22), ("10.9.9.9", 80), ("192.0.2.1", 80)):
    try:
        socket.create_connection(address, {SILENCE})
        print("ANSWER")
    except OSError as error:
        print(type(error).__name__)
END
        """,
    )
    assert output.split()[:3] == ["ConnectionRefusedError", "TimeoutError", "TimeoutError"]


def test_disks_survive_a_stop_and_per_boot_scripts_run_at_every_start(network: PlannedNetwork) -> None:
    """User data runs once; the scripts in per-boot run at every later boot, on the same disk, with an empty /tmp."""
    script = bash(
        """
        mkdir -p /var/lib/cloud/scripts/per-boot
        echo kept > /srv/file; echo lost > /tmp/file
        cd /var/lib/cloud/scripts/per-boot
        echo '#!/bin/sh' > a
        echo 'echo boot with $(cat /srv/file) $(ls /tmp | wc -l) >/dev/console' >> a
        chmod 755 a
        echo first > /dev/console
        """
    )
    name = network.add_instance(PROVIDER, "10.0.0.10", script)
    network.apply()
    network.wait_for_output(name, "first")

    def matches(wanted: tuple[int, bool]) -> bool:
        return (network.console(name).count("boot with kept 0"), bool(network.agent.pid_namespace(name))) == wanted

    for boot, wanted in ((2, (1, True)), (0, (1, False)), (3, (2, True))):
        network.instances[name] = replace(network.instances[name], boot=boot)
        network.apply()
        until(functools.partial(matches, wanted), "boot or stop")
    assert network.console(name).count("first") == 1
    del network.instances[name]
    network.apply()
    until(lambda: network.agent.pid_namespace(name) is None, "end")


@pytest.mark.parametrize(
    ("command", "how"), [("shutdown -h now", "power-off"), ("poweroff", "power-off"), ("reboot", "restart")]
)
def test_an_instance_can_shut_down_and_reboot(network: PlannedNetwork, command: str, how: str) -> None:
    """`shutdown` and `reboot` work without systemd, and the agent reports which of them ended the instance."""
    name = network.add_instance(PROVIDER, "10.0.0.10", bash(f"{command}\n"))
    network.agent.take_ended()
    network.apply()
    assert until(network.agent.take_ended, "end") == [InstanceEnded(name, 1, how)]


def test_all_processes_end_with_their_instance(network: PlannedNetwork) -> None:
    """Daemons that have left their parents end with the instance."""
    script = bash("setsid sleep 1000 & setsid nohup sh -c 'sleep 1000' >/dev/null & echo started >/dev/console")
    name = network.add_instance(PROVIDER, "10.0.0.10", script)
    network.apply()
    network.wait_for_output(name, "started")
    number = network.agent.pid_namespace(name)
    assert number in pid_namespaces()
    del network.instances[name]
    network.apply()
    until(lambda: number not in pid_namespaces(), "end of all processes")


def pid_namespaces() -> set[int]:
    """The PID namespaces of all processes that this one may read."""
    found = set()
    for path in Path("/proc").iterdir():
        try:
            found.add((path / "ns" / "pid").stat().st_ino)
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("#cloud-config\n", "the user data is no script"),
        ("#!/no/such/shell\n", "could not be run"),
        ("#!/bin/bash\nexit 3\n", "ended with exit code 3"),
    ],
)
def test_user_data_that_fails_is_logged_on_the_console(network: PlannedNetwork, script: str, words: str) -> None:
    """The console says why a script cannot run, or with which exit code it failed."""
    import base64

    name = network.add_instance(PROVIDER, "10.0.0.10", base64.b64encode(script.encode()).decode())
    network.apply()
    network.wait_for_output(name, words)


def test_endless_output_does_not_slow_other_instances(network: PlannedNetwork) -> None:
    """The console keeps the last 64 KiB, and an instance that writes without end slows no other one."""
    loud = network.add_instance(PROVIDER, "10.0.0.10", bash("yes loud > /dev/console &"))
    network.apply()
    network.wait_for_output(loud, "loud")
    quiet = network.add_instance(PROVIDER, "10.0.0.11", bash("echo quiet > /dev/console"))
    network.apply()
    network.wait_for_output(quiet, "quiet")
    until(lambda: len(network.agent.console(loud)) == 65536, "full console")
