"""The consume loop: each topic is collected and written by itself, and what ClickHouse acknowledged is committed.

No table waits for another. Committing waits for `settle`: what has to be in ClickHouse before a record may count as read.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from schemas import topics
from sinks.rows import Record
from sinks.settings import SinkSettings

log = structlog.get_logger()
Deliver = Callable[[str, Sequence[Record]], Awaitable[None]]
Settle = Callable[[], Awaitable[None]]

# What shows whose a touchpoint is, and what it did, waits for nothing. A write costs ClickHouse much the same whatever it
# carries; so these topics, and commits, become rarer as writes take longer.
RARE = {topics.TOUCHPOINTS.name, topics.LEDGER.name}
TIMES_RARER = 10
RAREST_SECONDS = 1.0
POLL_MS = 200  # how long stopping may go unnoticed


def seldom(least: float, took: float) -> float:
    """Seconds from one to the next of what may become rare; `took`: seconds that one takes lately."""
    return max(least, min(RAREST_SECONDS, TIMES_RARER * took))


class Batch:
    """Records of one topic, and the offsets to commit once they are written; due after `seconds`, however small."""

    def __init__(self, settings: SinkSettings, seconds: float) -> None:
        self._settings, self._seconds = settings, seconds
        self._bytes = 0
        self._began: float | None = None
        self.records: list[Record] = []
        self.offsets: dict[TopicPartition, int] = {}

    def add(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        """Take what was fetched of a partition, in log order."""
        self.records += records
        self.offsets[tp] = records[-1].offset + 1
        self._bytes += sum(len(record.value or b"") for record in records)
        self._began = self._began or time.monotonic()

    @property
    def seconds_left(self) -> float:
        """Until it is to be written."""
        waited = time.monotonic() - self._began if self._began else 0.0
        return 0.0 if self.full else max(0.0, self._seconds - waited)

    @property
    def full(self) -> bool:
        """Is it as large as a batch may become?"""
        return len(self.records) >= self._settings.batch_rows or self._bytes >= self._settings.batch_bytes


class Lane:
    """One topic: a batch is collected while the one before is written."""

    def __init__(self, topic: str, deliver: Deliver, settings: SinkSettings) -> None:
        self._topic, self._deliver, self._settings = topic, deliver, settings
        self._rare = topics.split(topic)[0] in RARE
        self._took = 0.0  # seconds of a write lately
        self._closed = False
        self._batch = self._next()
        self._filled, self._hurry, self._begun = asyncio.Event(), asyncio.Event(), asyncio.Event()

    def _next(self) -> Batch:
        least = self._settings.batch_seconds
        return Batch(self._settings, seldom(least, self._took) if self._rare else least)

    async def add(self, tp: TopicPartition, records: Sequence[Record]) -> None:
        """Take records; returns when the batch has room again. Not reading on is the back-pressure: Kafka keeps the rest."""
        self._batch.add(tp, records)
        self._filled.set()
        if self._batch.full:
            self._begun.clear()
            self._hurry.set()
            await self._begun.wait()

    def close(self) -> None:
        """Write what is there at once, and then no more."""
        self._closed = True
        self._filled.set()
        self._hurry.set()

    async def run(self, written: Callable[[Mapping[TopicPartition, int]], None]) -> None:
        """Write one batch after the other until closed; tells the offsets of each."""
        while True:
            await self._filled.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._batch.seconds_left)
            batch, self._batch = self._batch, self._next()
            if not self._closed:
                self._filled.clear()
                self._hurry.clear()
            self._begun.set()
            if not batch.offsets:
                return
            began = time.monotonic()
            await self._deliver(self._topic, batch.records)
            self._took += 0.2 * (time.monotonic() - began - self._took)
            written(batch.offsets)


class Commits:
    """The offsets of what has been written, committed after `settle`: at once, then not too often."""

    def __init__(self, consumer: AIOKafkaConsumer, settle: Settle, settings: SinkSettings) -> None:
        self._consumer, self._settle, self._least = consumer, settle, settings.batch_seconds
        self._written: dict[TopicPartition, int] = {}
        self._some, self._closing = asyncio.Event(), asyncio.Event()

    def written(self, offsets: Mapping[TopicPartition, int]) -> None:
        self._written.update(offsets)
        self._some.set()

    def close(self) -> None:
        """Commit what is left at once, and then no more."""
        self._closing.set()
        self._some.set()

    async def run(self) -> None:
        took = 0.0
        while not self._closing.is_set() or self._written:
            await self._some.wait()
            self._some.clear()
            offsets, self._written = self._written, {}
            began = time.monotonic()
            await self._settle()
            await self._commit(offsets)
            took += 0.2 * (time.monotonic() - began - took)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), seldom(self._least, took) - (time.monotonic() - began))

    async def _commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit what is still ours; who owns the rest now reads it again, and writing it again changes nothing."""
        ours = {tp: offset for tp, offset in offsets.items() if tp in self._consumer.assignment()}
        try:
            if ours:
                await self._consumer.commit(ours)
        except (CommitFailedError, IllegalStateError) as error:
            log.info("offsets not committed: partitions moved meanwhile", error=str(error))


async def consume(
    consumer: AIOKafkaConsumer, deliver: Deliver, settle: Settle, settings: SinkSettings, stop: asyncio.Event
) -> None:
    """Until `stop`: then what was read is written and committed. Any error is for the process to end on."""
    lanes: dict[str, Lane] = {}
    commits = Commits(consumer, settle, settings)
    async with asyncio.TaskGroup() as committing:
        committing.create_task(commits.run())
        async with asyncio.TaskGroup() as writing:
            while not stop.is_set():
                fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=settings.batch_rows)
                for tp, records in fetched.items():
                    if tp.topic not in lanes:
                        lanes[tp.topic] = Lane(tp.topic, deliver, settings)
                        writing.create_task(lanes[tp.topic].run(commits.written))
                    await lanes[tp.topic].add(tp, records)
                await asyncio.sleep(0)  # getmany gives way to the writes only when it has to wait
            for lane in lanes.values():
                lane.close()
        commits.close()
