"""The sink's consume loop, with a consumer that behaves as aiokafka's does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition

from sinks.consume import consume
from sinks.rows import Record
from sinks.settings import SinkSettings
from tests.sink_records import FakeRecord, touchpoint

HERE = TopicPartition("touchpoints", 0)


class FakeConsumer:
    """Gives its fetches one by one. Like aiokafka's it does not suspend when there is something, or no time to wait."""

    def __init__(self, fetches: list[list[FakeRecord]]) -> None:
        self._fetches = fetches
        self._idle = 0
        self.committed = 0

    async def getmany(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[FakeRecord]]:
        if self._fetches:
            return {HERE: self._fetches.pop(0)}
        if not timeout_ms:
            self._idle += 1
            assert self._idle < 1_000, "the loop asks again and again without giving way to anything else"
            return {}
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    def assignment(self) -> set[TopicPartition]:
        return {HERE}

    def highwater(self, tp: TopicPartition) -> int:
        return self.committed

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.committed = offsets[HERE]


async def _consume(
    fetches: list[list[FakeRecord]], write_seconds: float, until: int, settings: SinkSettings
) -> list[int]:
    """Consume until the offset is committed; the numbers of records of the writes."""
    consumer: Any = FakeConsumer(fetches)
    stop = asyncio.Event()
    written: list[int] = []

    async def deliver(batch: Mapping[str, Sequence[Record]]) -> None:
        await asyncio.sleep(write_seconds)
        written.append(len(batch["touchpoints"]))

    loop = asyncio.create_task(consume(consumer, deliver, settings, stop))
    async with asyncio.timeout(10):
        while consumer.committed < until and not loop.done():
            await asyncio.sleep(0.01)
        stop.set()
        await loop
    return written


def _records(first: int, count: int) -> list[FakeRecord]:
    return [FakeRecord("touchpoints", offset, touchpoint(offset)) for offset in range(first, first + count)]


def test_a_write_that_takes_longer_than_a_batch_goes_on_while_the_next_one_is_due() -> None:
    fetches = [_records(0, 10), _records(10, 1)]
    settings = SinkSettings(batch_rows=10, batch_seconds=0.01)
    assert asyncio.run(_consume(fetches, 0.2, 11, settings)) == [10, 1]


def test_a_full_batch_waits_for_the_write_before_it() -> None:
    fetches = [_records(first, 10) for first in range(0, 50, 10)]
    settings = SinkSettings(batch_rows=10, batch_seconds=0.5)
    assert asyncio.run(_consume(fetches, 0.05, 50, settings)) == [10] * 5
