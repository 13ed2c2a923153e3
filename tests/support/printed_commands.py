"""The commands of plab in what it prints: a user copies them as they stand."""

from __future__ import annotations

import re
import shlex

import click

from privatelink_lab.cli import plab

_BEGIN = re.compile(rf"(?<![\w./-])plab (?=(?:{'|'.join(plab.commands)})\b)")
_END = re.compile(r"""\n|`|"|\s\||,|;|\.(?:\s|$)|:(?:\s|$)|\)|\s\(|\s&&|\s(?:or|and|to|for|from|waits)\s|$""")


def commands_in(text: str) -> list[str]:
    """The commands in a text: each begins with `plab` and the name of a command, and ends where a sentence goes on."""
    return [text[begin.start() : _end(text, begin.end())].strip() for begin in _BEGIN.finditer(text)]


def _end(text: str, at: int) -> int:
    """Where the command ends: no sign inside single quotes ends it."""
    quoted = [match.span() for match in re.finditer(r"'[^'\n]*'", text[at:])]
    ends = (match.start() for match in _END.finditer(text[at:]))
    return at + next(end for end in ends if not any(begin <= end < after for begin, after in quoted))


def refusal(command: str) -> str:
    """What the command line says against a command; '' where it takes it. Nothing runs."""
    _, *words = shlex.split(command)
    taken: click.Command = plab
    while isinstance(taken, click.Group):
        if not words or words[0] not in taken.commands:
            return f"{taken.name} has no command {' '.join(words[:1])!r}"
        taken = taken.commands[words.pop(0)]
    if "--help" in words:
        return ""
    try:
        taken.make_context(taken.name, words)
    except click.ClickException as error:
        return error.format_message()
    return ""


def refusals(text: str) -> list[str]:
    """The commands in a text that the command line does not take, and what it says against them."""
    return [f"{command}: {why}" for command in commands_in(text) if (why := refusal(command))]
