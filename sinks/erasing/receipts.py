"""Receipts: a row for each person and erasure, begun before anything is ordered, finished when nothing is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

from sinks.erasing.order import Order
from sinks.queries import query
from sinks.reader import Reader

LATEST = 7_258_118_400_000  # 2200, in ms: what is kept for ever
_LIST = """
SELECT
    erasure_id, person_id, toUnixTimestamp64Milli(at), because, ordered_by, removed, toUnixTimestamp64Milli(finished_at),
    toUnixTimestamp64Milli(logs_until), toUnixTimestamp64Milli(compacted_until)
FROM v_erasures WHERE {erasure:String} IN ('', erasure_id) ORDER BY at DESC, erasure_id, person_id LIMIT {limit:UInt64}
"""


class Receipt(NamedTuple):
    """What v_erasures says of one person. Times in ms UTC; not finished: it broke off."""

    erasure_id: str
    person: UUID
    at: int
    because: str
    by: str
    removed: dict[str, int]
    finished_at: int | None
    logs_until: int
    compacted_until: int


def write(
    client: Any,
    order: Order,
    removed: Mapping[UUID, Mapping[str, int]],
    logs_until: int,
    compacted_until: int,
    now: int,
) -> None:
    """Write or replace the receipts of an erasure; times in ms UTC. Raises the driver's errors."""
    times = [min(ms, LATEST) for ms in (order.at, logs_until, compacted_until)]
    client.execute(
        "INSERT INTO erasures (erasure_id, person_id, at, because, ordered_by, removed, logs_until, compacted_until, version)"
        " SELECT erasure_id, person_id, fromUnixTimestamp64Milli(at, 'UTC'), because, ordered_by, removed,"
        " fromUnixTimestamp64Milli(logs_until, 'UTC'), fromUnixTimestamp64Milli(compacted_until, 'UTC'), version FROM given",
        external_tables=[
            {
                "name": "given",
                "structure": [
                    ("erasure_id", "String"), ("person_id", "UUID"), ("at", "Int64"), ("because", "String"),
                    ("ordered_by", "String"), ("removed", "Map(String, UInt64)"), ("logs_until", "Int64"),
                    ("compacted_until", "Int64"), ("version", "UInt64"),
                ],
                "data": [
                    {
                        "erasure_id": order.erasure_id, "person_id": person, "at": times[0], "because": order.because,
                        "ordered_by": order.by, "removed": dict(counted), "logs_until": times[1],
                        "compacted_until": times[2], "version": now,
                    }
                    for person, counted in removed.items()
                ],
            }
        ],
    )  # fmt: skip


def finish(client: Any, erasure_id: str, now: int) -> None:
    """Nothing is left of these people: finish this erasure, and what broke off before. Raises the driver's errors."""
    client.execute(query("insert_finished_erasures"), {"erasure": erasure_id, "now": now})


def read(reader: Reader, erasure_id: str = "", limit: int = 1000) -> list[Receipt]:
    """Of one erasure, or of all; the newest first. Raises the driver's errors."""
    return [Receipt(*row) for row in reader.ask(_LIST, {"erasure": erasure_id, "limit": limit}).rows]
