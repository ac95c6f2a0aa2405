"""YAML files that people write: their content, and the line on which each part of it stands, for messages. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import yaml

Place = tuple[int | str, ...]  # keys and numbers of items, from the top


class Located:
    """A YAML text. Raises yaml.YAMLError where it is none."""

    def __init__(self, text: str) -> None:
        self.content: Any = yaml.safe_load(text)
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)

    def line(self, place: Sequence[int | str]) -> int:
        """The line, from 1, of the key or item; of what is not there the line of what it is missing in."""
        node, line = self._root, 1
        for part in place:
            if isinstance(node, yaml.MappingNode):
                pair = next((pair for pair in reversed(node.value) if pair[0].value == str(part)), None)
                if pair is None:
                    break
                node, line = pair[1], pair[0].start_mark.line + 1
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
            else:
                break
        return line

    def doubles(self) -> Iterator[tuple[Place, int, int]]:
        """Keys that stand twice in one place, where YAML lets the last one win in silence: its place, both lines."""
        return _doubles(self._root, ())


def _doubles(node: yaml.Node | None, place: Place) -> Iterator[tuple[Place, int, int]]:
    if isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _doubles(item, (*place, number))
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.value in first:
                yield (*place, key.value), first[key.value], line
            first.setdefault(key.value, line)
            yield from _doubles(value, (*place, key.value))
