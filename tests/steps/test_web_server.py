"""The web server: the image for its type, and a first-boot script that really serves the page."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.timeouts import PATIENCE, until

from privatelink_lab.config.provider import LONGEST_MESSAGE, WebServer
from privatelink_lab.steps._instance import architecture
from privatelink_lab.steps.web_server import page, user_data

MOST_USER_DATA = 16_384  # bytes before base64 (RunInstances)
DEFAULT = WebServer().message
AWKWARD = {
    "default": DEFAULT,
    "quotes": """it's "quoted" and 'quoted'""",
    "commands": "$(touch /tmp/pwned) `id` ${HOME} $PATH !! \\",
    "lines": "first\nsecond\r\nEND\n'END'\n\n",
    "braces": "{port} {{message}} {0} %s %(x)s",
    "chinese": "你好 世界",
    "emoji": "🚀👩‍👩‍👧 é",
    "control": "\0\x01\x1b[31m\x7f",
    "html": "<!doctype html><script>alert(1)</script>&amp;",
    "long": "x" * LONGEST_MESSAGE,
}
awkward = pytest.mark.parametrize("message", AWKWARD.values(), ids=AWKWARD.keys())


@pytest.mark.parametrize(
    ("instance_type", "expected"),
    [
        ("t2.micro", "x86_64"),
        ("t3.micro", "x86_64"),
        ("t3a.small", "x86_64"),
        ("t4g.nano", "arm64"),
        ("m7g.large", "arm64"),
        ("m7gd.large", "arm64"),
        ("m7i-flex.large", "x86_64"),
        ("m8g.medium", "arm64"),
        ("c7gn.xlarge", "arm64"),
        ("c6in.large", "x86_64"),
        ("r8gd.large", "arm64"),
        ("x2gd.medium", "arm64"),
        ("x2iedn.xlarge", "x86_64"),
        ("a1.medium", "arm64"),
        ("g4dn.xlarge", "x86_64"),
        ("g4ad.xlarge", "x86_64"),
        ("g5.xlarge", "x86_64"),
        ("g5g.xlarge", "arm64"),
        ("g6.xlarge", "x86_64"),
        ("gr6.4xlarge", "x86_64"),
        ("i4i.large", "x86_64"),
        ("i4g.large", "arm64"),
        ("im4gn.large", "arm64"),
        ("is4gen.medium", "arm64"),
        ("hpc7g.4xlarge", "arm64"),
        ("hpc7a.12xlarge", "x86_64"),
        ("u-6tb1.metal", "x86_64"),
    ],
)
def test_the_image_fits_the_instance_type(instance_type: str, expected: str) -> None:
    """RunInstances refuses an image of the other architecture; Graviton types get an arm64 image."""
    assert architecture(instance_type) == expected


@awkward
def test_the_script_is_bash_and_holds_the_message_as_base64_only(message: str) -> None:
    """Nothing that a user writes into the config is ever a command on the instance; the bytes arrive as they are."""
    script = user_data(message, 8080)
    subprocess.run(["bash", "-n"], input=script.encode(), check=True)  # noqa: S607
    encoded = next(line for line in script.splitlines() if "base64 -d" in line).split()[1]
    assert script.replace(encoded, "Cg==") == user_data("", 8080)
    assert base64.b64decode(encoded, validate=True) == page(message)


@pytest.mark.parametrize("letter", ["x", "é", "好", "😀"])
def test_the_longest_message_fits_into_user_data(letter: str) -> None:
    """EC2 takes 16 KiB of user data: the longest message that the config allows stays below it."""
    message = letter * (LONGEST_MESSAGE // len(letter.encode()))
    assert WebServer(message=message).message == message
    assert len(user_data(message, 65535).encode()) < MOST_USER_DATA


@dataclass
class Machine:
    """A root directory under tmp_path, and the processes that its boots left behind."""

    root: Path
    port: int
    groups: list[int]

    def boot(self, script: Path) -> None:
        """Run a script as cloud-init would, and wait until it returns."""
        with subprocess.Popen(["bash", str(script)], start_new_session=True) as process:  # noqa: S607
            self.groups.append(process.pid)
            assert process.wait(PATIENCE) == 0

    def page(self, path: str = "/") -> bytes:
        """What the web server answers, once it does; raises HTTPError for what it refuses."""
        return bytes(until(lambda: self._ask(path), "web server"))

    def _ask(self, path: str) -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=PATIENCE) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError:
            raise
        except OSError:
            return b""

    def shut_down(self) -> None:
        """End what the boots started, by their own process groups."""
        for group in self.groups:
            try:
                os.killpg(group, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.groups.clear()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine that is off again after the test."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for folder in ("dev", "var/log"):
        (tmp_path / folder).mkdir(parents=True)
    it = Machine(tmp_path, port, [])
    yield it
    it.shut_down()


def first_boot(machine: Machine, message: str) -> Path:
    """The user data as a file, with every absolute path moved below the machine's root, and on loopback only."""
    script = user_data(message, machine.port)
    for path in ("/srv/plab", "/var/lib/cloud", "/var/log", "/dev/console"):
        assert path in script
        script = script.replace(path, f"{machine.root}{path}")
    script = script.replace("http.server ", "http.server --bind 127.0.0.1 ")
    file = machine.root / "user-data"
    file.write_text(script, encoding="utf-8")
    return file


PER_BOOT = "var/lib/cloud/scripts/per-boot/plab-web-server"


@pytest.mark.parametrize("name", ["default", "commands", "lines", "emoji"])
def test_the_first_boot_serves_the_message(machine: Machine, name: str) -> None:
    """A client reads exactly the bytes of the config; the console says that the server was started."""
    machine.boot(first_boot(machine, AWKWARD[name]))
    assert machine.page() == page(AWKWARD[name])
    assert (machine.root / "dev/console").read_text() == "PLAB-WEB-SERVER-STARTED\n"
    assert machine.page("/index.html") == page(AWKWARD[name])


def test_nothing_but_the_page_is_served(machine: Machine) -> None:
    """The server has a folder of its own: no other file of the instance can be read over HTTP."""
    machine.boot(first_boot(machine, DEFAULT))
    machine.page()
    for path in ("/user-data", "/../user-data", "/%2e%2e/%2e%2e/user-data", "/etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            machine.page(path)
        assert caught.value.code == 404
        caught.value.close()


def test_a_server_that_dies_is_started_again(machine: Machine) -> None:
    """After the web server was killed the page comes back by itself."""
    machine.boot(first_boot(machine, DEFAULT))
    machine.page()
    [child] = children_of(machine.groups[0])
    os.kill(child, signal.SIGKILL)
    assert machine.page() == page(DEFAULT)


def children_of(group: int) -> list[int]:
    """The python processes of a process group."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "stat").read_text().rpartition(")")
            name, fields = words[0].partition("(")[2], words[2].split()
        except (OSError, IndexError):
            continue
        if folder.name.isdigit() and int(fields[2]) == group and name.startswith("python"):
            found.append(int(folder.name))
    return found


def test_a_reboot_serves_again(machine: Machine) -> None:
    """User data runs once; after a reboot cloud-init's per-boot script alone brings the page back."""
    machine.boot(first_boot(machine, DEFAULT))
    machine.page()
    machine.shut_down()
    machine.boot(machine.root / PER_BOOT)
    assert machine.page() == page(DEFAULT)
    assert (machine.root / PER_BOOT).stat().st_mode & 0o111
