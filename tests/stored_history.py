"""Customers' histories in ClickHouse's tables without the stream: folded plainly, written as the sink writes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from runtime.settings import ClickHouseSettings
from schemas.codec import decode_stored, encode
from schemas.definition import Rules, load_definitions
from schemas.journey import Journey
from schemas.person import Assigned, FoldRecord
from sinks.clickhouse import HttpWriter
from sinks.rows import TABLES, lines_of
from sinks.stages import stage_lines
from sinks.verify import plain
from sinks.writer import Writer
from tests.sink_records import FakeRecord

AT_ONCE = 20_000
DEFINITIONS = load_definitions()
RULES = Rules(DEFINITIONS)


def person(customer: int) -> str:
    """32 hex digits: who is one customer is proved elsewhere; here the caller says it."""
    return f"{customer + 1:032x}"


def assigned(customer: int, stored: bytes) -> Assigned:
    """What the identity leg says of an accepted touchpoint of this customer."""
    t: Any = decode_stored.decode(stored)  # a struct made from the model, whose fields mypy does not know
    money, felt = t.value, t.feedback
    record = FoldRecord(
        t.occurred_at, t.channel, t.name, RULES.of(t.channel, t.name, t.properties),
        -1 if t.sequence is None else t.sequence, money.amount if money else 0, money.currency if money else "",
        felt.kind if felt else "", -1 if felt is None or felt.score is None else felt.score,
        (felt.sentiment or "") if felt else "",
    )  # fmt: skip
    return Assigned(person(customer), t.event_id.hex, 0, 1, t.received_at, record)


def store(settings: ClickHouseSettings, whose: Iterable[tuple[int, bytes]], as_of: int) -> dict[int, list[plain.Event]]:
    """Write these touchpoints and the journeys that they make as they stand at `as_of` (ms UTC); every customer's events."""
    events: defaultdict[int, list[plain.Event]] = defaultdict(list)
    touchpoints, people = [], []
    for customer, stored in whose:
        said = assigned(customer, stored)
        assert said.record is not None
        events[customer].append((said.event_id, said.record))
        touchpoints.append(stored)
        people.append(encode(said))
    writer = HttpWriter(settings)
    try:
        writer.write("stages", stage_lines(DEFINITIONS))
        _write(writer, "touchpoints", touchpoints)
        _write(writer, "people", people)
        _write(writer, "journeys", [row for customer in events for row in _journeys(customer, events[customer], as_of)])
    finally:
        writer.close()
    return events


def _journeys(customer: int, events: list[plain.Event], as_of: int) -> Iterator[bytes]:
    for row in plain.rows(person(customer), events, DEFINITIONS, as_of):
        yield encode(Journey(**row, arrived_at=row["last_at"], version=1))


def _write(writer: Writer, topic: str, values: Sequence[bytes]) -> None:
    for first in range(0, len(values), AT_ONCE):
        records = [FakeRecord(topic, n, value) for n, value in enumerate(values[first : first + AT_ONCE], first)]
        writer.write(TABLES[topic], lines_of(topic, records))
