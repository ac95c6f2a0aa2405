"""Writing rows: the one protocol between the sink and ClickHouse, and what happens to rows that it refuses.

A write is all or nothing per table, and repeating it is harmless, because every row is absolute and versioned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar


class Refused(Exception):
    """At least one of the rows is not what the table holds; none of them was written."""


class Unavailable(Exception):
    """The rows could not be written now, through no fault of theirs: try again later."""


class Writer(Protocol):
    """Writes rows of one table, each a JSON object; returns when they are durable."""

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        """Raises Refused (then nothing was written) or Unavailable (then something may have been)."""
        ...


T = TypeVar("T")


class Bad(NamedTuple):
    """Something that is refused even when it is alone, and why."""

    record: object
    message: str


def write_good(write: Callable[[Sequence[T]], None], records: Sequence[T]) -> list[Bad]:
    """Write all but the bad ones, which are found by halving: about 2·log₂(n) more writes for each.

    Raises Unavailable as `write` does; some may then be written, and all are to be written again.
    """
    if not records:
        return []
    try:
        write(records)
    except Refused as refused:
        if len(records) == 1:
            return [Bad(records[0], str(refused))]
        half = len(records) // 2
        return write_good(write, records[:half]) + write_good(write, records[half:])
    return []
