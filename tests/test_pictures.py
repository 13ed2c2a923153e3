"""The pictures of the docs: as their script draws them, readable in light and dark, and true in the names they show."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

import privatelink_lab
from privatelink_lab.cli import plab
from privatelink_lab.steps.consumer_endpoint import STATES

FOLDER = Path(__file__).parent.parent / "docs" / "pictures"
FILES = sorted(FOLDER.glob("*.svg"))
SCRIPT = runpy.run_path(str(FOLDER / "draw.py"))
LIGHT_AND_DARK = (0, 1)
SVG = "{http://www.w3.org/2000/svg}"


def words(path: Path) -> list[str]:
    """Every line of text in a picture."""
    return [str(element.text) for element in ET.parse(path).iter(f"{SVG}text")]  # noqa: S314  # a file of ours


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG defines it."""
    low, high = sorted(luminance(colour) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of a colour like #1f2328."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_pictures_are_those_of_the_script_byte_for_byte() -> None:
    """`make docs` changes nothing when nothing has changed, and no picture comes from elsewhere."""
    drawn = [draw() for draw in SCRIPT["PICTURES"]]
    assert {f"{picture.name}.svg": picture.svg().encode() for picture in drawn} == {
        path.name: path.read_bytes() for path in FILES
    }
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {"draw.py", *(path.name for path in FILES)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_picture_stands_alone_and_has_words_for_those_who_do_not_see_it(path: Path) -> None:
    """It is an SVG with title, description and a dark style, and it loads and runs nothing."""
    text = path.read_text(encoding="utf-8")
    root = ET.fromstring(text)  # noqa: S314  # a file of ours
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    assert all(root.findtext(SVG + name) for name in ("title", "desc"))
    assert "@media (prefers-color-scheme:dark){" in text
    assert {element.tag.removeprefix(SVG) for element in root} <= {"title", "desc", "style", "rect", "path", "text"}
    assert not re.search(r"href|url\(|@import|\bon\w+=|https?:", text.replace("http://www.w3.org/2000/svg", "", 1))


@pytest.mark.parametrize("scheme", LIGHT_AND_DARK, ids=("light", "dark"))
def test_every_text_is_readable_on_every_ground(scheme: int) -> None:
    """WCAG's 4.5:1 for every colour of text on every fill, in light and in dark."""
    for ink, colours in SCRIPT["INKS"].items():
        for kind, fills in SCRIPT["FILLS"].items():
            assert contrast(colours[scheme], fills[scheme][0]) >= 4.5, f"{ink} on {kind}"


def test_a_text_that_may_be_wider_than_its_box_is_not_drawn() -> None:
    """The reader's font may be wider than ours: a text has room in the widest of the usual ones."""
    picture = SCRIPT["Picture"]("wide", "title", "description", height=100)
    picture.box("plain", (0, 0, 80, 40), "endpoint")
    with pytest.raises(ValueError, match="may be"):
        picture.box("plain", (0, 0, 60, 40), "endpoint")


def test_an_arrow_is_horizontal_or_vertical() -> None:
    """An arrow between boxes that are not in line is a mistake of the script."""
    picture = SCRIPT["Picture"]("oblique", "title", "description", height=100)
    with pytest.raises(ValueError, match="not straight"):
        picture.arrow((0, 0), (80, 4))


def test_every_command_in_a_picture_exists() -> None:
    """A picture shows no command that plab does not have."""
    shown = {name for path in FILES for name in re.findall(r'class="code[^>]*>plab (\w+)', path.read_text("utf-8"))}
    assert {"accept", "reject", "up", "down"} <= shown <= plab.commands.keys()


def test_the_picture_of_the_acceptance_has_every_state() -> None:
    """Every state of an endpoint that plab knows is in the picture, and `deleted`."""
    shown = {line.lower() for line in words(FOLDER / "acceptance.svg")}
    assert {*STATES, "deleted"} <= shown


def test_the_picture_of_the_local_aws_has_its_rooms_and_no_module_that_is_gone() -> None:
    """The rooms in the picture are the folders of local/, and its modules are files in them."""
    text = "\n".join(words(FOLDER / "local-aws.svg"))
    local = Path(privatelink_lab.__file__).parent / "local"
    assert set(re.findall(r"\b(\w+)/", text)) == {path.parent.name for path in local.glob("*/__init__.py")}
    assert set(re.findall(r"\b[a-z]+_[a-z]+\b", text)) <= {path.stem for path in local.rglob("*.py")}
