"""Two at work on the same lab at once: from two folders without a shared state, and in one folder."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from .labs import StruckLab, start
from .proxy import Proxy


def test_two_ups_from_two_machines(lab: StruckLab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both looked and saw nothing: the later one stops, says whose lab it met, and removes what it had made."""
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(lab.folder / "plab.yaml", there)
    folders = (lab.folder, there)
    with ExitStack() as stack:
        proxies = [stack.enter_context(Proxy(lab.cloud.aws.url)) for _ in folders]
        for proxy in proxies:
            proxy.changes_pass.clear()
        runs = []
        for folder, proxy, user in zip(folders, proxies, ("alice", "bob"), strict=True):
            monkeypatch.setenv("LOGNAME", user)  # a part of the owner's tag
            runs.append(start(folder, proxy.url, "up", "-q"))
            assert proxy.changes_come.wait(60)  # it has looked, and seen nothing
        for proxy in proxies:
            proxy.changes_pass.set()
            proxy.settle()
        ends = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    codes = [code for *_, code in ends]
    assert codes == [0, 1], ends
    assert "The lab 'test' belongs to alice@" in ends[1][1]
    assert "This run has deleted what it had made: " in ends[1][1]
    assert lab.duplicated() == {}
    assert not (there / ".plab" / "test.json").exists()
    monkeypatch.setenv("LOGNAME", "alice")
    lab.must("down", "-y", "-q")
    assert lab.leaked() == []


def test_up_beside_down_from_two_machines(lab: StruckLab, tmp_path: Path, *, whole: bool) -> None:
    """One builds while the other tears down: both end, and one more `down` leaves nothing."""
    if not whole:
        pytest.skip("it may take half a minute: make sweep")
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(lab.folder / "plab.yaml", there)
    lab.must("up", "-q")
    lab.run("up", "--replace", "acme/endpoint", "-q")
    runs = [start(folder, lab.cloud.aws.url, *words) for folder, words in _building_and_removing(lab.folder, there)]
    ends = [(*run.communicate(timeout=120), run.returncode) for run in runs]
    assert "Traceback" not in str(ends)
    assert {code for *_, code in ends} <= {0, 1, 3}
    lab.must("down", "-y", "-q")
    assert lab.leaked() == []


def _building_and_removing(here: Path, there: Path) -> tuple[tuple[Path, tuple[str, ...]], ...]:
    return (here, ("up", "-q", "--replace", "provider/web-server")), (there, ("down", "-y", "-q"))


def test_two_folders_of_one_user(lab: StruckLab, tmp_path: Path) -> None:
    """The same maker from a second folder, without its state: told who is at work and where; then it may go on."""
    there = tmp_path / "there"
    there.mkdir()
    shutil.copy(lab.folder / "plab.yaml", there)
    lab.proxy.changes_pass.clear()
    first = start(lab.folder, lab.proxy.url, "up", "-q")
    assert lab.proxy.changes_come.wait(60)
    second = start(there, lab.proxy.url, "up", "-q")
    said = "".join(second.communicate(timeout=60))
    assert second.returncode == 1
    assert f"Another plab is at work on this lab: process {first.pid} since " in said
    assert f"in {lab.folder}." in said
    lab.proxy.changes_pass.set()
    assert (*first.communicate(timeout=120), first.returncode)[-1] == 0
    lab.proxy.settle()
    assert lab.duplicated() == {}
    again = start(there, lab.proxy.url, "down", "-y", "-q")
    again.communicate(timeout=120)
    lab.proxy.settle()
    assert again.returncode == 0
    assert lab.leaked() == []


def test_two_terminals_in_one_folder(lab: StruckLab) -> None:
    """The second is told who holds the lab; nothing of it is touched."""
    seen: list[tuple[int, str]] = []

    def second() -> bool:
        other = start(lab.folder, lab.cloud.aws.url, "down", "-y", "-q")
        seen.append((other.wait(60), "".join(other.communicate())))
        return False

    lab.proxy.trap(5, second, after=False)
    assert lab.process_of("up", "-q")[0] == 0
    assert seen[0][0] == 1
    assert "Another plab is at work on this lab: process " in seen[0][1]
    assert lab.duplicated() == {}
    lab.must("down", "-y", "-q")
