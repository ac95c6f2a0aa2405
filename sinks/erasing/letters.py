"""Which dead letters speak of somebody? They hold what was not understood, so this looks more than once.

- Where the record is JSON with `identifiers`: those, in their normal form.
- Anywhere in the record and in what was said of it: an identifier's value as a word of its own, in any case, if it has at least
  five characters. A shorter one would be found everywhere; it must stand in a place named after its kind.

Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from schemas.identity import Kinds, normalise

TELLING = 5  # characters of a value that is looked for anywhere
_WORD = r"[\w@.+-]"


class Letter(NamedTuple):
    """What is looked at of a dead letter; `position` is its key."""

    position: str
    source: str
    record: str
    said: str
    at: int  # ms UTC


class Wanted:
    """Identifiers (`kind:value`) that are looked for."""

    def __init__(self, identifiers: Iterable[str], kinds: Kinds) -> None:
        self.identifiers = frozenset(identifiers)
        self.kinds = kinds
        self._anywhere: dict[str, str] = {}
        self._named: dict[tuple[str, str], str] = {}
        for identifier in self.identifiers:
            kind, _, value = identifier.partition(":")
            self._named[kind, value.casefold()] = identifier
            if len(value) >= TELLING:
                self._anywhere[value.casefold()] = identifier

    def anywhere(self, text: str) -> str | None:
        """The first that stands in the text as a word."""
        for value, identifier in self._anywhere.items():
            if value in text and re.search(rf"(?<!{_WORD}){re.escape(value)}(?![\w@+-]|\.\w)", text):
                return identifier
        for kind in self.kinds.names:
            for match in re.finditer(rf"\b{kind}\b\W{{1,4}}({_WORD}+)", text):
                if found := self._named.get((kind, match[1].rstrip("."))):
                    return found
        return None


def carries(letter: Letter, wanted: Wanted) -> str | None:
    """An identifier that is looked for and that the letter carries."""
    if not wanted.identifiers:
        return None
    for identifier in _identifiers(letter.record, wanted.kinds):
        if identifier in wanted.identifiers:
            return identifier
    return wanted.anywhere(unicodedata.normalize("NFC", f"{letter.record} {letter.said}").casefold())


def _identifiers(record: str, kinds: Kinds) -> Iterable[str]:
    """The record's own, normalised; none where it is no such record."""
    try:
        said = msgspec.json.decode(record.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return
    given = said.get("identifiers") if isinstance(said, dict) else None
    for kind, value in given.items() if isinstance(given, dict) else ():
        if kind in kinds.names and isinstance(value, str | int) and not isinstance(value, bool):
            yield f"{kind}:{normalise(kind, str(value), kinds)}"
