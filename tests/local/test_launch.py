"""The server as a process of its own, as `plab local` starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from support.timeouts import PATIENCE

from privatelink_lab.errors import PlabError
from privatelink_lab.local import control_client, launch
from privatelink_lab.local.control_client import LocalServer, ServerOptions
from privatelink_lab.local.process_identity import ProcessIdentity
from privatelink_lab.local.running_servers import running_servers
from privatelink_lab.local.server.__main__ import ServerFile, log_line


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A `.plab` folder, whose server ends with the test."""
    path = tmp_path / ".plab"
    yield path
    if path.exists():
        launch.stop(path)


def pretend(folder: Path, **changes: Any) -> LocalServer:
    """Write the file of a server; its process has ended, unless `changes` say another one."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server: dict[str, Any] = {
        "url": f"http://127.0.0.1:{port}",
        "pid": os.getpid(),
        "started": 0,
        "pid_namespace": ProcessIdentity.own().pid_namespace,
        "token": "t",
        "access_key_id": "AKIA0123456789ABCDEF",
        "secret_access_key": "it's",
        "speed": 20.0,
        "slow": False,
        "by_up": False,
        "folder": str(folder.parent),
    } | changes
    folder.mkdir(exist_ok=True)
    path = control_client.server_path(folder)
    path.touch(mode=0o600)
    path.write_text(json.dumps(server))
    return LocalServer(**server)


def test_start_find_use_and_stop(folder: Path) -> None:
    """It starts once, outlives Ctrl-C, serves AWS calls, counts resources, and leaves no file."""
    server, new = launch.start(folder, ServerOptions(20))
    assert (new, launch.start(folder, ServerOptions(5))) == (True, (server, False))
    assert control_client.running(folder) == server
    assert stat.S_IMODE(control_client.server_path(folder).stat().st_mode) == 0o600
    os.kill(server.pid, signal.SIGINT)
    ec2 = boto3.client(
        "ec2",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key_id,
        aws_secret_access_key=server.secret_access_key,
    )
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    ec2.close()
    assert control_client.about(server)["resources"] == 1
    assert "ec2 CreateVpc 200" in control_client.log_path(folder).read_text()
    assert server.secret_access_key not in repr(server) + control_client.log_path(folder).read_text()
    assert launch.stop(folder) == server
    assert control_client.running(folder) is None
    assert launch.stop(folder) is None
    assert not control_client.server_path(folder).exists()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
    with pytest.raises(PlabError, match="does not answer"):
        control_client.about(server)


def test_two_starts_end_with_one_server(folder: Path) -> None:
    """The second waits for the first and finds its server."""
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: launch.start(folder, ServerOptions(20)), range(2)))
    assert results[0][0] == results[1][0]
    assert sorted(new for _, new in results) == [False, True]


def test_a_killed_server_is_replaced(folder: Path) -> None:
    """Its file is left, and says that its process has ended: the next start makes a new server."""
    first, _ = launch.start(folder, ServerOptions(20))
    os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert control_client.server_path(folder).exists()
    assert control_client.running(folder) is None
    assert not control_client.may_run(folder)
    second, new = launch.start(folder, ServerOptions(20))
    assert new
    assert second.token != first.token


def test_another_server_on_that_port_is_not_ours(folder: Path) -> None:
    """A server of this number has ended, and another one has its port: it gets no signal, and the file stays."""
    real, _ = launch.start(folder, ServerOptions(20))
    other = folder.parent / "other"
    pretend(other, url=real.url, access_key_id=real.access_key_id, pid=real.pid)
    assert control_client.running(other) is None
    assert launch.stop(other) is None
    assert control_client.server_path(other).exists()
    assert control_client.running(folder) == real


@pytest.fixture
def sleeper() -> Iterator[ProcessIdentity]:
    """A process that runs and answers nothing."""
    with subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({PATIENCE})"]) as process:
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        yield ProcessIdentity(process.pid, int(fields[19]), ProcessIdentity.own().pid_namespace)
        process.kill()


def test_a_server_that_cannot_be_reached_is_not_dead(folder: Path, sleeper: ProcessIdentity) -> None:
    """Nothing answers at its port, as from another network namespace, and its process runs: file and lab stay."""
    server = pretend(folder, **asdict(sleeper))
    with pytest.raises(PlabError, match="does not answer") as caught:
        control_client.running(folder)
    assert "plab local stop" in caught.value.hint
    with pytest.raises(PlabError, match="does not answer"):
        launch.start(folder, ServerOptions(20))
    assert control_client.read(folder) == server
    assert launch.stop(folder) == server
    assert sleeper.has_ended()


def test_a_server_of_another_container_is_left_alone(folder: Path, sleeper: ProcessIdentity) -> None:
    """Its number means another process here: plab says where to go, and sends no signal."""
    pretend(folder, **asdict(sleeper) | {"pid_namespace": 1})
    for command in (control_client.running, launch.stop):
        with pytest.raises(PlabError, match="does not answer") as caught:
            command(folder)
        assert "another container or namespace: run plab there." in caught.value.hint
        assert f"rm {control_client.server_path(folder)}" in caught.value.hint
    assert not sleeper.has_ended()
    control_client.server_path(folder).unlink()


def servers_of(folder: Path) -> list[int]:
    """The processes that serve a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if "privatelink_lab.local.server" in words and str(folder) in words:
                found.append(int(process.name))
    return found


@pytest.mark.parametrize("pause", [0.0, 0.2, 0.8])
def test_a_start_that_is_killed_and_repeated_leads_to_one_server(folder: Path, pause: float) -> None:
    """The start is killed before the server is ready, and the next one begins at once: both mean the same server."""
    code = "import sys; from pathlib import Path; from privatelink_lab.local import control_client, launch;"
    code += "launch.start(Path(sys.argv[1]), control_client.ServerOptions(20))"
    with subprocess.Popen([sys.executable, "-c", code, str(folder)]) as first:
        assert launch._wait(lambda: bool(servers_of(folder)), PATIENCE)
        time.sleep(pause)
        first.kill()
    server, _ = launch.start(folder, ServerOptions(20))
    assert servers_of(folder) == [server.pid]


@pytest.mark.parametrize("mode", [0o644, 0o620, 0o660])
def test_a_file_that_others_can_touch_is_refused(folder: Path, mode: int) -> None:
    """A user who can write the file could send our calls anywhere."""
    pretend(folder)
    control_client.server_path(folder).chmod(mode)
    with pytest.raises(PlabError, match="other users can read or write it") as caught:
        control_client.running(folder)
    assert caught.value.hint
    control_client.server_path(folder).unlink()


def test_a_file_of_another_user_is_not_ours_to_remove(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hint says to work in a folder of one's own."""
    pretend(folder)
    monkeypatch.setattr("privatelink_lab.local.control_client.os.getuid", lambda: 4711)
    with pytest.raises(PlabError, match="belongs to another user") as caught:
        control_client.running(folder)
    assert caught.value.hint == "Work in a folder of your own."
    monkeypatch.undo()
    control_client.server_path(folder).unlink()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"url": 1}'])
def test_a_damaged_file_is_named(folder: Path, text: str) -> None:
    """The error has the file and a hint, and the file stays."""
    pretend(folder)
    control_client.server_path(folder).write_text(text)
    with pytest.raises(PlabError, match="damaged"):
        control_client.running(folder)
    control_client.server_path(folder).unlink()


def test_a_link_is_not_followed(folder: Path) -> None:
    """The link could lead to another user's file."""
    pretend(folder)
    real = control_client.server_path(folder).rename(folder / "real")
    control_client.server_path(folder).symlink_to(real)
    with pytest.raises(PlabError, match="cannot be read"):
        control_client.running(folder)
    control_client.server_path(folder).unlink()


def test_a_start_that_fails_says_why(folder: Path) -> None:
    """The end of the log is in the error."""
    with pytest.raises(PlabError, match=r"could not convert|invalid float") as caught:
        launch.start(folder, ServerOptions("fast"))  # type: ignore[arg-type]  # to make the process fail
    assert str(control_client.log_path(folder)) in caught.value.hint


def test_exports_are_shell_lines(folder: Path) -> None:
    """A shell reads the values back, quotes included."""
    server = pretend(folder)
    script = f'{server.exports()}\necho "$AWS_ENDPOINT_URL $AWS_SECRET_ACCESS_KEY"'
    completed = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert completed.stdout.split() == [server.url, "it's"]


def test_a_server_whose_file_is_gone_writes_it_again(folder: Path) -> None:
    """A cleaned folder loses no lab; a removed folder ends the server, also if there is a new one of that name."""
    server, _ = launch.start(folder, ServerOptions(20))
    control_client.server_path(folder).unlink()
    assert launch._wait(lambda: control_client.read(folder) is not None, PATIENCE)
    assert control_client.running(folder) == server
    shutil.rmtree(folder)
    folder.mkdir()
    assert launch._wait(server.has_ended, PATIENCE)
    assert list(folder.iterdir()) == []


def test_the_server_whose_folder_has_another_ends(folder: Path) -> None:
    """Its file has another server's token: it ends, and leaves that file alone."""
    server, _ = launch.start(folder, ServerOptions(20))
    other = pretend(folder, token="other")
    assert launch._wait(server.has_ended, PATIENCE)
    assert control_client.read(folder) == other


def test_a_log_that_cannot_be_written_stops_no_answer(folder: Path) -> None:
    """The disk is full: the server says nothing more in its log, and goes on."""
    folder.mkdir()
    command = [sys.executable, "-m", "privatelink_lab.local.server", str(folder), "--speed", "0"]
    with Path("/dev/full").open("wb") as full, subprocess.Popen(command, stdout=full) as process:
        assert launch._wait(lambda: control_client.read(folder) is not None, PATIENCE)
        server = control_client.running(folder)
        assert server is not None
        assert control_client.about(server)["resources"] == 0
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_log_that_is_too_large_begins_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The old one is kept once, under another name; nothing is lost in between."""
    code = (
        "import sys; from pathlib import Path; from privatelink_lab.local.server import __main__ as server;"
        "server.MAX_LOG = 1000; log = server.Log(Path(sys.argv[1])); [log.line(f'line {n}') for n in range(300)]"
    )
    path = folder.parent / "local.log"
    with path.open("ab") as log:
        subprocess.run([sys.executable, "-c", code, str(path)], stdout=log, check=True)
    kept = path.with_suffix(".log.1").read_text().splitlines() + path.read_text().splitlines()
    assert kept == [f"line {number}" for number in range(300 - len(kept), 300)]
    assert path.stat().st_size <= 1100


def test_all_servers_of_a_user_are_found(folder: Path) -> None:
    """Two servers in two folders: both are listed with their labs, and each can be ended by what is listed."""
    other = folder.parent / "other" / ".plab"
    servers = [launch.start(place, ServerOptions(20))[0] for place in (folder, other)]
    (folder / "shop.json").write_text("{}")
    (folder / "shop.last.json").write_text("{}")
    mine = [server for server in running_servers() if server.folder in {folder, other}]
    assert [(server.folder, server.url, server.labs) for server in mine] == [
        (folder, servers[0].url, ("shop",)),
        (other, servers[1].url, ()),
    ]
    assert all(server.memory > 20 << 20 for server in mine)
    began = [datetime.fromisoformat(server.since).timestamp() for server in mine]
    assert all(abs(time.time() - moment) < PATIENCE for moment in began)
    for server in mine:
        launch.end(server.identity)
    assert not [server for server in running_servers() if server.folder in {folder, other}]


def test_a_start_that_is_interrupted_leaves_no_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the server loads: its process is gone."""
    real = launch._is_ready

    def interrupt(*_: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "_is_ready", interrupt)
    with pytest.raises(KeyboardInterrupt):
        launch.start(folder, ServerOptions(20))
    monkeypatch.setattr(launch, "_is_ready", real)
    assert servers_of(folder) == []


def test_the_launcher_does_not_load_moto() -> None:
    """A command must not wait two seconds for moto."""
    code = "import sys, privatelink_lab.local.launch; print('moto' in sys.modules)"
    completed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert completed.stdout.strip() == "False"


def test_a_line_of_the_log_is_written_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests at the same time leave two whole lines."""
    written: list[str] = []
    monkeypatch.setattr(sys.stdout, "write", written.append)
    log_line("one")
    assert [line for line in written if line] == ["one\n"]


# What others can plant.


def plant_pipe(path: Path) -> None:
    """A pipe, which would never end."""
    os.mkfifo(path, 0o600)


def plant_huge(path: Path) -> None:
    """A file of gigabytes that takes no room."""
    path.touch(0o600)
    os.truncate(path, 3 << 30)


def plant_open(path: Path) -> None:
    """A file that others can read."""
    path.write_text("{}")
    path.chmod(0o644)


def plant_link(path: Path) -> None:
    """A link to a file elsewhere."""
    path.symlink_to("/etc/hostname")


def plant_deep(path: Path) -> None:
    """JSON that no parser can go down."""
    path.write_text("[" * 200_000)
    path.chmod(0o600)


PLANTED = [plant_pipe, plant_huge, plant_open, plant_link, plant_deep]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_server_file_stops_nothing(folder: Path, plant: Callable[[Path], None]) -> None:
    """A command says at once what is wrong with `local.json`, and reads nothing that it cannot trust."""
    folder.mkdir(mode=0o700)
    plant(control_client.server_path(folder))
    with pytest.raises(PlabError, match=r"cannot be read|other users can read|is damaged"):
        control_client.running(folder)
    control_client.server_path(folder).unlink()


@pytest.mark.parametrize("plant", PLANTED)
def test_a_server_yields_to_no_planted_file(folder: Path, plant: Callable[[Path], None]) -> None:
    """Whatever stands in place of its file: the server goes on, and writes its own again."""
    folder.mkdir(mode=0o700)
    path, data = control_client.server_path(folder), asdict(pretend(folder)) | {"token": "mine"}
    path.unlink()
    server = ServerFile(folder, data)
    plant(path)
    assert server.is_kept()
    assert json.loads(path.read_text())["token"] == "mine"
    server.remove()


def test_a_folder_that_others_can_write_gets_no_keys(folder: Path) -> None:
    """`.plab` with mode 777: no server is started there."""
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PlabError, match="can be written by other users"):
        launch.start(folder, ServerOptions())
    assert list(folder.iterdir()) == []
    folder.chmod(0o700)


def test_the_port_of_a_dead_server_is_not_asked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be another user's by now: no byte goes there, and nothing is read from there."""
    pretend(folder, started=1)
    monkeypatch.setattr(control_client, "_send", lambda *_: pytest.fail("it was asked"))
    assert control_client.running(folder) is None


def trickle(there: socket.socket) -> None:
    """A byte now and then, for ever."""
    there.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        there.sendall(b"A")
        time.sleep(0.1)


def flood(there: socket.socket) -> None:
    """Bytes without end."""
    there.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        there.sendall(b"A" * 100_000)


@pytest.mark.parametrize("answer", [trickle, flood])
def test_an_answer_without_an_end_is_no_answer(folder: Path, answer: Callable[[socket.socket], None]) -> None:
    """What listens at the address of a server is not it: the command says so after its five seconds, with no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        identity = asdict(ProcessIdentity.own())
        server = pretend(folder, url=f"http://127.0.0.1:{listener.getsockname()[1]}", **identity)
        control_client.server_path(folder).unlink()  # it names this very process, which the fixture would end

        def serve() -> None:
            there, _ = listener.accept()
            with there, suppress(OSError):
                answer(there)

        stranger = threading.Thread(target=serve)
        stranger.start()
        began = time.monotonic()
        with pytest.raises(control_client.UNANSWERED):
            control_client._send(server, seconds=0.5)
        assert time.monotonic() - began < PATIENCE
        stranger.join()
