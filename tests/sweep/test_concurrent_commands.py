"""Two commands on the same lab at the same time: from two folders, which share no state, and in one folder."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.hook_proxy import HookProxy
from support.processes import start_plab
from support.proxied_lab import ProxiedLab
from support.timeouts import PATIENCE


def test_two_makers_run_up(lab: ProxiedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw no lab: the later one stops, names the maker of the lab, and removes what it created."""
    other = tmp_path / "other"
    ends = _at_once(lab, other, monkeypatch)
    codes = [code for *_, code in ends]
    assert codes == [0, 1], ends
    assert "The lab 'test' belongs to alice@" in ends[1][1]
    assert "This run has deleted what it had made: " in ends[1][1]
    assert lab.duplicated() == {}
    assert not (other / ".plab" / "test.json").exists()
    monkeypatch.setenv("LOGNAME", "alice")
    lab.run_well("down", "-y", "-q")
    assert lab.leaked() == []


def test_two_runs_adopt(lab: ProxiedLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw no lab, and both adopt: both end well on one lab, also when they begin again."""
    other = tmp_path / "other"
    ends = _at_once(lab, other, monkeypatch, "--adopt")
    assert [code for *_, code in ends] == [0, 0], ends
    assert lab.duplicated() == {}
    again = start_plab(other, "up", "--adopt", "-q", AWS_ENDPOINT_URL=lab.cloud.aws.url)
    assert (*again.communicate(timeout=PATIENCE), again.returncode)[-1] == 0
    assert lab.duplicated() == {}
    lab.run_well("down", "-y", "-q", "--adopt")
    assert lab.leaked() == []


def _at_once(
    lab: ProxiedLab, other: Path, monkeypatch: pytest.MonkeyPatch, *options: str
) -> list[tuple[str, str, int]]:
    """Output, errors and exit code of `up` of alice here and of bob in the other folder; both have seen no lab."""
    other.mkdir()
    shutil.copy(lab.folder / "plab.yaml", other)
    folders = (lab.folder, other)
    with ExitStack() as stack:
        proxies = [stack.enter_context(HookProxy(lab.cloud.aws.url)) for _ in folders]
        for proxy in proxies:
            proxy.changes_allowed.clear()
        runs = []
        for folder, proxy, user in zip(folders, proxies, ("alice", "bob"), strict=True):
            monkeypatch.setenv("LOGNAME", user)  # a part of the maker's tag
            runs.append(start_plab(folder, "up", "-q", *options, AWS_ENDPOINT_URL=proxy.url))
            assert proxy.change_requested.wait(PATIENCE)  # it has polled, and seen no lab
        for proxy in proxies:
            proxy.changes_allowed.set()
            proxy.wait_until_idle()
        return [(*run.communicate(timeout=PATIENCE), run.returncode) for run in runs]


def test_up_and_down_at_the_same_time(lab: ProxiedLab, tmp_path: Path, *, whole: bool) -> None:
    """`up` runs while `down` runs: both end, and one more `down` leaves nothing."""
    if not whole:
        pytest.skip("this takes up to half a minute: make sweep")
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(lab.folder / "plab.yaml", other)
    lab.run_well("up", "-q")
    lab.run("up", "--replace", "acme/endpoint", "-q", "-y")
    runs = [
        start_plab(folder, *words, AWS_ENDPOINT_URL=lab.cloud.aws.url)
        for folder, words in _up_and_down(lab.folder, other)
    ]
    ends = [(*run.communicate(timeout=PATIENCE), run.returncode) for run in runs]
    assert "Traceback" not in str(ends)
    assert {code for *_, code in ends} <= {0, 1, 3}
    lab.run_well("down", "-y", "-q")
    assert lab.leaked() == []


def _up_and_down(folder: Path, other: Path) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (folder, ("up", "-q", "-y", "--replace", "provider/web-server")), (other, ("down", "-y", "-q"))


def test_two_folders_of_one_user(lab: ProxiedLab, tmp_path: Path) -> None:
    """A second folder of the same maker, without the state: the error names the running command; `down` works later."""
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(lab.folder / "plab.yaml", other)
    lab.proxy.changes_allowed.clear()
    first = start_plab(lab.folder, "up", "-q", AWS_ENDPOINT_URL=lab.proxy.url)
    assert lab.proxy.change_requested.wait(PATIENCE)
    second = start_plab(other, "up", "-q", AWS_ENDPOINT_URL=lab.proxy.url)
    output = "".join(second.communicate(timeout=PATIENCE))
    assert second.returncode == 1
    assert f"Another plab is at work on this lab: process {first.pid} since " in output
    assert f"in {lab.folder}." in output
    lab.proxy.changes_allowed.set()
    assert (*first.communicate(timeout=PATIENCE), first.returncode)[-1] == 0
    lab.proxy.wait_until_closed()
    assert lab.duplicated() == {}
    again = start_plab(other, "down", "-y", "-q", AWS_ENDPOINT_URL=lab.proxy.url)
    again.communicate(timeout=PATIENCE)
    lab.proxy.wait_until_closed()
    assert again.returncode == 0
    assert lab.leaked() == []


def test_two_commands_in_one_folder(lab: ProxiedLab) -> None:
    """The error of the second command names the one that holds the lock; the second changes nothing."""
    seen: list[tuple[int, str]] = []

    def second() -> bool:
        other = start_plab(lab.folder, "down", "-y", "-q", AWS_ENDPOINT_URL=lab.cloud.aws.url)
        seen.append((other.wait(PATIENCE), "".join(other.communicate())))
        return False

    lab.proxy.set_hook(5, second, after=False)
    assert lab.run_proxied("up", "-q")[0] == 0
    assert seen[0][0] == 1
    assert "Another plab is at work on this lab: process " in seen[0][1]
    assert lab.duplicated() == {}
    lab.run_well("down", "-y", "-q")
