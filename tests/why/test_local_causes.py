"""Each cause that the local AWS can show: a hand breaks it, `why` names it first, its command repairs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.broken_lab import BrokenLab
from support.cloud import Cloud
from support.command_line import Run
from support.why_cases import CASES, Case


@pytest.fixture
def lab(at_cloud: Cloud, run: Run, tmp_path: Path) -> BrokenLab:
    """A lab that is not built yet."""
    return BrokenLab(at_cloud, run, tmp_path)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.code}-{case.name}".rstrip("-") for case in CASES])
def test_why_names_it_and_its_command_repairs_it(lab: BrokenLab, case: Case) -> None:
    """The code comes first and alone; what is printed is typed as it stands; `why` then finds nothing."""
    if case.config:
        (lab.folder / "plab.yaml").write_text(f"lab: test\nregion: us-east-1\n{case.config}\n")
    assert lab.up().code == 0
    assert lab.run("why").code == int("manual" in case.config)
    case.break_it(lab)
    [path] = lab.why("acme")
    assert path["code"] == case.code, path
    assert path["also"] == [], path["also"]
    assert path["confidence"] == "proved"
    if path["stops"] == "all":  # then `verify` needs no probe
        [verified] = [row for row in lab.run("verify", "acme", "--json").json if row["event"] == "verified"]
        assert (verified["ok"], verified["hop"], verified["fix"]) == (False, path["hop"], path["fix"])
        assert verified["detail"].startswith(f"{case.code}: ")
    lab.type(path[case.repair])
    assert [path["code"] for path in lab.why("acme")] == [None]
    assert lab.run("why").code == 0
