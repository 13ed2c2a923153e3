"""Instances: what they see of this system, what outlives what, and how they end."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.patience import until
from support.planned_network import PROVIDER, SILENCE, Scene, bash

from privatelink_lab.local.network.agent_client import Ended


def run(scene: Scene, text: str) -> str:
    """What a machine says whose user data is this script."""
    name = scene.add(PROVIDER, "10.0.0.10", bash(f"exec >/dev/console 2>&1\n{text}\necho THE END\n"))
    scene.show()
    return scene.says(name, "THE END")


def test_it_is_root_of_nothing_but_itself(scene: Scene) -> None:
    """User data is root, alone with its processes, and can change nothing of the system around it."""
    said = run(
        scene,
        """
        id -u; hostname; ls /proc | grep -c '^[0-9]'
        for each in /usr/plab-was-here /bin/plab-was-here /etc/hosts /proc/sys/kernel/core_pattern /proc/1/comm; do
          echo x 2>/dev/null >>$each && echo "WROTE $each"
        done
        umount /usr 2>/dev/null && echo UNMOUNTED
        mount -o remount,rw /usr 2>/dev/null && echo REMOUNTED
        mount -t tmpfs none /srv 2>/dev/null && echo MOUNTED
        unshare --user --map-root-user true 2>/dev/null && echo NESTED
        """,
    )
    assert said.split()[:2] == ["0", "ip-10-0-0-10"]
    assert int(said.split()[2]) < 8
    assert not {"WROTE", "UNMOUNTED", "REMOUNTED", "MOUNTED", "NESTED"} & set(said.split())
    assert not Path("/usr/plab-was-here").exists()


def test_it_sees_no_file_and_no_word_of_the_user(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Homes, scratch folders, secrets of /etc and the environment of the host are not there: its output can be read."""
    (tmp_path / "secret").write_text("s")
    python = os.path.realpath(sys.base_prefix)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cr3t")
    said = run(
        scene,
        f"""
        find /home /root /tmp /srv /run /opt -type f | grep -v -e ^/run/plab/ -e ^{python} && echo SEEN
        ls -d {tmp_path} {Path(__file__).parent} /sys/class 2>/dev/null && echo SEEN
        ls -d /etc/shadow /etc/ssh /etc/ssl/private 2>/dev/null && echo SEEN
        env | sort
        """,
    )
    assert "SEEN" not in said
    assert "s3cr3t" not in said
    names = {line.partition("=")[0] for line in said.splitlines() if "=" in line}
    assert names <= {"LANG", "PATH", "PWD", "SHLVL", "_", "OLDPWD"}


SESSION_KEYRING = """
import ctypes, platform
KEYCTL, GET_KEYRING_ID, SESSION = 250 if platform.machine() == "x86_64" else 219, 0, -3
number = ctypes.CDLL(None).syscall(KEYCTL, GET_KEYRING_ID, SESSION, 1)
"""


def test_it_does_not_see_the_keys_of_the_users_session(scene: Scene) -> None:
    """Tickets and passphrases lie in the session's keyring: an instance has one of its own."""
    ours: dict[str, int] = {}
    exec(SESSION_KEYRING, ours)  # noqa: S102  # the same words here and there
    said = run(scene, f"python3 - <<'END'\n{SESSION_KEYRING}\nprint('keyring', number)\nEND")
    theirs = int(said.partition("keyring")[2].split()[0])
    assert theirs == -1 or theirs != ours["number"]


def test_a_full_disk_is_its_own_matter(scene: Scene) -> None:
    """Who fills his disk is told so, and the next machine boots and writes."""
    said = run(scene, "head -c 1G /dev/zero > /srv/full || echo FULL")
    assert "FULL" in said
    assert "WRITTEN" in run(scene, "head -c 1M /dev/zero > /srv/file && echo WRITTEN")


def test_scripts_that_cannot_be_prepared_are_said(scene: Scene) -> None:
    """The folder of the per-boot scripts was put out of the way: the next boot says what is wrong."""
    name = scene.add(
        PROVIDER, "10.0.0.10", bash("cd /var/lib/cloud/scripts; rmdir per-boot; touch per-boot; echo ok > /dev/console")
    )
    scene.show()
    scene.says(name, "ok")
    scene.machines[name] = replace(scene.machines[name], boot=2)
    scene.show()
    scene.says(name, "the scripts could not be prepared: File exists")


def test_nothing_outside_its_vpc_answers(scene: Scene) -> None:
    """The host's loopback and the internet are not there; a foreign address is silence, not an error."""
    said = run(
        scene,
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
    assert said.split()[:3] == ["ConnectionRefusedError", "TimeoutError", "TimeoutError"]


def test_disks_outlive_a_stop_and_per_boot_scripts_run_at_each_start(scene: Scene) -> None:
    """User data runs once; what lies in per-boot runs at every later boot, on the same disk, with a fresh /tmp."""
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
    name = scene.add(PROVIDER, "10.0.0.10", script)
    scene.show()
    scene.says(name, "first")

    def is_as(wanted: tuple[int, bool]) -> bool:
        return (scene.said(name).count("boot with kept 0"), bool(scene.traffic.pid_namespace(name))) == wanted

    for boot, wanted in ((2, (1, True)), (0, (1, False)), (3, (2, True))):
        scene.machines[name] = replace(scene.machines[name], boot=boot)
        scene.show()
        until(functools.partial(is_as, wanted), "boot or stop")
    assert scene.said(name).count("first") == 1
    del scene.machines[name]
    scene.show()
    until(lambda: scene.traffic.pid_namespace(name) is None, "end")


@pytest.mark.parametrize(
    ("command", "how"), [("shutdown -h now", "power-off"), ("poweroff", "power-off"), ("reboot", "restart")]
)
def test_it_can_end_itself(scene: Scene, command: str, how: str) -> None:
    """`shutdown` and `reboot` work without systemd, and say which of them it was."""
    name = scene.add(PROVIDER, "10.0.0.10", bash(f"{command}\n"))
    scene.traffic.ended()
    scene.show()
    assert until(scene.traffic.ended, "end") == [Ended(name, 1, how)]


def test_its_end_takes_every_process_along(scene: Scene) -> None:
    """Daemons that left their parents end with the machine."""
    script = bash("setsid sleep 1000 & setsid nohup sh -c 'sleep 1000' >/dev/null & echo started >/dev/console")
    name = scene.add(PROVIDER, "10.0.0.10", script)
    scene.show()
    scene.says(name, "started")
    number = scene.traffic.pid_namespace(name)
    assert number in namespaces()
    del scene.machines[name]
    scene.show()
    until(lambda: number not in namespaces(), "end of all")


def namespaces() -> set[int]:
    """The PID namespaces of all processes that may be looked at."""
    found = set()
    for each in Path("/proc").iterdir():
        try:
            found.add((each / "ns" / "pid").stat().st_ino)
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
def test_user_data_that_fails_says_so_on_the_console(scene: Scene, script: str, words: str) -> None:
    """A script that cannot run, or fails, is no mystery."""
    import base64

    name = scene.add(PROVIDER, "10.0.0.10", base64.b64encode(script.encode()).decode())
    scene.show()
    scene.says(name, words)


def test_a_talkative_script_does_not_stop_the_others(scene: Scene) -> None:
    """The console keeps the last 64 KiB, and who writes without end slows nobody but himself."""
    loud = scene.add(PROVIDER, "10.0.0.10", bash("yes loud > /dev/console &"))
    scene.show()
    scene.says(loud, "loud")
    quiet = scene.add(PROVIDER, "10.0.0.11", bash("echo quiet > /dev/console"))
    scene.show()
    scene.says(quiet, "quiet")
    until(lambda: len(scene.traffic.console(loud)) == 65536, "full console")
