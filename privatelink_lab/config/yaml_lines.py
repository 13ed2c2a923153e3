"""The YAML of one file: its data, and the line of each key."""

from __future__ import annotations

from operator import itemgetter
from pathlib import Path
from typing import Any

import yaml

from privatelink_lab.config.field_types import ACCOUNT_ID
from privatelink_lab.config.wording import KeyPath, key_text, value_text
from privatelink_lab.errors import ConfigError

MOST_VALUES = 100_000  # far more than a lab has; a few lines of YAML aliases can make billions


class Source:
    """The YAML of one file: its data, the line of each key, and its mistakes: at first the keys that appear twice.

    `root` is the key of the config under which the data stand.
    """

    def __init__(self, path: Path, text: str, root: KeyPath = ()) -> None:
        self.path = path
        self.root = root
        self.lines: dict[KeyPath, int] = {}
        self.mistakes: list[tuple[int, str]] = []
        try:
            node = yaml.compose(text, Loader=yaml.SafeLoader)
            self.data: Any = self._build(node, root) if node else None
            self.lines.setdefault(root, 1)
        except RecursionError:
            raise self._not_yaml(1, "it is nested too deeply, or contains itself") from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise self._not_yaml(line, ", ".join(filter(None, (error.context, error.problem)))) from None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            raise self._not_yaml(line, f"the character {chr(error.character)!a} is not allowed") from None
        except (ValueError, OverflowError) as error:  # PyYAML on escapes and directives beyond Unicode and int
            raise self._not_yaml(1, str(error)) from None

    def _not_yaml(self, line: int, problem: str) -> ConfigError:
        return ConfigError(f"{self.path}:{line}: is not YAML: {problem}")

    def _build(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        if len(self.lines) > MOST_VALUES:
            raise ConfigError(f"{self.path}:{line}: the config has more than {MOST_VALUES} values")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*path, index)) for index, item in enumerate(node.value)]
        # YAML reads 012345678901 as an octal number; twelve digits are an AWS account id.
        if ACCOUNT_ID.fullmatch(str(node.value)):
            return node.value
        try:
            return yaml.SafeLoader("").construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError, OverflowError):  # as PyYAML's constructors do
            kind = node.tag.rpartition(":")[2]
            raise ConfigError(
                f"{self.path}:{line}: {value_text(node.value)} is not a valid {kind}; put it in quotes if it is text"
            ) from None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(f"{self.path}:{line}: {key_text(path)}: has a key that is not a plain word")
            key = str(key_node.value)
            self.lines[(*path, key)] = line
            if key in data:
                self.add_mistake((*path, key), "appears twice; keep one")
            data[key] = self._build(value_node, (*path, key))
        return data

    def add_mistake(self, where: KeyPath, sentence: str) -> None:
        """Keep a mistake in a key; its line is that of the nearest enclosing key where the file does not have it."""
        line = next(self.lines[where[:cut]] for cut in range(len(where), -1, -1) if where[:cut] in self.lines)
        self.mistakes.append((line, f"{key_text(where)}: {sentence}"))

    def mistakes_in_order(self) -> list[str]:
        """`FILE:LINE: KEY: MISTAKE` of each, in the order of the lines."""
        return [f"{self.path}:{line}: {text}" for line, text in sorted(self.mistakes, key=itemgetter(0))]
