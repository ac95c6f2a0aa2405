"""Batches and their delivery: when a batch is due, what is retried, what is given up, in which order it is written."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from aiokafka import TopicPartition

from schemas.dead_letter import DeadLetter
from sinks.app import unwritable
from sinks.consume import Batch
from sinks.delivery import Delivery, GaveUp
from sinks.settings import SinkSettings
from sinks.writer import Bad, Refused, Unavailable
from tests.sink_records import MARCH, FakeRecord, journey, touchpoint, watermark


class FakeWriter:
    """Keeps what is written; is away for the first `absent` writes; refuses lines that hold `poison`."""

    def __init__(self, absent: int = 0, poison: bytes = b"poison") -> None:
        self.absent = absent
        self.poison = poison
        self.written: list[tuple[str, int]] = []

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        if self.absent > 0:
            self.absent -= 1
            raise Unavailable("away")
        if any(self.poison in line for line in lines):
            raise Refused("poisoned")
        self.written.append((table, len(lines)))


def deliver(writer: FakeWriter, topic: str, records: Sequence[FakeRecord], *, stopped: bool = False) -> list[Bad]:
    async def run() -> list[Bad]:
        stop = asyncio.Event()
        if stopped:
            stop.set()
        delivery = Delivery(writer, longest_pause=0.001, stop=stop)
        bad = await delivery.deliver(topic, records)
        await delivery.settle()
        await delivery.settle()
        return bad

    return asyncio.run(run())


def test_the_dirty_hours_are_written_after_the_journeys_and_once() -> None:
    writer = FakeWriter()
    assert deliver(writer, "journeys", [FakeRecord("journeys", number, journey(1)) for number in (0, 1)]) == []
    assert writer.written == [("journeys", 1), ("dirty_hours", 1)]


def test_an_absent_server_is_waited_for() -> None:
    writer = FakeWriter(absent=3)
    assert deliver(writer, "touchpoints", [FakeRecord("touchpoints", 0, touchpoint(1))]) == []
    assert writer.written == [("touchpoints", 1)]


def test_stopping_while_the_server_is_away_gives_up_without_success() -> None:
    with pytest.raises(GaveUp):
        deliver(FakeWriter(absent=99), "touchpoints", [FakeRecord("touchpoints", 0, touchpoint(1))], stopped=True)


def test_bad_rows_come_back_and_the_others_are_written() -> None:
    records = [FakeRecord("touchpoints", offset, touchpoint(offset)) for offset in range(4)]
    records[2] = FakeRecord("touchpoints", 2, b'{"name":"poison"}')
    writer = FakeWriter()
    assert [bad.record for bad in deliver(writer, "touchpoints", records)] == [records[2]]
    assert sum(count for _, count in writer.written) == 3


def test_watermarks_alone_write_nothing() -> None:
    writer = FakeWriter()
    deliver(writer, "people", [FakeRecord("people", 0, watermark())])
    assert writer.written == []


def test_a_dead_letter_names_the_place_and_the_source() -> None:
    record = FakeRecord("touchpoints", 17, b'{"source":"till","event_id":1}', partition=3)
    letter = msgspec.json.decode(unwritable(Bad(record, "no UUID"), at=MARCH), type=DeadLetter)
    assert (letter.leg, letter.reason, letter.source) == ("sink", "unwritable", "till")
    assert (letter.address, letter.message, letter.record) == ("touchpoints/3/17", "no UUID", record.value.decode())


def test_a_batch_is_due_when_it_is_large_or_old() -> None:
    def batch(seconds: float = 60, **settings: float) -> Batch:
        one = Batch(SinkSettings.model_validate({"batch_rows": 3, "batch_bytes": 10_000} | settings), seconds)
        one.add(TopicPartition("touchpoints", 1), [FakeRecord("touchpoints", offset, b"{}") for offset in (4, 5)])
        return one

    assert batch().seconds_left > 50
    assert batch(batch_rows=2).full
    assert batch(batch_rows=2).seconds_left == 0
    assert batch(batch_bytes=4).full
    assert batch(seconds=1e-9).seconds_left == 0
    assert batch().offsets == {TopicPartition("touchpoints", 1): 6}
