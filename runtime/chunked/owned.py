"""One partition that this process owns: its state, its positions, and the transactions that move them together."""

from __future__ import annotations

import asyncio
import gc
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalStateError
from faust.types import TP

from runtime import metrics
from runtime.chunked.privates import Fetched
from runtime.chunked.progress import SourceProgress
from runtime.chunked.restore import restore
from runtime.chunked.transaction import Transaction, commit, fence

if TYPE_CHECKING:
    from runtime.chunked.store import StateStore

CLOSE_SECONDS = 5.0

log = structlog.get_logger()


class OwnedPartition:
    """Opening: fence the owner before → restore → read its positions → seek → take. Then take, tick, commit, repeat.

    Memory may be ahead of Kafka, never beside it: what a failed transaction leaves here is lost with the process.
    """

    def __init__(self, store: StateStore, number: int, before: asyncio.Task[None] | None) -> None:
        self.number = number
        self.ready = False  # open, sought, ours: chunks are taken
        self._store = store
        self._leg = store.leg.name
        self._state = store.leg.partition(number)
        self._before = before  # the closing of this partition's former object in this process
        self._producer: AIOKafkaProducer | None = None
        self._sources: dict[str, SourceProgress] = {}  # empty until restored
        self._seek = 0
        self._taken = 0  # records since the last collect
        self._collected = time.monotonic()  # when that was
        self._rate = 0.0  # records a second before it
        self._commit_seconds = 0.0
        self._has_backlog = False  # the next transaction waits for a full batch
        self._woken = 0.0  # when the first of the pending work came
        self._seeking = asyncio.Lock()
        self._work, self._hurry, self._settled = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._settled.set()
        self._tasks = {store.spawn(self._open())}

    # -- opening

    async def _open(self) -> None:
        if self._before:
            await self._before
        began = time.monotonic()
        self._producer = await fence(self._store.kafka, f"{self._leg}-{self.number}")
        fenced = time.monotonic()
        sources = [TopicPartition(topic, self.number) for topic in self._store.leg.sources]
        changelog = TopicPartition(self._store.leg.changelog, self.number)
        restored = await restore(self._store.kafka, self._leg, changelog, sources, self._state.restore)
        self._sources = {
            topic: SourceProgress(f"{topic}-{self.number}", position, restored.committed.get(topic))
            for topic, position in restored.positions.items()
        }
        gc.freeze()  # the state just built is not garbage: spare every later collection from walking it
        seconds = time.monotonic() - fenced
        metrics.LEG_RESTORE_SECONDS.labels(self._leg, self.number).set(seconds)
        metrics.LEG_RESTORED_RECORDS.labels(self._leg).inc(restored.records)
        log.info(
            "partition opened",
            leg=self._leg,
            partition=self.number,
            fenced_seconds=round(fenced - began, 3),
            restore_seconds=round(seconds, 3),
            records=restored.records,
            positions=restored.positions,
        )
        self._tasks.add(self._store.spawn(self._commit_loop()))
        await self._resume()

    async def _resume(self) -> None:
        async with self._seeking:
            self._seek = self._store.next_seek()
            positions = {TP(topic, self.number): source.position for topic, source in self._sources.items()}
            with suppress(IllegalStateError):  # revoked just now: the next assignment decides
                await self._store.consumer.seek_to(self._seek, positions)
                for source in self._sources.values():
                    source.sought(_now())
                self.ready = True

    def assigned_again(self) -> None:
        """Still ours after a rebalance that nobody else can have used: read on from where we are."""
        if self._sources:
            self._tasks.add(self._store.spawn(self._resume()))

    # -- work

    @property
    def full(self) -> bool:
        """Twice a batch is waiting for the transaction before: take no more."""
        return self._taken >= 2 * self._store.settings.batch

    def take(self, fetched: Fetched) -> None:
        """Fold a chunk if it is the next one; one of an earlier reading is ignored, a hole is read again."""
        if not self.ready or fetched.seek != self._seek:
            return
        chunk = fetched.chunk
        source = self._sources[chunk.topic]
        if fetched.start != source.position:
            self._read_again(chunk.topic)
            return
        self._state.take(chunk)
        source.took(fetched, _now())
        self._taken += len(chunk.offsets)
        metrics.LEG_RECORDS.labels(self._leg, chunk.topic).inc(len(chunk.offsets))
        self._wake()
        if self._taken >= self._store.settings.batch:
            self._hurry.set()

    def _read_again(self, topic: str) -> None:
        log.info("chunk lost on the way, reading again", leg=self._leg, topic=topic, partition=self.number)
        metrics.LEG_SEEKS.labels(self._leg).inc()
        self.ready = False
        self._tasks.add(self._store.spawn(self._resume()))

    def tick(self, now: int) -> None:
        """Let time pass for the leg, with what has been read. Raises LegError when nothing is being fetched."""
        self._tasks = {task for task in self._tasks if not task.done()}
        if not self.ready:
            return
        for topic, source in self._sources.items():
            reading = self._store.consumer.reading(topic, self.number)
            if reading is not None and reading.seek == self._seek and source.look(reading, now):
                self._read_again(topic)
            metrics.LEG_LAG.labels(self._leg, topic, self.number).set(source.lag)
        self._state.tick(now, {topic: source.read_to for topic, source in self._sources.items()})
        if self._state.pending():
            self._wake()
        if self._has_backlog and self._lag() == 0:
            self._hurry.set()

    def _lag(self) -> int:
        return sum(source.lag for source in self._sources.values())

    def _wake(self) -> None:
        if not self._work.is_set():
            self._woken = time.monotonic()
        self._work.set()
        self._settled.clear()

    # -- transactions

    async def _commit_loop(self) -> None:
        assert self._producer is not None
        while True:
            if not self._work.is_set():
                self._settled.set()
                await self._work.wait()
            lag = self._lag()
            due = self._woken + self._store.settings.interval(self._commit_seconds, lag, self._rate)
            self._has_backlog = lag > self._store.settings.backlog
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), max(0.0, due - time.monotonic()))
            transaction = self._collect()
            if transaction:
                began = time.monotonic()
                await commit(self._producer, transaction)
                self._count(transaction, time.monotonic() - began)
                for tp, offset in transaction.offsets.items():
                    self._sources[tp.topic].committed = offset

    def _collect(self) -> Transaction:
        """State, outputs and positions of one moment: there is no await in here."""
        self._work.clear()
        self._hurry.clear()
        self._has_backlog = False
        now = time.monotonic()
        self._rate = self._taken / max(now - self._collected, 0.001)
        self._taken, self._collected = 0, now
        state, outputs = self._state.collect(_now())
        offsets = {
            TopicPartition(topic, self.number): source.position
            for topic, source in self._sources.items()
            if source.committed != source.position
        }
        return Transaction(TopicPartition(self._store.leg.changelog, self.number), state, outputs, offsets, self._leg)

    def _count(self, transaction: Transaction, seconds: float) -> None:
        self._commit_seconds += 0.2 * (seconds - self._commit_seconds)
        metrics.LEG_TRANSACTIONS.labels(self._leg).inc()
        metrics.LEG_OUTPUTS.labels(self._leg).inc(len(transaction.outputs))
        metrics.LEG_COMMIT_SECONDS.labels(self._leg).observe(seconds)

    async def flush(self) -> None:
        """Commit what is pending; returns when nothing is. Call it when nothing is taken any more."""
        if self._sources and self._state.pending():
            self._wake()
        self._hurry.set()
        await self._settled.wait()

    async def close(self) -> None:
        """Stop at once; what is not committed will be read again by the next owner. Never raises."""
        self.ready = False
        for task in self._tasks:
            task.cancel()
        if self._tasks:  # a transaction that is cut short is aborted, which needs the broker: not for ever
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        if self._producer is not None:
            try:
                await asyncio.wait_for(self._producer.stop(), CLOSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - fenced already, or the broker is away: it is closed either way
                log.info("producer closed with an error", leg=self._leg, partition=self.number, error=repr(error))
        for topic in self._sources:
            with suppress(KeyError):  # never measured
                metrics.LEG_LAG.remove(self._leg, topic, str(self.number))
        gc.unfreeze()  # the state is garbage now


def _now() -> int:
    return int(time.time() * 1000)
