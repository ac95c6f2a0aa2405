"""One number for the content of a table: equal digests, equal live rows, however and how often they were written.

SHA-256 over the live rows as JSON arrays, one a line, in the order of their key; without versions, generations and arrival
times; statuses as at a given moment. ClickHouse sorts and formats, so memory stays bounded here and there.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import msgspec

from schemas.codec import encode_sorted
from sinks.generations import live
from sinks.queries import query
from sinks.reader import Reader

TABLES = ("touchpoints", "person_touchpoints", "identities", "journeys", "outcomes")


def digest(reader: Reader, table: str, as_of: int, generation: int | None = None) -> str:
    """Hex SHA-256 of one of TABLES, of the given generation or the live one; `as_of` in ms UTC.

    Raises ValueError for another table, and the driver's errors.
    """
    if table not in TABLES:
        raise ValueError(f"no digest of {table!r}: choose one of {', '.join(TABLES)}")
    hashed = sha256()
    parameters = {"as_of": as_of} if table in ("journeys", "outcomes") else {}
    if table != "touchpoints":  # which are nobody's interpretation
        parameters["generation"] = live(reader) if generation is None else generation
    for line, properties in reader.stream(query(f"digest_{table}"), parameters):
        hashed.update(line.encode())
        hashed.update(canonical(properties))
        hashed.update(b"\n")
    return hashed.hexdigest()


def canonical(properties: str) -> bytes:
    """JSON with the keys of its objects sorted; empty stays empty."""
    if not properties:
        return b""
    content: Any = msgspec.json.decode(properties)
    return encode_sorted(content)
