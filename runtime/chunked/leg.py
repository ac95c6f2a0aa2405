"""What a leg is: the contract between pure logic (processors) and the store that runs it on Kafka or in memory.

One `Partition` object owns the state of one partition and is driven by one back end, from one thread, in this order:
`restore` (any number of times), then `take`, `tick`, `pending` and `collect` in any order. Nothing here awaits, reads a
clock or raises for bad input; what a back end guarantees in return is written at each method.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec


class Chunk(NamedTuple):
    """Consecutive records of one partition of one source, as fetched: column lists of equal length, never empty.

    `timestamps` are milliseconds since 1970 (append time where the topic has LogAppendTime). Offsets rise but may have
    holes: transaction markers, aborted and compacted records.
    """

    topic: str
    partition: int
    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to be written, in the transaction of the state that caused it, to any partition of any topic.

    There are several per touchpoint: a struct is made in a tenth of the time of a named tuple.
    """

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None


class Partition(Protocol):
    """The logic of one owned partition: pure, synchronous; it owns its state in memory."""

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Take state from the changelog, in log order (a later value replaces, None deletes); called several times."""

    def take(self, chunk: Chunk) -> None:
        """Fold one chunk. Every record comes exactly once relative to the state. An exception ends the process."""

    def tick(self, now: int, read_to: Mapping[str, int]) -> None:
        """About four times a second while the partition is open.

        `now` is the wall clock in ms. `read_to[topic]`: this partition has taken every record of that source that was
        appended up to this time (ms). If everything up to the end of the log has been taken, that is the time at which
        this end was asked for, less half a second, for a record gets its append time before anybody can see it.
        Otherwise it is the append time of the last record taken; 0 before the first. It never goes back while the
        partition is open. It compares the broker's clock with ours: keep both on NTP.
        """

    def pending(self) -> bool:
        """Is there anything for `collect`?"""

    def collect(self, now: int) -> tuple[Mapping[bytes, bytes | None], Sequence[Output]]:
        """State changed (None: delete the key) and outputs since the last `collect`; a transaction follows at once."""


class Leg(Protocol):
    """A processor as the store sees it."""

    @property
    def name(self) -> str:
        """Consumer group; prefix of the transactional ids."""

    @property
    def sources(self) -> tuple[str, ...]:
        """Topics with equal numbers of partitions; partition p of the leg is partition p of each."""

    @property
    def changelog(self) -> str:
        """The compacted topic that holds the state, with as many partitions as the sources."""

    def partition(self, number: int) -> Partition:
        """A fresh, empty one."""
