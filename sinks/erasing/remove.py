"""Deleting rows so that their bytes go too: noted first, deleted by mutations that name only the notes, then the old parts go.

Never a lightweight DELETE: it hides rows from the mutation that would remove them. And nothing that names anybody in the text
of a mutation, which ClickHouse keeps in a file beside the table.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any
from uuid import UUID

from sinks.erasing.find import Row
from sinks.queries import query

AT_ONCE = 100_000  # rows noted at a time
PAUSE_SECONDS = 0.5
_NOTED = "(SELECT {columns} FROM erasing WHERE erasure_id = '{erasure}' AND what = '{what}')"

# What is noted → table → the columns there that name it. People are found by identities and dead letters go by what names
# them, so identities come last: what broke off can be found again.
DELETED: tuple[tuple[str, str, str, str], ...] = (
    ("journey", "outcomes", "journey_id", "id"),
    ("journey", "journeys", "journey_id", "id"),
    ("journey", "journeys_by_person", "journey_id", "id"),
    ("letter", "dead_letters", "position", "position"),
    ("event", "follow_ups", "event_id", "id"),
    ("event", "person_touchpoints", "event_id", "id"),
    ("moved", "person_touchpoints", "(person_id, event_id)", "(person_id, id)"),
    ("event", "late", "event_id", "id"),
    ("moved", "late", "(person_id, event_id)", "(person_id, id)"),
    ("event", "touchpoints", "event_id", "id"),
    ("revision", "touchpoints", "(event_id, version)", "(id, version)"),
    ("identifier", "identities", "(own_id, version)", "(id, version)"),
)
TABLES = tuple(dict.fromkeys(table for _, table, _, _ in DELETED))


class NotRemoved(RuntimeError):
    """ClickHouse could not delete: says what and why."""


def note(client: Any, erasure: str, rows: Iterable[Row]) -> int:
    """Note what is to be deleted; how much that is. Raises the driver's errors."""
    left, count = iter(rows), 0
    while some := list(islice(left, AT_ONCE)):
        client.execute(
            "INSERT INTO erasing (erasure_id, what, person_id, id, version, position) VALUES",
            [(erasure, row.what, row.person, row.id, row.version, row.position) for row in some],
        )
        count += len(some)
    return count


def counts(client: Any, erasure: str) -> dict[UUID, Counter[str]]:
    """What is noted, by person and by what the receipt calls it. Raises the driver's errors."""
    found: dict[UUID, Counter[str]] = {}
    for person, what, count in client.execute(query("erase_counts"), {"erasure": erasure}):
        found.setdefault(person, Counter())[what] = int(count)
    return found


def delete(client: Any, erasure: str, tell: Callable[[str], None]) -> None:
    """Delete everything that is noted and forget the notes. May be repeated. Raises NotRemoved, and the driver's errors."""
    client.execute(query("erase_keep"), {"erasure": erasure})
    noted = {what for (what,) in client.execute(query("erase_noted"), {"erasure": erasure})}
    for what, table, columns, theirs in DELETED:
        if what in noted:
            tell(f"deleting from {table}")
            where = f"{columns} IN {_NOTED.format(columns=theirs.strip('()'), erasure=erasure, what=what)}"
            _mutate(client, erasure, table, where)
    client.execute(f"ALTER TABLE erasing DROP PARTITION '{erasure}'")


def unfinished(client: Any) -> list[str]:
    """Erasures that broke off while they deleted, and whose notes are still there. Raises the driver's errors."""
    return [erasure for (erasure,) in client.execute(query("erase_unfinished"))]


def _mutate(client: Any, erasure: str, table: str, where: str) -> None:
    """Delete and wait. Not by `mutations_sync`: a rewrite of a large table takes longer than a connection may be silent."""
    client.execute(f"ALTER TABLE {table} DELETE WHERE {where}")
    while left := client.execute(query("mutations_left"), {"table": table, "erasure": erasure}):
        for (reason,) in left:
            if reason:
                raise NotRemoved(f"ClickHouse fails to rewrite {table}: {reason.partition('(version')[0]}")
        time.sleep(PAUSE_SECONDS)


def replaced(client: Any) -> set[str]:
    """Parts that hold deleted rows and wait for their removal. Raises the driver's errors."""
    return {name for (name,) in client.execute(query("replaced_parts"), {"tables": TABLES})}


def until_gone(client: Any, parts: set[str], seconds: float, tell: Callable[[str], None]) -> None:
    """Wait until these parts are off the disk. Raises NotRemoved after so long, and the driver's errors."""
    deadline = time.monotonic() + seconds
    while left := parts & replaced(client):
        if time.monotonic() > deadline:
            raise NotRemoved(f"{len(left)} replaced parts are still on ClickHouse's disk, for example {min(left)}")
        tell(f"waiting until ClickHouse has removed {len(left)} replaced parts from its disk")
        time.sleep(PAUSE_SECONDS)
