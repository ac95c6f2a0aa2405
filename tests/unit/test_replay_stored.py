"""A generation that is built from ClickHouse: what it takes over of the counts, and what it makes of a stored touchpoint."""

from __future__ import annotations

import json

import msgspec

from processors.cutting import Ledger
from processors.dead_letters import DeadLetters
from processors.identity import IdentityPartition
from processors.stored import as_appended, saying_when
from runtime.chunked.leg import Chunk, Output
from schemas.codec import encode
from schemas.definition import load_definitions
from schemas.ledger import HOUR, Counted, Decision
from schemas.person import Assigned, PersonMessage
from tests.unit.test_identity_leg import T0, stored

THEN = T0 - T0 % HOUR - 90 * 24 * HOUR


def leg() -> IdentityPartition:
    letters = DeadLetters("dead_letters", 1, "identity")
    return IdentityPartition(0, load_definitions(), secret=b"secret", partitions=1, dead_letters=letters, generation=2)


def feed(partition: IdentityPartition, topic: str, values: list[bytes]) -> list[Output]:
    n = len(values)
    partition.take(Chunk(topic, 0, list(range(n)), [T0] * n, [None] * n, list(values)))
    return list(partition.collect(T0)[1])


def counts(outputs: list[Output]) -> dict[int, dict[Decision, int]]:
    ledger = [msgspec.json.decode(output.value or b"", type=Counted) for output in outputs if output.topic == "ledger"]
    return {one.hour: one.counts for one in ledger}


def test_a_record_is_as_it_came_again() -> None:
    value = stored(1)
    chunk = Chunk("touchpoints.g2", 3, [5], [T0], [b"a"], [saying_when(value, THEN)])
    assert as_appended(chunk) == Chunk("touchpoints.g2", 3, [5], [THEN], [b"a"], [value])


def test_what_was_counted_is_not_counted_again_and_what_comes_after_is() -> None:
    partition = leg()
    before = [saying_when(one, THEN) for one in (stored(1), stored(2, revision=3), stored(2, revision=3))]
    out = feed(partition, "touchpoints.g2", before)
    assert counts(out) == {}
    assigned = [msgspec.json.decode(one.value or b"", type=PersonMessage) for one in out if one.topic == "people.g2"]
    assert [one.arrived for one in assigned if isinstance(one, Assigned)] == [THEN, THEN]
    after = [stored(1), stored(1, content=7), stored(2, revision=2), stored(2, revision=4), stored(3)]
    out = feed(partition, "touchpoints", after)
    assert counts(out) == {T0 - T0 % HOUR: {"duplicate": 1, "rejected": 1, "superseded": 2, "stored": 1}}
    assert [json.loads(one.value or b"")["reason"] for one in out if one.topic == "dead_letters"] == ["conflicting"]


def test_who_is_refused_by_todays_settings_is_not_stored_any_more() -> None:
    value = stored(1, identifiers={"a_kind_of_yesterday": "1"})
    out = feed(leg(), "touchpoints.g2", [saying_when(value, THEN)])
    assert counts(out) == {THEN: {"stored": -1, "rejected": 1}}
    (letter,) = (json.loads(one.value or b"") for one in out if one.topic == "dead_letters")
    assert json.loads(letter["record"]) == json.loads(value)


def test_no_watermark_is_said_before_the_log_is_read() -> None:
    partition = leg()
    partition.tick(T0, {"touchpoints.g2": T0, "identity.g2": T0, "commands": T0})
    assert not partition.pending()


def test_counts_add_up_to_a_position_and_are_taken_over() -> None:
    def counted(hour: int, many: int, leg: str = "identity", generation: int = 1, partition: int = 0) -> bytes:
        return encode(Counted(leg, generation, partition, "web", hour, {"stored": many, "duplicate": 1}))

    ledger = Ledger(1, 2)
    ledger.take([counted(0, 5), counted(HOUR, 1), counted(0, 7), None, counted(0, 9, generation=3)])
    ledger.take([counted(0, 50, leg="stitch"), counted(0, 3, partition=1)])
    assert [ledger.sum(partition) for partition in range(3)] == [10, 4, 0]
    assert ledger.of(1) == [(1, Counted("identity", 2, 1, "web", 0, {"stored": 3, "duplicate": 1}))]
