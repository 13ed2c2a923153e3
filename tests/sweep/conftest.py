"""The lab that the tests here strike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import Cloud, Run
from support.hook_proxy import Proxy
from support.proxied_lab import StruckLab

Count = Callable[[str, int], None]


@pytest.fixture
def whole(request: pytest.FixtureRequest) -> bool:
    """Whether all is asked for, not a sample."""
    return bool(request.config.getoption("--sweep"))


@pytest.fixture
def lab(at_cloud: Cloud, run: Run, tmp_path: Path) -> Iterator[StruckLab]:
    """A lab that can be struck; nothing of it is there yet."""
    with Proxy(at_cloud.aws.url) as proxy:
        made = StruckLab(at_cloud, run, tmp_path, proxy)
        made.prepare()
        yield made
