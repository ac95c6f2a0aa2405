"""Putting records into a topic before the clock starts: at once visible, when the caller says so."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.producer.message_accumulator import BatchBuilder

from runtime.kafka import partition_of
from runtime.settings import KafkaSettings

BATCH_BYTES = 1 << 20
TRANSACTION_MS = 600_000


class Filling:
    """Records on their way into one topic; `ends` are the offsets behind the last of each partition."""

    def __init__(self, producer: AIOKafkaProducer, topic: str, partitions: int) -> None:
        self._producer, self._topic, self._partitions = producer, topic, partitions
        self._batches: list[BatchBuilder] = [producer.create_batch() for _ in range(partitions)]
        self.ends: dict[TopicPartition, int] = {}

    async def add(self, key: bytes, value: bytes) -> None:
        """One record, into the partition of its key."""
        await self.put(partition_of(key, self._partitions), key, value)

    async def put(self, partition: int, key: bytes | None, value: bytes) -> None:
        """One record, into this partition."""
        if self._batches[partition].append(key=key, value=value, timestamp=None) is None:
            await self._send(partition)
            self._batches[partition].append(key=key, value=value, timestamp=None)

    async def _send(self, partition: int) -> None:
        batch, self._batches[partition] = self._batches[partition], self._producer.create_batch()
        sent = await (await self._producer.send_batch(batch, self._topic, partition=partition))
        self.ends[TopicPartition(self._topic, partition)] = sent.offset + batch.record_count()

    async def send_rest(self) -> None:
        for partition, batch in enumerate(self._batches):
            if batch.record_count():
                await self._send(partition)


@asynccontextmanager
async def filling(kafka: KafkaSettings, topic: str, partitions: int) -> AsyncIterator[Filling]:
    """Plain records, acknowledged at the end."""
    async with AIOKafkaProducer(**kafka.client(), max_batch_size=BATCH_BYTES) as producer:
        filling = Filling(producer, topic, partitions)
        yield filling
        await filling.send_rest()


@asynccontextmanager
async def filling_unseen(kafka: KafkaSettings, topic: str, partitions: int) -> AsyncIterator[Filling]:
    """Records in one transaction: no `read_committed` reader sees any of them before the end, when all appear at once.

    At the end everything is acknowledged already: only the transaction's markers are written.
    """
    async with (
        AIOKafkaProducer(
            **kafka.client(),
            max_batch_size=BATCH_BYTES,
            transactional_id=f"benchmark-{topic}",
            transaction_timeout_ms=TRANSACTION_MS,
        ) as producer,
        producer.transaction(),
    ):
        filling = Filling(producer, topic, partitions)
        yield filling


async def fill(into: Filling, records: Iterable[tuple[bytes, bytes]]) -> None:
    """Keys and values, whole."""
    for key, value in records:
        await into.add(key, value)
    await into.send_rest()
