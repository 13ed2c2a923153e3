"""The rules of the imports: one module or package per library, imports one way, no branch for local."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import privatelink_lab

ROOT = Path(privatelink_lab.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
IMPORTERS = {  # library -> the modules that may import it
    "boto3": {"aws"},
    "botocore": {"aws", "local"},  # moto speaks botocore's models
    "click": {"cli"},
    "pydantic": {"config"},
    "yaml": {"config"},
    "rich": {"ui.rich_terminal"},
    "tenacity": {"clock"},
    "moto": {"local"},
    "pyroute2": {"local.network.vpc_network"},
    "werkzeug": {"local"},
}
# module -> what it must never import: imports run one way, from the command line down to the contract.
NEVER = {
    "steps": {"engine", "cli", "commands", "ui", "state", "local"},
    "engine": {"steps", "cli", "commands", "ui", "local"},
    "resource": {"engine", "steps", "cli", "commands", "ui", "local", "clock"},
    "snapshot": {"engine", "steps", "cli", "commands", "ui", "local"},
    "lab": {"engine", "steps", "cli", "commands", "ui", "local"},
    "clock": {"engine", "steps", "lab", "cli", "commands", "ui", "local"},
    "state": {"engine", "steps", "lab", "cli", "commands", "ui", "local", "aws"},
    "aws": {"engine", "steps", "lab", "cli", "commands", "ui", "local"},
    "config": {"engine", "steps", "lab", "cli", "commands", "ui", "local", "aws"},
    "ui": {"engine", "steps", "lab", "cli", "commands", "local", "aws", "config"},
    "events": {"engine", "steps", "lab", "cli", "commands", "ui", "local", "aws"},
    "retry_classes": {"engine", "steps", "lab", "cli", "commands", "ui", "local", "aws", "clock"},
    "errors": {"engine", "steps", "lab", "cli", "commands", "ui", "local", "aws", "events"},
    "commands": {"cli"},
    "commands.json_report": {"commands.run_command", "commands.lab_session", "ui", "local"},
    "commands.diagnosis": {"commands.run_command", "commands.lab_session", "ui", "local"},
    "commands.lab_session": {"commands.run_command", "engine", "steps"},
    "cli": {"engine", "steps", "lab", "state", "ui", "local", "aws", "config"},
    "local": {"engine", "steps", "lab", "cli", "commands", "ui", "aws", "config", "state", "snapshot"},
}
LOCAL_ROOMS = {  # room of local/ -> the rooms that it may import
    "process_identity": set(),
    "sigv4": set(),
    "control_client": {"process_identity", "sigv4"},
    "network": set(),
    "running_servers": {"control_client", "process_identity"},
    "launch": {"control_client", "process_identity", "network"},
    "api": {"network"},
    "ec2": {"api", "network"},
    "elbv2": {"api", "ec2"},
    "privatelink": {"api", "ec2"},
    "traffic": {"api", "ec2", "elbv2", "privatelink", "network"},
    "server": {
        "control_client",
        "process_identity",
        "sigv4",
        "api",
        "ec2",
        "elbv2",
        "privatelink",
        "traffic",
        "network",
    },
}
HOUSE = Path(__file__).parent.parent / "docs" / "pictures" / "draw.py"
SLEEPERS = {"clock", "local.launch", *(f"local.network.instance_{part}" for part in ("boot", "limits", "shutdown"))}
# The modules that may start a local AWS, or talk to it; all others see an address.
KNOWS_LOCAL = {"commands.lab_session", "commands.local", "commands.local_shell"}


def name_of(path: Path) -> str:
    """`ui.rich_terminal` for ui/rich_terminal.py."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports at run time, also inside functions."""
    found: set[str] = set()
    for node in _running(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _running(tree: ast.AST) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        nodes += [child, *_running(child)]
    return nodes


def ours(path: Path) -> set[str]:
    """What a file imports below privatelink_lab, as `commands` and `commands.json_report`."""
    prefix = "privatelink_lab."
    names = [name.removeprefix(prefix).split(".") for name in imports_of(path) if name.startswith(prefix)]
    return {name[0] for name in names} | {".".join(name[:2]) for name in names}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_one_module_or_package_imports_a_library(path: Path) -> None:
    """A library is imported in one place, so that replacing it changes that place only."""
    module = name_of(path)
    for imported in imports_of(path):
        importers = IMPORTERS.get(imported.split(".")[0])
        if importers:
            assert module in importers or module.split(".")[0] in importers, f"{module} imports {imported}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    """Nothing imports upwards: steps do not know the engine, the engine does not know the steps."""
    name = name_of(path)
    assert not ours(path) & (NEVER.get(name, set()) | NEVER.get(name.split(".")[0], set()))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_local_is_an_address_not_a_mode(path: Path) -> None:
    """Only the commands that start the local server know that there is one."""
    name = name_of(path)
    if name not in KNOWS_LOCAL and name.split(".")[0] != "local":
        assert "local" not in ours(path)


def test_the_rooms_of_local_know_only_the_rooms_below_them() -> None:
    """The rooms of local/ import each other exactly as the table says, and the table has no cycle."""
    prefix = "privatelink_lab.local."
    arrows: dict[str, set[str]] = {room: set() for room in LOCAL_ROOMS}
    for path in FILES:
        module = name_of(path)
        if module.startswith("local."):
            room = module.split(".")[1]
            below = {name.removeprefix(prefix).split(".")[0] for name in imports_of(path) if name.startswith(prefix)}
            arrows[room] |= below - {room}
    assert arrows == LOCAL_ROOMS
    assert list(TopologicalSorter(LOCAL_ROOMS).static_order())  # raises CycleError


def test_the_picture_of_the_house_has_every_room_and_no_import_runs_upwards_in_it() -> None:
    """What docs/pictures/house.svg shows is true: a module imports from its own floor, or from lower ones."""
    floors = runpy.run_path(str(HOUSE))["FLOORS"]
    floor = {name: number for number, names in enumerate(floors) for name in names}
    rooms = [name_of(path).split(".")[0] for path in FILES]
    assert floor.keys() == set(rooms) - {"", "__main__", "local"}
    for path, room in zip(FILES, rooms, strict=True):
        for imported in ours(path) & floor.keys():
            assert room not in floor or floor[imported] >= floor[room], f"{name_of(path)} imports {imported}"


def test_no_test_imports_another_test_or_a_conftest() -> None:
    """What several tests share is in tests/support; a conftest has fixtures, options and hooks only."""
    for path in Path(__file__).parent.rglob("*.py"):
        imported = {part for name in imports_of(path) for part in name.split(".")}
        assert not {part for part in imported if part.startswith("test_") or part == "conftest"}, path


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_ui_prints_and_only_waits_sleeps(path: Path) -> None:
    """Only `ui` and the server's log print; only `clock`, the launcher and an instance's first process sleep."""
    module = name_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            assert module.split(".")[0] == "ui" or module == "local.server.__main__", f"{module} prints"
        if isinstance(node, ast.Attribute) and node.attr == "sleep" and isinstance(node.value, ast.Name):
            assert module in SLEEPERS or node.value.id != "time", f"{module} sleeps"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_handler_of_a_signal_meets_an_event(path: Path) -> None:
    """A module with a handler has no threading.Event, whose lock the interrupted thread may hold: SignalFlag is it."""
    attributes = {
        (node.value.id, node.attr)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
    }
    assert not {("signal", "signal"), ("threading", "Event")} <= attributes


HEAVY = {"boto3", "botocore", "moto", "pydantic", "rich", "yaml", "tenacity"}
STARTS = {  # what a user waits for before anything is done -> how the shell says it
    "--help": ("--help", {}),
    "up --help": ("up --help", {}),
    "--version": ("--version", {}),
    "completion": ("", {"_PLAB_COMPLETE": "bash_complete", "COMP_WORDS": "plab local s", "COMP_CWORD": "2"}),
}


@pytest.mark.parametrize("start", STARTS)
def test_help_version_and_completion_import_nothing_heavy(start: str) -> None:
    """They answer at once: no boto3, moto, pydantic, rich, yaml or tenacity is loaded for them."""
    words, settings = STARTS[start]
    code = (
        "import atexit, sys\n"
        f"sys.argv = ['plab', *{words.split()!r}]\n"
        f"atexit.register(lambda: print(sorted({HEAVY!r} & set(sys.modules))))\n"
        "from privatelink_lab.cli.main import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | settings)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert len(done.stdout.splitlines()) > 1


def test_no_module_is_a_manager_helper_or_utils() -> None:
    """The name of a module says what the module holds."""
    assert not [name_of(path) for path in FILES if {"manager", "helper", "utils"} & set(path.stem.split("_"))]


def test_the_steps_are_the_tutorial_in_order() -> None:
    """Every step is a STEP value, in the order of the tutorial."""
    from privatelink_lab.steps import STEPS

    assert [step.name for step in STEPS] == [
        "network",
        "web server",
        "target group",
        "nlb",
        "endpoint service",
        "consumer endpoint",
        "acceptance",
        "probe",
    ]


def test_each_command_has_a_module_of_its_name() -> None:
    """`plab accept` is declared in cli/accept.py and done in commands/accept.py; `plab local` has subcommands."""
    from privatelink_lab.cli import plab

    names = {name_of(path) for path in FILES}
    assert {f"{room}.{command.replace('-', '_')}" for command in plab.commands for room in ("cli", "commands")} <= names
