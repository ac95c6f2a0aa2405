"""The consume loop: collect a batch while the one before is being written, and commit what ClickHouse acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from runtime import metrics
from sinks.rows import Record
from sinks.settings import SinkSettings

log = structlog.get_logger()
Deliver = Callable[[Mapping[str, Sequence[Record]]], Awaitable[None]]


class Batch:
    """Records by topic, and the offsets to commit once they are written."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings
        self._bytes = 0
        self._began: float | None = None
        self.records: dict[str, list[Record]] = {}
        self.offsets: dict[TopicPartition, int] = {}

    def add(self, fetched: Mapping[TopicPartition, Sequence[Record]]) -> None:
        """Take what was fetched, in log order per partition."""
        for tp, records in fetched.items():
            self.records.setdefault(tp.topic, []).extend(records)
            self.offsets[tp] = records[-1].offset + 1
            self._bytes += sum(len(record.value or b"") for record in records)
            self._began = self._began or time.monotonic()

    @property
    def seconds_left(self) -> float:
        """Until it is to be written however small it is."""
        waited = time.monotonic() - self._began if self._began else 0.0
        return max(0.0, self._settings.batch_seconds - waited)

    @property
    def full(self) -> bool:
        """Is it as large as a batch may become?"""
        rows = max(map(len, self.records.values()), default=0)
        return rows >= self._settings.batch_rows or self._bytes >= self._settings.batch_bytes

    @property
    def due(self) -> bool:
        """Is it to be written now?"""
        return bool(self.offsets) and (self.full or self.seconds_left == 0)


async def consume(consumer: AIOKafkaConsumer, deliver: Deliver, settings: SinkSettings, stop: asyncio.Event) -> None:
    """Until `stop`: then what was read is written and committed. Any error is for the process to end on."""
    batch, writing = Batch(settings), asyncio.create_task(asyncio.sleep(0))
    while not stop.is_set():
        if batch.due and (writing.done() or batch.full):
            await writing  # not reading on is the back-pressure: Kafka keeps what we do not take
            writing = asyncio.create_task(_write_and_commit(consumer, deliver, batch))
            batch = Batch(settings)
        # While a write is under way the batch may grow until it is full; then we wait for the write above. Never 0: getmany
        # would return without giving way, and the write would never get on.
        wait = min(max(batch.seconds_left, 0.005), 0.05) if batch.offsets else settings.batch_seconds
        fetched = await consumer.getmany(timeout_ms=round(wait * 1000), max_records=settings.batch_rows)
        batch.add(fetched)
        if writing.done():
            await writing  # raises what it raised
    await writing
    if batch.offsets:
        await _write_and_commit(consumer, deliver, batch)


async def _write_and_commit(consumer: AIOKafkaConsumer, deliver: Deliver, batch: Batch) -> None:
    await deliver(batch.records)
    await _commit(consumer, batch.offsets)
    for tp in batch.offsets.keys() & consumer.assignment():
        end: Any = consumer.highwater(tp)
        if end is not None:
            metrics.SINK_LAG.labels(tp.topic, tp.partition).set(max(0, end - batch.offsets[tp]))


async def _commit(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Commit what is still ours; who owns the rest now reads it again, and writing it again changes nothing."""
    ours = {tp: offset for tp, offset in offsets.items() if tp in consumer.assignment()}
    try:
        if ours:
            await consumer.commit(ours)
    except (CommitFailedError, IllegalStateError) as error:
        log.info("offsets not committed: partitions moved meanwhile", error=str(error))
