"""`--lab NAME`: a lab without its config and without its state, found by its tags."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run


@pytest.fixture
def orphan(at_cloud: Cloud, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A lab of which nothing is left here but credentials and region; the inventory from before it."""
    before = at_cloud.aws.inventory()
    (tmp_path / "plab.yaml").write_text(
        "lab: lost\nregion: us-east-1\nprovider: {zones: 2, web_server: {port: 8080, message: Hi}}\n"
        "consumers: [{name: acme, vpc: {cidr: 10.7.0.0/16}}]\n"
    )
    assert run("up", "-q").code == 0
    (tmp_path / "plab.yaml").unlink()
    for file in (tmp_path / ".plab").iterdir():
        file.unlink()
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return before


def test_status_shows_what_is_there(orphan: object, run: Run) -> None:
    """Every tagged thing and its cost; what only a config could judge is `there`, and nothing is called missing."""
    ran = run("status", "--lab", "lost", "--json").json[0]
    rows = {row["key"]: row["phase"] for row in ran["resources"]}
    assert {"provider/vpc", "provider/subnet-2", "provider/nlb", "provider/web-server", "acme/endpoint"} <= rows.keys()
    assert set(rows.values()) <= {"ready", "there", "held"}
    assert ran["usd_per_hour"] > 0.05
    assert "by its tags in account" in run("status", "--lab", "lost").err


def test_down_deletes_it(orphan: dict[str, list[str]], at_cloud: Cloud, run: Run) -> None:
    """All of it, with a receipt; a second time there is nothing, and another name has nothing either."""
    assert run("down", "--lab", "other", "-y", "--json").json[-1]["deleted"] == {}
    assert run("down", "--lab", "lost", "-y").code == 0
    assert at_cloud.aws.inventory() == orphan
    assert run("down", "--lab", "lost", "-y", "--json").json[-1]["deleted"] == {}


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--lab", "No Name"), "'No Name' cannot be the name of a lab: "),
        (("--lab", "lost", "-c", "plab.yaml"), "--config and --lab exclude each other."),
    ],
)
def test_bad_usage(at_cloud: Cloud, run: Run, words: tuple[str, ...], error: str) -> None:
    """Exit 2 before any call."""
    ran = run("down", *words)
    assert ran.code == 2
    assert error in ran.err
    assert at_cloud.calls() == []


def test_without_a_region_it_says_so(at_cloud: Cloud, run: Run) -> None:
    """Neither config nor environment names one: exit 2, and nothing is called."""
    ran = run("status", "--lab", "lost")
    assert ran.code == 2
    assert "region" in ran.err
    assert at_cloud.calls() == []
