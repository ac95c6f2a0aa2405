"""What was computed, on disk until it has been compared: a SQLite file in a folder of its own, which is deleted afterwards.

SQLite sorts on disk, so memory stays bounded whatever the number of touchpoints. Ids are 32 hex digits outside, bytes inside.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from schemas.person import FoldRecord
from sinks.verify.plain import Event

if TYPE_CHECKING:
    from sinks.verify.late import Lateness

_TABLES = """
CREATE TABLE touchpoints (event BLOB, person BLOB, at INT, arrived INT, record BLOB);
CREATE TABLE identities (identifier TEXT, person BLOB, shared INT);
CREATE TABLE journeys (id BLOB, row BLOB);
CREATE TABLE outcomes (id BLOB, row BLOB);
"""
# A crash loses nothing that is worth keeping.
_SETTINGS = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;"
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


class Owned(NamedTuple):
    """A touchpoint and whose it must be. `record` as `carry` makes it; `arrived`: append time, ms UTC."""

    event: str
    person: str
    arrived: int
    record: FoldRecord


class Everything(NamedTuple):
    """A person: the touchpoints that belong into journeys (None: too many), when the newest of them arrived; and when each
    arrived, of somebody of whom some came late."""

    person: str
    events: list[Event] | None
    arrived: int
    arrivals: dict[str, int]


def carry(record: FoldRecord) -> bytes:
    """A fold record as few bytes."""
    return _pack(msgspec.structs.astuple(record))


class Store:
    """Written first, then read; see the module."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def put_touchpoints(self, rows: Iterable[tuple[bytes, bytes, int, int, bytes]]) -> None:
        """Event, person, at, arrived, carried record."""
        self._database.executemany("INSERT INTO touchpoints VALUES (?, ?, ?, ?, ?)", rows)

    def put_identities(self, rows: Iterable[tuple[str, bytes, bool]]) -> None:
        """Identifier, person, is it shared."""
        self._database.executemany("INSERT INTO identities VALUES (?, ?, ?)", rows)

    def put_journeys(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows as `plain.rows` makes them."""
        self._database.executemany(
            "INSERT INTO journeys VALUES (?, ?)", ((bytes.fromhex(row["journey_id"]), _pack(row)) for row in rows)
        )

    def put_outcomes(self, rows: Iterable[dict[str, Any]]) -> None:
        """Rows as `plain.outcomes` makes them, and more in them."""
        self._database.executemany(
            "INSERT INTO outcomes VALUES (?, ?)", ((bytes.fromhex(row["outcome_id"]), _pack(row)) for row in rows)
        )

    def people(self, most: int, lateness: Lateness) -> Iterator[Everything]:
        """Person by person, with at most so many touchpoints besides the late ones."""
        found = self._ask("SELECT person, event, arrived, record FROM touchpoints ORDER BY person")
        for person, rows in groupby(found, key=itemgetter(0)):
            late = lateness.of(person.hex())
            kept: list[tuple[bytes, bytes]] = []
            arrivals: dict[str, int] = {}
            arrived = 0
            for _, event, at, record in rows:
                if late:
                    arrivals[event.hex()] = at
                    if event.hex() in late:
                        continue
                arrived = max(arrived, at)
                if len(kept) <= most:  # one more tells that they are too many
                    kept.append((event, record))
            events = [(event.hex(), FoldRecord(*_unpack(record))) for event, record in kept]
            yield Everything(person.hex(), events if len(events) <= most else None, arrived, arrivals)

    def summary(self, people: Collection[str]) -> dict[str, tuple[int, int]]:
        """Of these people who have touchpoints: how many, and when the newest arrived. Reads all."""
        asked = self._ask("SELECT person, count(*), max(arrived) FROM touchpoints GROUP BY person")
        return {person.hex(): (count, at) for person, count, at in asked if person.hex() in people}

    def persons(self, since: int) -> Iterator[str]:
        """Everybody with a touchpoint at `since` (ms UTC) or later."""
        for (person,) in self._ask("SELECT DISTINCT person FROM touchpoints WHERE at >= ?", since):
            yield person.hex()

    def touchpoints(self) -> Iterator[Owned]:
        """In the order of their ids."""
        for event, person, arrived, record in self._ask(
            "SELECT event, person, arrived, record FROM touchpoints ORDER BY event"
        ):
            yield Owned(event.hex(), person.hex(), arrived, FoldRecord(*_unpack(record)))

    def identities(self) -> Iterator[tuple[str, str, bool]]:
        """Identifier, person, shared; in the order of identifiers (of their bytes)."""
        for identifier, person, shared in self._ask("SELECT * FROM identities ORDER BY identifier"):
            yield identifier, person.hex(), bool(shared)

    def journeys(self) -> Iterator[dict[str, Any]]:
        """In the order of their ids."""
        for (row,) in self._ask("SELECT row FROM journeys ORDER BY id"):
            yield _unpack(row)

    def outcomes(self) -> Iterator[dict[str, Any]]:
        """In the order of their ids."""
        for (row,) in self._ask("SELECT row FROM outcomes ORDER BY id"):
            yield _unpack(row)

    def _ask(self, sql: str, *parameters: Any) -> Iterator[tuple[Any, ...]]:
        with closing(self._database.cursor()) as cursor:  # one each: several are read side by side
            yield from cursor.execute(sql, parameters)


@contextmanager
def store() -> Iterator[Store]:
    """An empty Store in a temporary folder (TMPDIR), about 200 bytes a touchpoint; deleted at the end."""
    with (
        TemporaryDirectory(prefix="desireline-verify-") as folder,
        closing(sqlite3.connect(Path(folder) / "expected.sqlite3")) as database,
    ):
        database.executescript(_SETTINGS + _TABLES)
        yield Store(database)
