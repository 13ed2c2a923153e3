"""A lab on AWS whose state is lost, in a folder that had a local lab before: it is not taken for the local one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.cloud import config_of

from privatelink_lab.commands import Options
from privatelink_lab.commands.lab_session import Session
from privatelink_lab.state import State
from privatelink_lab.ui.output import Screen


@pytest.mark.parametrize("command", ["down", "status"])
def test_it_is_looked_for_on_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Only AWS can say that nothing is left: an earlier local lab of the same name proves nothing."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    (tmp_path / ".plab").mkdir()
    place = {"region": "us-east-1", "account": "123456789012", "server": "gone", "folder": "/lab"}
    (tmp_path / ".plab" / "test.last.json").write_text(json.dumps({"place": place}))
    session = Session(Options(command), Screen(), tmp_path, config_of(), State("test"), has_config=True)
    session.choose_aws(start=False, writes=command == "down")
    assert (session.server, session.address) == (None, None)
