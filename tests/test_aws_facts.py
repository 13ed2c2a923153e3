"""The facts about AWS: the code cites sections of docs/aws-facts.md that exist, and the figures of both agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from privatelink_lab import prices
from privatelink_lab.local.api.delays import DELAYS
from privatelink_lab.local.api.rate_limits import ALL_OF_ELB, BUCKETS

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "aws-facts.md").read_text(encoding="utf-8")
HEADING = re.compile(r"^## (\d+)\. .+$", re.MULTILINE)
CITE = re.compile(r"\(AWS facts (\d+(?:, \d+)*)\)")
MARK = re.compile(r"\[(?:documented|code|reported|measured|unproven)\b[^\]]*\]$")


def sections() -> dict[int, str]:
    """The text of every section by its number; the first of two with one number is lost."""
    headings = [*HEADING.finditer(PAGE), None]
    return {
        int(this[1]): PAGE[this.end() : following.start() if following else len(PAGE)]
        for this, following in pairwise(headings)
        if this
    }


def rows(section: int) -> Iterator[list[str]]:
    """The cells of the rows of a section's tables, without the headings."""
    for line in sections()[section].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and not line.startswith(("| --- ", "| Calls ", "| What ")):
            yield cells


def texts() -> Iterator[tuple[str, str]]:
    """Every file of code and every page, but this one, with its name."""
    folders = (ROOT / "privatelink_lab", ROOT / "tests", ROOT / "benchmarks", ROOT / "docs")
    files = [*ROOT.glob("*.md"), *(path for folder in folders for path in folder.rglob("*"))]
    for path in files:
        if path.suffix in {".py", ".md", ".sh", ".tf", ".yaml"} and path != Path(__file__):
            yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_the_sections_are_numbered_without_a_gap() -> None:
    """A reader who looks for section 7 finds it between 6 and 8."""
    numbers = [int(number) for number in HEADING.findall(PAGE)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(re.findall(r"^## ", PAGE, re.MULTILINE)) == len(numbers)


def test_every_cite_names_a_section_that_exists() -> None:
    """A comment that cites a fact says it in one form, and leads to a section of the page."""
    cited = set()
    for name, text in texts():
        cites = CITE.findall(text)
        assert len(cites) == text.count("AWS facts"), f"{name} cites in another form"
        numbers = {int(number) for cite in cites for number in cite.split(", ")}
        assert numbers <= set(sections()), name
        cited |= numbers
    assert len(cited) > 5


def test_the_old_name_of_the_page_is_gone() -> None:
    """No text sends a reader to a page that is not in the repository."""
    assert [name for name, text in texts() if re.search(r"facts\s+sheet", text, re.IGNORECASE)] == []


def test_every_fact_says_where_it_comes_from() -> None:
    """A fact is documented, relied on by other code, reported, measured or unproven; none is silent about it."""
    facts = [fact for text in sections().values() for fact in re.findall(r"^- (?:.|\n(?=  ))+", text, re.MULTILINE)]
    assert len(facts) > 50
    assert [fact for fact in facts if not MARK.search(fact)] == []


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    """The rate limits and delays of the local AWS, and the prices of plab, are the ones that the page gives."""
    limits = [(float(size), float(refill)) for *_, size, refill in rows(9)]
    assert sorted(limits) == sorted((bucket.size, bucket.refill) for bucket in (*BUCKETS, ALL_OF_ELB))
    delays = {name.strip("`"): (float(usual), float(slow)) for _, name, usual, slow in rows(11)}
    assert delays == {name: (delay.usual, delay.slow) for name, delay in DELAYS.items()}
    listed = sections()[12]
    assert all(f"{name} {price}" in listed for name, price in prices.INSTANCE.items())
    assert all(f"{price} USD" in listed for price in (prices.NETWORK_LOAD_BALANCER, prices.ENDPOINT_ZONE))
