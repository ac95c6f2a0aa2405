"""From records of the topics to rows of the tables: what is put in front of a record, what is left out, what is noted.

The server makes columns of the JSON (queries/insert_*.sql); here only what it cannot know is added: partition, offset,
append time, and the generation, where it is not the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

import msgspec

from schemas import topics
from schemas.codec import encode
from sinks.writer import Bad

HOUR_SECONDS = 3600

# Topic (by the name that generation 1 has for it) → table that its records become rows of.
TABLES = {
    topics.TOUCHPOINTS.name: "touchpoints",
    topics.PEOPLE.name: "person_touchpoints",
    topics.IDENTITIES.name: "identities",
    topics.JOURNEYS.name: "journeys",
    topics.OUTCOMES.name: "outcomes",
    topics.LATE.name: "late",
    topics.ALERTS.name: "alerts",
    topics.DEAD_LETTERS.name: "dead_letters",
    topics.LEDGER.name: "ledger",
}
_WITH_POSITION = {topics.TOUCHPOINTS.name, topics.IDENTITIES.name, topics.DEAD_LETTERS.name, topics.LEDGER.name}
_WATERMARK = b'{"said":"read_to"'  # how a ReadTo begins: its tag comes first


class Record(Protocol):
    """A record of a topic, as aiokafka gives it; `timestamp` in ms."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def value(self) -> bytes: ...


def address_of(record: Record) -> str:
    """topic/partition/offset."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def rows_among(topic: str, records: Iterable[Record]) -> list[Record]:
    """The records of one topic that are rows of its table.

    A record without a value deletes its key from a compacted topic; here rows are deleted by erasure alone.
    """
    if topics.split(topic)[0] == topics.PEOPLE.name:
        return [record for record in records if record.value and not record.value.startswith(_WATERMARK)]
    return [record for record in records if record.value is not None]


def lines_of(topic: str, records: Iterable[Record]) -> list[bytes]:
    """The rows as JSON objects, with `_generation` in front if it is not the first, and `_partition`, `_offset` and append
    time (`_at`) where the table needs them."""
    name, generation = topics.split(topic)
    start = b"{" if generation == 1 else b'{"_generation":%d,' % generation
    if name not in _WITH_POSITION:
        return [record.value if generation == 1 else start + record.value[1:] for record in records]
    position = start + b'"_partition":%d,"_offset":%d,"_at":%d,%b'
    return [position % (r.partition, r.offset, r.timestamp, r.value[1:]) for r in records]


class JourneyHead(msgspec.Struct, gc=False):
    """What the sink itself needs of a journey."""

    journey_id: str
    definition: str
    started_at: int
    arrived_at: int
    version: int


_journey_head = msgspec.json.Decoder(JourneyHead)


class DirtyHour(msgspec.Struct, frozen=True):
    """Journeys of this definition that started in this hour (s since 1970) were rewritten."""

    definition: str
    hour: int
    generation: int = 1


class Journeys(NamedTuple):
    """The journeys of a batch: the newest version of each, the hours they dirty, what is none, and the oldest arrival."""

    newest: list[Record]
    dirty: set[DirtyHour]
    undecodable: list[Bad]
    oldest_arrival: int | None  # ms


def newest_journeys(records: Iterable[Record], generation: int = 1) -> Journeys:
    """Of several versions of one journey (of this generation) in a batch only the highest is worth writing."""
    newest: dict[str, tuple[int, Record]] = {}
    dirty: set[tuple[str, int]] = set()
    undecodable = []
    arrivals = []
    for record in records:
        try:
            head = _journey_head.decode(record.value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            undecodable.append(Bad(record, str(error)))
            continue
        dirty.add((head.definition, head.started_at // (HOUR_SECONDS * 1000) * HOUR_SECONDS))
        if head.arrived_at:  # 0: owed since before a restart, and nobody knows any more since when
            arrivals.append(head.arrived_at)
        known = newest.get(head.journey_id)
        if known is None or known[0] <= head.version:
            newest[head.journey_id] = head.version, record
    hours = {DirtyHour(definition, hour, generation) for definition, hour in dirty}
    return Journeys([record for _, record in newest.values()], hours, undecodable, min(arrivals, default=None))


def dirty_lines(dirty: Iterable[DirtyHour]) -> list[bytes]:
    """The dirty hours as rows of their table."""
    return [encode(hour) for hour in dirty]
