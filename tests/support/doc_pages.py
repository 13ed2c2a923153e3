"""The pages of the docs: their headings, links, tables and shell blocks, and the commands in these blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
OTHER_PAGES = (ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md")

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(
    r"(?:^<!-- needs: (?P<needs>[^\n]+) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)
_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")
_KEYWORDS = {"if", "then", "else", "elif", "fi", "for", "do", "done", "while", "until", "!", "{", "}"}


@dataclass(frozen=True)
class Block:
    """One fenced block; `needs` is what its mark `<!-- needs: ... -->` names, '' without a mark."""

    page: Path
    line: int
    kind: str
    needs: str
    text: str

    def __str__(self) -> str:
        """Where it stands: `docs/commands.md:81`."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read(page: Path) -> str:
    """The text of a page."""
    return page.read_text(encoding="utf-8")


def blocks(page: Path, kind: str = "sh") -> list[Block]:
    """The fenced blocks of a kind, in order."""
    text = read(page)
    found = (match for match in _BLOCK.finditer(text) if match["kind"] == kind)
    return [
        Block(page, text.count("\n", 0, match.start("text")) + 1, kind, match["needs"] or "", match["text"])
        for match in found
    ]


def section(page: Path, heading: str) -> str:
    """The text under a heading, with all that is below it."""
    text = read(page)
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start, f"{page.name} has no heading {heading!r}"
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(text, start.end())
    return text[start.end() : end.start() if end else len(text)]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of tables, without heads and backticks of the first cell."""
    lines = [line.strip().strip("|") for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return [[row[0].strip("`"), *row[1:]] for row in cells if not set(row[0]) <= set("-: ")]


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCED.sub("", read(page))):
        words = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{words}-{n}" if n else words) not in found)
        found.add(f"{words}-{number}" if number else words)
    return found


def links(page: Path) -> list[str]:
    """The targets of links and pictures that lead to files or headings."""
    text = re.sub(r"`[^`\n]*`", "", _FENCED.sub("", read(page)))
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset|href)="([^"]+)"', text)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def shell_commands(text: str) -> Iterator[list[str]]:
    """Every simple command in a shell text, also inside `$(...)`, as words; without redirections and assignments."""
    lines = iter(text.replace("\\\n", " ").splitlines())
    for line in lines:
        if heredoc := _HEREDOC.search(line):
            next(end for end in lines if end.strip() == heredoc[1])
            line = line[: heredoc.start()]  # noqa: PLW2901  # its body is no shell
        yield from _commands_of_line(line)


def _commands_of_line(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in [*lexer, ";"]:
        if skip:  # where a redirection leads
            skip = False
        elif set(token) <= set("<>&") and set(token) & set("<>"):
            skip = True
        elif set(token) <= set("();|&") or token in _KEYWORDS:
            if words:
                yield words
            words = []
        elif words or not re.match(r"\w+=", token):
            for inside in re.findall(r"\$\((.*)\)", token):
                yield from _commands_of_line(inside)
            words.append(token)
