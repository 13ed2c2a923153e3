"""How to add the `local` extra to this plab: with pip, with pipx or with uv, whichever installed it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shlex
import sys
from pathlib import Path


def install_command() -> str:
    """A command line that installs what the `local` extra requires where this plab runs.

    It names the packages and not plab, so it works wherever plab came from. pipx marks its environments with a file; an
    environment of uv has no pip.
    """
    required = importlib.metadata.requires("privatelink-lab") or ()
    extra = [line for line in required if re.search(r"""extra == ['"]local['"]""", line)]
    packages = [line.partition(";")[0].strip() for line in extra]
    if (Path(sys.prefix) / "pipx_metadata.json").exists():
        return shlex.join(["pipx", "inject", "privatelink-lab", *packages])
    if importlib.util.find_spec("pip"):
        return shlex.join([sys.executable, "-m", "pip", "install", *packages])
    return shlex.join(["uv", "pip", "install", "--python", sys.executable, *packages])
