"""The only file that touches private members of Faust 0.15.3 and aiokafka 0.14.0; both are pinned exactly.

`tests/unit/test_privates.py` checks that each name in `PRIVATE` still is what we think it is. Everything else in
this package uses only what this file offers: `ChunkApp`, its `fetchable` and `fail` hooks, `Fetched`,
`ChunkConsumer.seek_to` and `.reading`, and `append`.

Faust pays four asyncio tasks for each record. Here its consumer yields one message per fetched chunk instead, so
Faust's cost is paid once per thousands of records. Faust's own offset tracking, seeking and back-pressure are off:
the store owns positions.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, NamedTuple
from weakref import WeakSet

import aiokafka
import faust
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import ConsumerStoppedError, IllegalStateError, NoOffsetForPartitionError, OffsetOutOfRangeError
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from runtime.chunked.leg import Chunk

# "Class.member" → "attribute" (of the object), "property", or the parameters of the method. Members without an underscore
# are here too where they are undocumented.
PRIVATE: Mapping[str, str] = {
    "App._create_directories": "self",
    "App._new_transport": "self",
    "Consumer._getmany": "self, active_partitions, timeout",
    "Consumer._new_consumer_thread": "self",
    "Consumer._paused_partitions": "attribute",
    "Consumer._read_offset": "attribute",
    "Consumer._thread": "attribute",
    "Consumer.perform_seek": "self",
    "ConsumerThread._assignor": "attribute",
    "ConsumerThread._consumer": "attribute",
    "ConsumerThread._create_worker_consumer": "self, transport",
    "ConsumerThread._fetch_records": "self, consumer, active_partitions, timeout, max_records",
    "BatchBuilder._builder": "attribute",
    "BatchBuilder._relative_offset": "attribute",
    "BatchBuilder.close": "self",
    "AIOKafkaConsumer._closed": "attribute",
    "AIOKafkaConsumer._fetcher": "attribute",
    "AIOKafkaConsumer._subscription": "attribute",
    "Fetcher._closed": "attribute",
    "FetchResult._partition_records": "attribute",
    "Fetcher._proc_fetch_request": "self, assignment, node_id, request",
    "Fetcher._records": "attribute",
    "Fetcher.fetched_records": "self, partitions, timeout, max_records",
    "PartitionRecords._consumer_record": "self, tp, record",
    "SubscriptionState.fetch_context": "self",
    "SubscriptionState.subscription": "property",
    "TopicPartitionState.has_valid_position": "property",
    "TopicPartitionState.position": "property",
    "TopicPartitionState.highwater": "attribute",
    "TopicPartitionState.timestamp": "attribute",
}

READ_AHEAD = 4  # chunks between the consumer's thread and the leg, per process and leg
POLL_SECONDS = 0.1  # a partition that became fetchable again waits at most so long
FETCH_MAX_WAIT_MS = 100  # Faust's fixed 1500 delays newly opened partitions and the watermark
# From one fetch to the next, at least. Each costs the broker and us a millisecond or two of CPU, however little it brings; a
# topic that gets a record every few milliseconds would have as many fetches.
FETCH_PAUSE_SECONDS = 0.02


class Fetched(NamedTuple):
    """A chunk with its place: it continues the reading that `seek` began, from position `start` to `next`."""

    chunk: Chunk
    seek: int
    start: int
    next: int


class Reading(NamedTuple):
    """How far one partition of a source has been read since seek number `seek`.

    There is no record between `start` (end of the last chunk) and `position` (transaction markers move it further).
    `end` is the end of the log as the broker gave it to a request sent at `asked` (ms); both are -1 before the first.
    """

    seek: int
    start: int
    position: int
    end: int
    asked: int


class ChunkThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread, giving whole chunks; partitions take turns."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._turns: list[TP] = []
        # Both are read by the main thread: each value is replaced whole.
        self._reads: dict[TP, tuple[int, int, int]] = {}  # seek, start, position
        self._ends: dict[TP, tuple[int, int]] = {}  # end, asked
        super().__init__(*args, **kwargs)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RangePartitionAssignor  # Faust's round robin does not co-partition topics
        return aiokafka.AIOKafkaConsumer(
            **self.app.client,
            client_id=conf.broker_client_id,
            group_id=conf.id,
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",  # a log that lost what we have not read is an error, never a jump
            isolation_level="read_committed",
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            max_poll_records=conf.broker_max_poll_records,
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
        )

    async def on_start(self) -> None:
        """Start the consumer, then attend to its fetches: not too often, and noting the ends of the logs."""
        await super().on_start()
        self._attend(self._consumer._fetcher)

    def _attend(self, fetcher: Any) -> None:
        fetch = fetcher._proc_fetch_request
        last: dict[int, float] = {}  # node → when it was last asked

        async def fetch_and_note(assignment: Any, node: int, request: Any) -> bool:
            try:
                await asyncio.sleep(last.get(node, 0.0) + FETCH_PAUSE_SECONDS - time.monotonic())
            except asyncio.CancelledError:  # as in a fetch: nobody is interested any more
                return False
            last[node] = time.monotonic()
            asked = int(time.time() * 1000)  # before the request: what is appended after it is not in the answer
            woke: bool = await fetch(assignment, node, request)
            for topic, partitions in request.topics:
                for number, *_ in partitions:
                    state = assignment.state_value(TP(topic, number))
                    if state is not None and state.timestamp is not None and state.timestamp >= asked:
                        self._ends[TP(topic, number)] = state.highwater, asked
                    fetched = fetcher._records.get(TP(topic, number))
                    if isinstance(fetched, FetchResult) and fetched._partition_records is not None:
                        fetched._partition_records._consumer_record = _as_it_is
            return woke

        fetcher._proc_fetch_request = fetch_and_note

    async def _fetch_records(
        self,
        consumer: Any,
        active: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109
        max_records: int | None = None,
    ) -> dict[TP, Fetched | None]:
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        turns = [tp for tp in self._turns if tp in active]
        turns += sorted(active.difference(turns))
        try:
            with consumer._subscription.fetch_context():
                for tp in turns:  # aiokafka alone would drain one partition's fetch before it looks at the next
                    records = await fetcher.fetched_records([tp], 0, max_records)
                    if records:
                        turns.remove(tp)
                        turns.append(tp)
                        break
                else:
                    records = await fetcher.fetched_records(turns, timeout, max_records)
        except (IllegalStateError, NoOffsetForPartitionError):
            return {}  # revoked, or assigned and not yet sought
        self._turns = turns
        subscription = consumer._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return {}
        # No await between the records leaving the fetcher and this: a seek falls before or after both.
        return dict(self._advance(tp, assignment.state_value(tp), records.get(tp)) for tp in turns if tp in self._reads)

    def _advance(self, tp: TP, state: Any, records: list[Any] | None) -> tuple[TP, Fetched | None]:
        seek, start, position = self._reads[tp]
        if state is None or not state.has_valid_position:
            return tp, None
        position = state.position
        self._reads[tp] = seek, position if records else start, position
        if not records:
            return tp, None
        chunk = Chunk(
            tp.topic,
            tp.partition,
            [r.offset for r in records],
            [r.timestamp for r in records],
            [r.key for r in records],
            [r.value for r in records],
        )
        return tp, Fetched(chunk, seek, start, position)

    async def seek_to(self, seek: int, positions: Mapping[TP, int]) -> None:
        """In this thread: read on from these positions; chunks carry `seek` from now on."""
        for tp, offset in positions.items():
            self._consumer.seek(tp, offset)
            self._reads[tp] = seek, offset, offset

    def reading(self, tp: TP) -> Reading | None:
        """From any thread: how far the partition has been read; None before its first seek."""
        end = self._ends.get(tp, (-1, -1))
        read = self._reads.get(tp)
        return Reading(*read, *end) if read else None


def _as_it_is(_: TP, record: Any) -> Any:
    """The record as it was decoded, which is all that a chunk needs: making aiokafka's own of it costs as much again."""
    return record


def append(batch: BatchBuilder, records: Sequence[tuple[bytes | None, bytes | None]], time_ms: int) -> int:
    """Put keys and values into an empty batch until it is full, and close it then; how many of them there was room for.

    As `BatchBuilder.append` does it one by one, in a third of the time.
    """
    put, headers, count = batch._builder.append, [], 0  # type: ignore[var-annotated]
    for key, value in records:
        if put(count, time_ms, key, value, headers) is None:
            batch.close()
            break
        count += 1
    batch._relative_offset = count
    return count


class ChunkConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, yielding one message per chunk, of the partitions that the store wants now."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._ahead: WeakSet[ConsumerMessage] = WeakSet()  # chunks leave it when handled, or dropped in a rebalance
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ChunkThread:
        return ChunkThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield what has been fetched; any error is the store's to report, and the process ends."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        active = {tp for tp in self.assignment() - self._paused_partitions if self.app.fetchable(tp)}
        if not active or len(self._ahead) >= READ_AHEAD:
            await self.sleep(0.005)
            return
        try:
            chunks = await self._getmany(active, POLL_SECONDS)
        except OffsetOutOfRangeError as error:
            self.app.fail(error)
            raise
        if not self.flow_active:  # a rebalance began meanwhile; what it makes stale the store sees by its seek number
            await self.wait(self.can_resume_flow)
        for tp, fetched in chunks.items():
            if fetched is None:
                continue
            message = self._message(tp, fetched)
            self._ahead.add(message)
            self._read_offset[tp] = None  # else Faust drops what it believes to have read already
            yield tp, message

    def _message(self, tp: TP, fetched: Fetched) -> ConsumerMessage:
        offset, time_ms = fetched.chunk.offsets[-1], fetched.chunk.timestamps[-1]
        generation = self.app.consumer_generation_id  # streams drop what carries another one
        return ConsumerMessage(*tp, offset, time_ms / 1000, 0, (), None, fetched, None, tp=tp, generation_id=generation)

    async def seek_to(self, seek: int, positions: Mapping[TP, int]) -> None:
        """Read on from these positions. Raises IllegalStateError when a partition is not ours any more."""
        await self._thread.call_thread(self._thread.seek_to, seek, positions)

    def reading(self, topic: str, partition: int) -> Reading | None:
        """How far a partition has been read; None before its first seek."""
        reading: Reading | None = self._thread.reading(TP(topic, partition))
        return reading

    async def perform_seek(self) -> None:
        """Nothing: the store seeks."""


class ChunkTransport(driver.Transport):  # type: ignore[misc]
    """Faust's aiokafka transport with our consumer."""

    Consumer = ChunkConsumer


class ChunkApp(faust.App):  # type: ignore[misc]
    """A Faust app that is fed chunks. `client`: aiokafka's connection settings; the hooks are set by the store."""

    client: Mapping[str, Any]
    fetchable: Callable[[TP], bool]
    fail: Callable[[BaseException], None]

    def _create_directories(self) -> None:
        """None: they are for Faust's tables."""

    def _new_transport(self) -> ChunkTransport:
        return ChunkTransport(self.conf.broker_consumer, self)
