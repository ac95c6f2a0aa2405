"""Dead letters in ClickHouse: which there are, by filter or by id. Answers as values; how they look is `cli/dead_letters.py`.

A letter's id is a hash of who refused what, and where it came from: `sha256(leg, address, sha256 of the record)`, a line each.
A refusal that is repeated (the same file imported twice, a sink that starts again) is the same letter; the newest counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.dead_letter import DeadLetter

if TYPE_CHECKING:
    from sinks.reader import Reader

SHOWN_DIGITS = 12
_PREFIX = re.compile("[0-9a-f]{4,64}")
_ID = "lower(hex(SHA256(concat(leg, '\\n', address, '\\n', sha256))))"
_FIELDS = ("source", "leg", "reason", "path", "message", "address", "record", "bytes", "sha256")
_LETTERS = f"SELECT {_ID} AS id, toUnixTimestamp64Milli(at) AS ms, {', '.join(_FIELDS)} FROM v_dead_letters"  # noqa: S608
_BLOCK_ROWS = 200  # at a time in memory, up to 64 kB each


class Found(NamedTuple):
    """A letter and its id, 64 hex digits."""

    id: str
    letter: DeadLetter


class NotOne(ValueError):
    """What should name one letter names none or several; the text says so, and what helps."""


@dataclass(frozen=True)
class Filter:
    """Which letters: those that meet everything that is given. `since` in ms UTC; `ids` whole."""

    reason: str | None = None
    source: str | None = None
    leg: str | None = None
    since: int | None = None
    ids: tuple[str, ...] = ()

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition, and its parameters."""
        conditions, parameters = ["1"], {}
        for column in ("reason", "source", "leg"):
            if (wanted := getattr(self, column)) is not None:
                conditions.append(f"{column} = {{{column}:String}}")
                parameters[column] = wanted
        if self.since is not None:
            conditions.append("ms >= {since:Int64}")
            parameters["since"] = self.since
        if self.ids:
            conditions.append("has({ids:Array(String)}, id)")
            parameters["ids"] = list(self.ids)
        return " AND ".join(conditions), parameters


def counts(reader: Reader, wanted: Filter) -> dict[str, int]:
    """How many letters by reason, the most frequent first."""
    where, parameters = wanted.where()
    query = f"""
        SELECT reason, uniqExact(id) AS letters FROM ({_LETTERS}) WHERE {where}
        GROUP BY reason ORDER BY letters DESC, reason"""  # noqa: S608 - constants of this module
    return dict(reader.ask(query, parameters).rows)


def newest(reader: Reader, wanted: Filter, limit: int | None, *, oldest_first: bool = False) -> Iterator[Found]:
    """The newest letters, at most `limit`, as they come; the newest of them first, or the oldest."""
    where, parameters = wanted.where()
    some = "" if limit is None else f" LIMIT {limit:d}"
    order = "ASC" if oldest_first else "DESC"
    query = f"""
        SELECT * FROM (SELECT * FROM ({_LETTERS}) WHERE {where} ORDER BY ms DESC, id LIMIT 1 BY id{some})
        ORDER BY ms {order}, id SETTINGS max_block_size = {_BLOCK_ROWS}"""  # noqa: S608 - constants of this module
    for id, ms, *fields in reader.stream(query, parameters):
        yield Found(id, DeadLetter(at=ms, **dict(zip(_FIELDS, fields, strict=True))))


def whole_ids(reader: Reader, prefixes: Sequence[str]) -> tuple[str, ...]:
    """The one id that each prefix begins, in their order, each once. Raises NotOne."""
    given = [prefix.strip().lower() for prefix in prefixes]
    for text in given:
        if _PREFIX.fullmatch(text) is None:
            raise NotOne(f"{text!r} is not the id of a dead letter: write 4 or more of the digits that `list` shows")
    if not given:
        return ()
    query = f"""
        SELECT DISTINCT id FROM ({_LETTERS})
        WHERE arrayExists(prefix -> startsWith(id, prefix), {{prefixes:Array(String)}}) ORDER BY id"""  # noqa: S608
    known = [id for (id,) in reader.ask(query, {"prefixes": given}).rows]
    found: dict[str, None] = {}
    for text in given:
        fitting = [id for id in known if id.startswith(text)]
        if not fitting:
            raise NotOne(f"no dead letter has the id {text}: `desireline dead-letters list` shows them")
        if len(fitting) > 1:
            some = ", ".join(apart(fitting[:5]))
            raise NotOne(f"{len(fitting)} dead letters have an id that begins with {text}; say which: {some}")
        found[fitting[0]] = None
    return tuple(found)


def apart(ids: Sequence[str]) -> list[str]:
    """Ids as short as they are shown, or as long as it takes to tell them apart."""
    digits = next((n for n in range(SHOWN_DIGITS, 64) if len({id[:n] for id in ids}) == len(set(ids))), 64)
    return [id[:digits] for id in ids]
