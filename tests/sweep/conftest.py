"""The lab whose commands the tests interrupt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cloud import Cloud
from support.command_line import Run
from support.hook_proxy import HookProxy
from support.proxied_lab import ProxiedLab


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether to run all cases, not a sample."""
    return bool(request.config.getoption("--sweep"))


@pytest.fixture
def lab(at_cloud: Cloud, run: Run, tmp_path: Path) -> Iterator[ProxiedLab]:
    """A lab whose commands can be interrupted; none of its resources exists yet."""
    with HookProxy(at_cloud.aws.url) as proxy:
        lab = ProxiedLab(at_cloud, run, tmp_path, proxy)
        lab.prepare()
        yield lab
